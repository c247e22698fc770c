"""How the template of one call lies in the template of several: what each part of it stands for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from privmigrate.argv.spec import Const
from privmigrate.argv.template import Hole, Lit, Opt, Rep, Segment, Template
from privmigrate.argv.unify import covers


@dataclass(frozen=True, slots=True)
class Always:
    """An optional part that this call always has."""


@dataclass(frozen=True, slots=True)
class Absent:
    """An optional part that this call never has."""


Bound = Lit | Hole | Opt | Rep | Always | Absent
Binding = dict[str, Bound]


def bind(wide: Template, narrow: Template) -> Binding | None:
    """Say for every hole and part of the one what the other has there; None where it has more."""
    return _row(wide.segments, narrow.segments)


def _row(wide: Sequence[Segment], narrow: Sequence[Segment]) -> Binding | None:
    if not wide:
        return None if narrow else {}
    first, *rest = wide
    for taken, bound in _first(first, narrow):
        after = _row(rest, narrow[taken:])
        if after is not None:
            return {**bound, **after}
    return None


def _first(wide: Segment, narrow: Sequence[Segment]) -> Iterator[tuple[int, Binding]]:
    """Every way in which a part may stand for a beginning: how much of it, and what is bound."""
    head = narrow[0] if narrow else None
    match wide, head:
        case Lit(text), Lit(same) if text == same:
            yield 1, {}
        case Hole(name, spec), Lit(text) if covers(spec, Const(text)):
            yield 1, {name: Lit(text)}
        case Hole(name, spec), Hole(_, other) as bound if covers(spec, other):
            yield 1, {name: bound}
        case Opt(name, inner), _:
            yield from _optional(name, inner, narrow)
        case Rep(name, inner), Rep(_, other) as repeated:
            items = _row(inner, other)
            if items is not None:
                yield 1, {name: repeated, **items}
        case _:
            return


def _optional(
    name: str, inner: Sequence[Segment], narrow: Sequence[Segment]
) -> Iterator[tuple[int, Binding]]:
    if narrow and isinstance(narrow[0], Opt):
        bound = _row(inner, narrow[0].segments)
        if bound is not None:
            yield 1, {name: narrow[0], **bound}
    bound = _row(inner, narrow[: len(inner)])
    if bound is not None:
        yield len(inner), {name: Always(), **bound}
    yield 0, {name: Absent()}
