"""The template of one command that is called in two places, and the word of both."""

import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from privmigrate.argv.spec import (
    AbsolutePath,
    Any,
    ArgSpec,
    Choice,
    Const,
    Int,
    Key,
    Matches,
    PathWithin,
)
from privmigrate.argv.template import Hole, Lit, Opt, Rep, Segment, Template
from privmigrate.argv.word import word_test

# Dots, which match no newline, letters, and groups without alternatives, behind "no dash".
_OPERAND_PATTERN: Final = re.compile(
    r"(?:\(\?:)?\(\?!-\)(?:[\w/.:,=@*+)-]|\\[.+-]|\(\?:)*", re.ASCII
)

MAX_CONSTANTS: Final = 8
"""Different constants in one place that are still a choice between them."""


def unify(one: Template, other: Template) -> Template | None:
    """Make the template of both, or None where they are different commands.

    It accepts what either accepts, and apart from combinations of optional parts nothing else:
    different fixed words are different commands; a constant beside a hole, or beside other
    constants in a hole, becomes a choice; one part that only one of them has, and that begins
    with an option, becomes optional. So one of them covers the other in every place, or they
    differ in a single one: with two, what one says here and the other there would be accepted too.
    """
    joins: list[_Join] = []
    aligned = _align(one.segments, other.segments, joins)
    if aligned is None:
        joins = []
        aligned = _with_new_option(one.segments, other.segments, joins)
    if aligned is None or not _names_differ(aligned) or not _is_exact(joins):
        return None
    return Template(aligned)


class _Side(Enum):
    """Which of the two covers the other in a place where they differ."""

    ONE = 1
    OTHER = 2
    NEITHER = 3


@dataclass(frozen=True, slots=True)
class _Join:
    """A place where they differ; `option`: in whether a part is there."""

    side: _Side
    option: bool = False

    @property
    def swapped(self) -> "_Join":
        """The same with the two in the other order."""
        sides = {_Side.ONE: _Side.OTHER, _Side.OTHER: _Side.ONE}
        return replace(self, side=sides.get(self.side, self.side))


def _is_exact(joins: list[_Join]) -> bool:
    if len(joins) <= 1 or all(join.option for join in joins):
        return True
    sides = {join.side for join in joins}
    return len(sides) == 1 and _Side.NEITHER not in sides


def _names_differ(segments: tuple[Segment, ...]) -> bool:
    """Whether no two parts would be bound to one name."""
    named = [segment for segment in segments if not isinstance(segment, Lit)]
    return len({segment.name for segment in named}) == len(named) and all(
        _names_differ(segment.segments) for segment in named if isinstance(segment, Opt | Rep)
    )


def _align(
    one: tuple[Segment, ...], other: tuple[Segment, ...], joins: list[_Join]
) -> tuple[Segment, ...] | None:
    """Unify two rows; an optional part of one may be there in the other, or not."""
    if not one and not other:
        return ()
    before = len(joins)
    if one and other:
        both = _unify_segments(one[0], other[0], joins)
        if both is not None and (rest := _align(one[1:], other[1:], joins)) is not None:
            return (both, *rest)
        del joins[before:]
    for first, second, swapped in ((one, other, False), (other, one, True)):
        if not first or not isinstance(first[0], Opt):
            continue
        found = [_Join(_Side.ONE, option=True)]
        rest = _with_option(first[0], first[1:], second, found)
        if rest is not None:
            joins.extend(each.swapped if swapped else each for each in found)
            return rest
    return None


def _with_option(
    option: Opt, after: tuple[Segment, ...], second: tuple[Segment, ...], joins: list[_Join]
) -> tuple[Segment, ...] | None:
    """Unify a row that begins with an option with one that has its part always, or never."""
    before = len(joins)
    size = len(option.segments)
    inner = _align(option.segments, second[:size], joins)
    if inner and (rest := _align(after, second[size:], joins)) is not None:
        return (Opt(option.name, inner), *rest)
    del joins[before:]
    if (rest := _align(after, second, joins)) is not None:
        return (option, *rest)
    return None


def _unify_segments(one: Segment, other: Segment, joins: list[_Join]) -> Segment | None:
    match one, other:
        case Lit(text), Lit(same):
            return one if text == same else None
        case Hole(name, spec), Lit(text):
            return _join_holes(name, spec, Const(text), joins)
        case Lit(text), Hole(name, spec):
            return _join_holes(name, Const(text), spec, joins)
        case Hole(name, spec), Hole(_, second):
            return _join_holes(name, spec, second, joins)
        case Opt(name, inner), Opt(_, second):
            aligned = _align(inner, second, joins)
            return None if aligned is None else Opt(name, aligned)
        case Rep(name, inner), Rep(_, second):
            aligned = _align(inner, second, joins)
            return None if aligned is None else Rep(name, aligned)
        case _:
            return None


def _join_holes(name: str, one: ArgSpec, other: ArgSpec, joins: list[_Join]) -> Hole | None:
    joined = join(one, other)
    if joined is None:
        return None
    if one != other:
        side = _Side.NEITHER
        if joined in (one, other):
            side = _Side.ONE if joined == one else _Side.OTHER
        joins.append(_Join(side))
    return Hole(name, joined)


def _with_new_option(
    one: tuple[Segment, ...], other: tuple[Segment, ...], joins: list[_Join]
) -> tuple[Segment, ...] | None:
    """Make optional what only the longer row has between a common beginning and a common end."""
    short, long = sorted((one, other), key=len)
    size = len(long) - len(short)
    for start in range(len(short) + 1):
        part = long[start : start + size]
        if not part or not isinstance(part[0], Lit) or not part[0].text.startswith("-"):
            continue
        found = [_Join(_Side.NEITHER, option=True)]
        before = _align(long[:start], short[:start], found)
        after = _align(long[start + size :], short[start:], found)
        if before is not None and after is not None:
            joins.extend(found)
            return (*before, Opt(part[0].text.lstrip("-"), part), *after)
    return None


def join(one: ArgSpec, other: ArgSpec) -> ArgSpec | None:
    """The specification of both: one that covers the other, or a choice of few constants."""
    if covers(one, other):
        return one
    if covers(other, one):
        return other
    values, others = constants_of(one), constants_of(other)
    if values is not None and others is not None:
        together = tuple(dict.fromkeys((*values, *others)))
        return Choice(together) if len(together) <= MAX_CONSTANTS else None
    return None


def covers(wide: ArgSpec, narrow: ArgSpec) -> bool:
    """Whether the one certainly accepts every word that the other accepts, and as it is."""
    if wide == narrow:
        return True
    if isinstance(wide, PathWithin):
        return False  # it changes what it accepts
    constants = constants_of(narrow)
    if constants is not None:
        return all(word_test(wide)(each) is None for each in constants)
    match wide, narrow:
        case Any(), _:
            return _any_covers(wide, narrow)
        case Key(prefix, value, suffix), Key(same, inner, end):
            return (prefix, suffix) == (same, end) and covers(value, inner)
        case _:
            return False


def _any_covers(wide: Any, narrow: ArgSpec) -> bool:
    match narrow:
        case Any(operand, empty, newline):
            return operand >= wide.operand and empty <= wide.empty and newline <= wide.newline
        case Int(prefix=prefix):
            return not (wide.operand and prefix.startswith("-"))
        case AbsolutePath(newline=newline):
            return newline <= wide.newline
        case Key(prefix, value, suffix):
            inner = Any(newline=wide.newline)
            framed = f"{prefix}{suffix}"
            return word_test(replace(wide, empty=False))(framed) is None and covers(inner, value)
        case Matches(pattern):
            return wide == Any() or (wide.empty and _is_operand(pattern))
        case _:
            return False


def _is_operand(pattern: str) -> bool:
    """Whether a pattern is plainly of operands on one line; most are not that plain."""
    return _OPERAND_PATTERN.fullmatch(pattern) is not None


def constants_of(spec: ArgSpec) -> tuple[str, ...] | None:
    """The words that it accepts, where these are listed."""
    match spec:
        case Const(text):
            return (text,)
        case Choice(values):
            return values
        case _:
            return None
