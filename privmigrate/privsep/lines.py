"""Command lines that an entrypoint takes as a list: the finite set that it accepts.

    Annotated[Words, CommandLines(line("lvs", "--noheadings", hole("vg", Operand)))]

The list is matched as a whole, in polynomial time, and what is executed is made from the match;
the executable is the entrypoint's own, whatever the first word says of its folder.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from privmigrate.argv.spec import ArgSpec, Whole
from privmigrate.argv.template import Hole, Lit, Mismatch, Opt, Rep, Segment, Template
from privmigrate.errors import Refused

__all__ = ["CommandLines", "Parts", "Words", "hole", "line", "optional", "parts_of", "repeated"]

Words = Sequence[str | int]
"""A command line, the command its first word."""

MAX_WORDS: Final = 2048
"""Longer ones are refused: matching time grows with the square of this at worst."""


class CommandLines(Whole):
    """Exactly these command lines, one of them."""

    def __init__(self, *lines: Template) -> None:
        self.lines: Final = lines

    def __repr__(self) -> str:
        return f"CommandLines({', '.join(map(repr, self.lines))})"

    def convert(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """Match the words; return them as their specifications convert them."""
        if len(words) > MAX_WORDS:
            raise Refused(f"has more than {MAX_WORDS} words")
        reasons: dict[str, None] = {}
        for each in self.lines:
            found = each.match(words)
            if not isinstance(found, Mismatch):
                return each.render(found)
            reasons[found.why] = None
        raise Refused(f"is none of its command lines: {'; or '.join(reasons)}")


class Parts(NamedTuple):
    """A command line taken apart.

    Attributes:
        env: the variables that stand in front of it.
        command: what it calls its command.
        args: the words behind it.
    """

    env: dict[str, str]
    command: str
    args: tuple[str, ...]


def parts_of(words: Words) -> Parts:
    """Take variables off a command line that was accepted: ``env NAME=value... command word...``.

    Only where every line begins with its own command, or with ``env``, variables, and that.
    """
    texts = tuple(map(str, words))
    env: dict[str, str] = {}
    place = 0
    if texts[0] == "env":
        place = 1
        while "=" in texts[place]:
            name, _, value = texts[place].partition("=")
            env[name] = value
            place += 1
    return Parts(env, texts[place], texts[place + 1 :])


def line(*segments: str | Segment) -> Template:
    """A command line: fixed words, holes, and parts."""
    return Template(tuple(_segments(segments)))


def hole(name: str, spec: ArgSpec) -> Hole:
    """A word that the specification describes."""
    return Hole(name, spec)


def optional(name: str, *segments: str | Segment) -> Opt:
    """A part that may be there."""
    return Opt(name, tuple(_segments(segments)))


def repeated(name: str, *segments: str | Segment) -> Rep:
    """A part any number of times, also none."""
    return Rep(name, tuple(_segments(segments)))


def _segments(segments: Sequence[str | Segment]) -> Iterator[Segment]:
    for segment in segments:
        yield Lit(segment) if isinstance(segment, str) else segment
