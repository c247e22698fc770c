"""The shape of a command line: fixed words, holes, optional parts, repeated parts.

A template renders bindings to an argv and matches an argv to bindings. Matching takes polynomial
time whatever the nesting, because all ends of a part are kept at once; where several readings
fit, optional parts are present and repetitions are long.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from privmigrate.argv.spec import (
    Any,
    ArgSpec,
    Const,
    Int,
    Key,
)
from privmigrate.argv.word import conversion, describe, word_test
from privmigrate.errors import Refused


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
