"""A call that runs a command, in the terms of the function that it stands in."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from privmigrate.callsites.frame import Frame
from privmigrate.callsites.site import Convention, Reason
from privmigrate.callsites.state import State
from privmigrate.callsites.values import (
    Dict,
    Each,
    Either,
    Hole,
    Maybe,
    Plain,
    Segments,
    Splice,
    Str,
    Value,
)


@dataclass(frozen=True, slots=True, eq=False)
class RawSite:
    """What is known of a call before it is written down as a `Site`.

    Attributes:
        start: what was known before its arguments were evaluated.
        inside: for the call of a wrapper, the calls through which it goes there, outermost first.
    """

    node: ast.Call
    frame: Frame
    executor: str
    convention: Convention
    segments: Segments
    keywords: Dict
    start: State
    netns: Str | None = None
    via: tuple[str, ...] = ()
    through: tuple[str, ...] = ()
    doubts: tuple[Reason, ...] = ()
    sentinel: bool = False
    also_outside: bool = False
    declared: tuple[str, ...] = ()
    inside: tuple[tuple[Frame, ast.Call], ...] = ()

    def doubted(self, doubts: tuple[Reason, ...]) -> "RawSite":
        """The same with more doubts."""
        return replace(self, doubts=tuple(dict.fromkeys((*self.doubts, *doubts))))

    def called(self, wrapper: str, *, plain: bool) -> "RawSite":
        """The same, as what a wrapper runs."""
        if plain and not self.via:
            return replace(self, through=(wrapper, *self.through))
        return replace(self, via=(wrapper, *self.through, *self.via), through=())

    def at(
        self,
        node: ast.Call,
        frame: Frame,
        executor: str,
        start: State,
    ) -> "RawSite":
        """The same, as it is called from elsewhere."""
        return replace(
            self,
            node=node,
            frame=frame,
            executor=executor,
            start=start,
            inside=((self.frame, self.node), *self.inside),
        )


def root_of(keywords: Dict) -> bool | Value | Hole:
    """Whether it runs as root: yes, no, one of several values, or what is passed on says so."""
    value = keywords.get("run_as_root")
    if value is None and keywords.rest is not None:
        return keywords.rest
    match value:
        case None | Plain(None):
            return False
        case Plain(constant):
            return bool(constant)
        case _:
            return value


def parameters_of(segments: Segments, *, first: bool = True) -> Iterator[Hole]:
    """The parameters that become words of a command, or the command."""
    for segment in segments:
        match segment:
            case Splice(hole) if found := _parameter(hole):
                yield found
            case Str((Hole() as hole,)) if first and (found := _parameter(hole)):
                yield found
            case Maybe(_, inner) | Each(segments=inner):
                yield from parameters_of(inner, first=first)
            case Either(branches):
                for _, row in branches:
                    yield from parameters_of(row, first=first)
            case _:
                pass
        first = first and isinstance(segment, Maybe)


def _parameter(hole: Hole) -> Hole | None:
    if hole.parameter:
        return hole
    return hole.outer if hole.outer is not None and hole.outer.parameter else None


def forwarded(raw: RawSite) -> bool:
    """Whether a call passes a list of words, or a command, of its function's parameters on."""
    return any(parameters_of(raw.segments))
