"""The shape of a command line: fixed words, holes, optional parts, repeated parts.

A template renders bindings to an argv, matches an argv to bindings, and is unified with another
one when both are the same command called in two places. Matching takes polynomial time whatever
the nesting, because all ends of a part are kept at once; where several readings fit, optional
parts are present and repetitions are long.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from privmigrate.argv.spec import Any, ArgSpec, Choice, Const, Int, Key
from privmigrate.argv.word import conversion, describe, word_test
from privmigrate.errors import Refused

MAX_CONSTANTS: Final = 8
"""Different constants in one place that are still a choice between them."""


@dataclass(frozen=True, slots=True)
class Lit:
    """One fixed word."""

    text: str


@dataclass(frozen=True, slots=True)
class Hole:
    """One word that the specification describes, bound to a name."""

    name: str
    spec: ArgSpec = field(default_factory=Any)


@dataclass(frozen=True, slots=True)
class Opt:
    """A part that may be there; bound to the part's own bindings, or None."""

    name: str
    segments: tuple["Segment", ...]


@dataclass(frozen=True, slots=True)
class Rep:
    """A part any number of times, also none; bound to the bindings of each time."""

    name: str
    segments: tuple["Segment", ...]


Segment = Lit | Hole | Opt | Rep
Bindings = Mapping[str, "Binding"]
Binding = str | Bindings | tuple[Bindings, ...] | None


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why an argv is not of a template's shape; words count from 1."""

    why: str


@dataclass(slots=True)
class _Attempt:
    """One match: the argv, and what stood in the way where it got furthest."""

    argv: tuple[str, ...]
    place: int = -1
    why: str = ""

    def note(self, place: int, why: str) -> None:
        if place > self.place:
            self.place, self.why = place, why


@dataclass(frozen=True, slots=True)
class Template:
    """Segments in order."""

    segments: tuple[Segment, ...]

    def render(self, bindings: Bindings) -> tuple[str, ...]:
        """Make the argv; raise Refused for a value that its specification does not accept."""
        return tuple(_render(self.segments, bindings))

    def match(self, argv: tuple[str, ...]) -> Bindings | Mismatch:
        """Bind an argv, with converted values: rendered again it is what may be executed."""
        attempt = _Attempt(argv)
        ends = _sequence_ends(self.segments, 0, attempt)
        if len(argv) in ends:
            return ends[len(argv)]
        for end in ends:
            attempt.note(end, f"word {end + 1} is one too many")
        return Mismatch(attempt.why)


def unify(one: Template, other: Template) -> Template | None:
    """Make the template of both, or None where they are different commands.

    It accepts what either accepts, and apart from combinations of optional parts nothing else:
    different fixed words are different commands; a constant beside a hole, or beside other
    constants in a hole, becomes a choice; one part that only one of them has, and that begins
    with an option, becomes optional.
    """
    aligned = _align(one.segments, other.segments)
    if aligned is None:
        aligned = _with_new_option(one.segments, other.segments)
    if aligned is None or not _names_differ(aligned):
        return None
    return Template(aligned)


def _names_differ(segments: tuple[Segment, ...]) -> bool:
    """Whether no two parts would be bound to one name."""
    named = [segment for segment in segments if not isinstance(segment, Lit)]
    return len({segment.name for segment in named}) == len(named) and all(
        _names_differ(segment.segments) for segment in named if isinstance(segment, Opt | Rep)
    )


def _render(segments: tuple[Segment, ...], bindings: Bindings) -> Iterator[str]:
    for segment in segments:
        if isinstance(segment, Lit):
            yield segment.text
            continue
        bound = bindings.get(segment.name)
        match segment, bound:
            case Hole(name, spec), str(value):
                try:
                    yield _word(spec, conversion(spec)(value))
                except Refused as refused:
                    raise Refused(f"{name} {refused}") from None
            case Opt(), None:
                continue
            case Opt(_, inner), Mapping():
                yield from _render(inner, bound)
            case Rep(_, inner), tuple():
                for each in bound:
                    yield from _render(inner, each)
            case _:
                raise Refused(f"{segment.name} is missing, or of another kind")


def _word(spec: ArgSpec, value: str) -> str:
    if isinstance(spec, Int | Key):
        return f"{spec.prefix}{value}{spec.suffix}"
    return value


def _value(spec: ArgSpec, word: str) -> str:
    if isinstance(spec, Int | Key):
        return word[len(spec.prefix) : len(word) - len(spec.suffix)]
    return word


_Ends = dict[int, Bindings]


def _sequence_ends(segments: tuple[Segment, ...], start: int, attempt: _Attempt) -> _Ends:
    """Every place where the segments may end that begin at `start`; the preferred reading each."""
    ends: _Ends = {start: {}}
    for segment in segments:
        further: _Ends = {}
        for place, bindings in ends.items():
            for end, found in _segment_ends(segment, place, attempt).items():
                further.setdefault(end, {**bindings, **found})
        ends = further
    return ends


def _segment_ends(segment: Segment, start: int, attempt: _Attempt) -> _Ends:
    match segment:
        case Lit(text):
            return _word_ends(Const(text), None, start, attempt)
        case Hole(name, spec):
            return _word_ends(spec, name, start, attempt)
        case Opt(name, inner):
            ends: _Ends = {
                end: {name: found} for end, found in _sequence_ends(inner, start, attempt).items()
            }
            ends.setdefault(start, {name: None})
            return ends
        case Rep(name, inner):
            return _repeated_ends(name, inner, start, attempt)


def _word_ends(spec: ArgSpec, name: str | None, start: int, attempt: _Attempt) -> _Ends:
    if start >= len(attempt.argv):
        attempt.note(start, f"word {start + 1} is missing: {describe(spec)}")
        return {}
    word = attempt.argv[start]
    why = word_test(spec)(word)
    if why is not None:
        attempt.note(start, f"word {start + 1} {why}")
        return {}
    if name is None:
        return {start + 1: {}}
    try:
        return {start + 1: {name: conversion(spec)(_value(spec, word))}}
    except Refused as refused:  # a path may have changed since the test
        attempt.note(start, f"word {start + 1} {refused}")
        return {}


def _repeated_ends(name: str, inner: tuple[Segment, ...], start: int, attempt: _Attempt) -> _Ends:
    found: dict[int, tuple[Bindings, ...]] = {start: ()}
    pending = [start]
    for place in pending:
        for end, bindings in _sequence_ends(inner, place, attempt).items():
            if end not in found:
                found[end] = (*found[place], bindings)
                pending.append(end)
    # the longest first: what follows prefers it
    return {end: {name: found[end]} for end in sorted(found, reverse=True)}


def _align(one: tuple[Segment, ...], other: tuple[Segment, ...]) -> tuple[Segment, ...] | None:
    """Unify two rows; an optional part of one may be there in the other, or not."""
    if not one and not other:
        return ()
    if one and other:
        both = _unify_segments(one[0], other[0])
        if both is not None and (rest := _align(one[1:], other[1:])) is not None:
            return (both, *rest)
    for first, second in ((one, other), (other, one)):
        if not first or not isinstance(first[0], Opt):
            continue
        option = first[0]
        size = len(option.segments)
        inner = _align(option.segments, second[:size])
        if inner and (rest := _align(first[1:], second[size:])) is not None:
            return (Opt(option.name, inner), *rest)
        if (rest := _align(first[1:], second)) is not None:
            return (option, *rest)
    return None


def _unify_segments(one: Segment, other: Segment) -> Segment | None:
    match one, other:
        case Lit(text), Lit(same):
            return one if text == same else None
        case Hole(name, spec), Lit(text):
            joined = join(spec, Const(text))
            return None if joined is None else Hole(name, joined)
        case Lit(), Hole():
            return _unify_segments(other, one)
        case Hole(name, spec), Hole(_, second):
            joined = join(spec, second)
            return None if joined is None else Hole(name, joined)
        case Opt(name, inner), Opt(_, second):
            aligned = _align(inner, second)
            return None if aligned is None else Opt(name, aligned)
        case Rep(name, inner), Rep(_, second):
            aligned = _align(inner, second)
            return None if aligned is None else Rep(name, aligned)
        case _:
            return None


def _with_new_option(
    one: tuple[Segment, ...], other: tuple[Segment, ...]
) -> tuple[Segment, ...] | None:
    """Make optional what only the longer row has between a common beginning and a common end."""
    short, long = sorted((one, other), key=len)
    size = len(long) - len(short)
    for start in range(len(short) + 1):
        part = long[start : start + size]
        if not part or not isinstance(part[0], Lit) or not part[0].text.startswith("-"):
            continue
        before = _align(long[:start], short[:start])
        after = _align(long[start + size :], short[start:])
        if before is not None and after is not None:
            return (*before, Opt(part[0].text.lstrip("-"), part), *after)
    return None


def join(one: ArgSpec, other: ArgSpec) -> ArgSpec | None:
    """The specification of both: one that covers the other, or a choice of few constants."""
    if one == other:
        return one
    values, others = _constants(one), _constants(other)
    if values is not None and others is not None:
        together = tuple(dict.fromkeys((*values, *others)))
        return Choice(together) if len(together) <= MAX_CONSTANTS else None
    for spec, constants in ((one, others), (other, values)):
        if constants is not None and all(word_test(spec)(each) is None for each in constants):
            return spec
    return None


def _constants(spec: ArgSpec) -> tuple[str, ...] | None:
    match spec:
        case Const(text):
            return (text,)
        case Choice(values):
            return values
        case _:
            return None
