"""A callee's values for one of its callers: arguments take the places of parameters."""

from collections.abc import Callable
from dataclasses import dataclass

from privmigrate.callsites.cutting import cut
from privmigrate.callsites.formatting import formatted
from privmigrate.callsites.frame import Frame
from privmigrate.callsites.values import (
    Bindings,
    Dict,
    Each,
    Either,
    Guard,
    Hole,
    Maybe,
    OneOf,
    Opaque,
    Piece,
    Segment,
    Segments,
    Seq,
    Splice,
    Str,
    Value,
    joined,
    pieces,
    spliced,
)


@dataclass(frozen=True, slots=True)
class Filling:
    """Puts a caller's values where parameters of a frame stand."""

    frame: Frame
    bindings: Bindings
    decide: Callable[[Guard, Bindings], bool | None]

    def value(self, value: Value) -> Value:
        """Fill in a value."""
        match value:
            case Opaque(hole):
                filled = self._bound(hole)
                return value if filled is None else filled
            case Str():
                return self._string(value)
            case Seq(segments):
                return Seq(self.segments(segments))
            case OneOf(options):
                return self._one_of(options, value)
            case Dict():
                return self.dictionary(value)
            case _:
                return value

    def _bound(self, hole: Hole | None) -> Value | None:
        if hole is None or hole.frame is not self.frame:
            return None
        if hole.outer is not None:
            return Opaque(hole.outer)
        if not hole.parameter:
            return None
        return self.bindings.get(hole.parameter)

    def _string(self, value: Str) -> Str:
        parts: list[Piece] = []
        for part in value.parts:
            bound = self._bound(part) if isinstance(part, Hole) else None
            if isinstance(part, Hole) and part.shown:
                parts.extend(formatted(bound, part.shown) or (part,))
            else:
                parts.extend(pieces(bound) if bound is not None else (part,))
        bound = self._bound(value.whole)
        if bound is not None:
            return Str(tuple(parts), bound.whole if not isinstance(bound, Dict) else None)
        foreign = value.whole is not None and value.whole.frame is self.frame
        return Str(joined(parts), None if foreign and parts != list(value.parts) else value.whole)

    def _one_of(self, options: tuple[tuple[Guard, Value], ...], value: OneOf) -> Value:
        kept = []
        for guard, option in options:
            holds = self.decide(guard, self.bindings)
            if holds:
                return self.value(option)
            if holds is None:
                kept.append((guard, self.value(option)))
        return OneOf(tuple(kept), value.whole) if kept else value

    def dictionary(self, value: Dict) -> Dict:
        """Fill in a dictionary; one that is passed through takes the place of its parameter."""
        over = tuple((key, self.value(each)) for key, each in value.over)
        under = tuple((key, self.value(each)) for key, each in value.under)
        passed = self._bound(value.rest)
        if not isinstance(passed, Dict):
            return Dict(over, value.rest, under)
        return Dict(
            tuple({**dict(passed.over), **dict(over)}.items()),
            passed.rest,
            tuple({**dict(under), **dict(passed.under)}.items()),
        )

    def segments(self, segments: Segments) -> Segments:
        """Fill in a row of segments."""
        return tuple(each for segment in segments for each in self._segment(segment))

    def _segment(self, segment: Segment) -> Segments:
        match segment:
            case Str():
                return (self._string(segment),)
            case Maybe(guard, inner):
                holds = self.decide(guard, self.bindings)
                if holds is not None:
                    return self.segments(inner) if holds else ()
                return (Maybe(guard, self.segments(inner)),)
            case Either(branches):
                return self._either(branches)
            case Each(source, element, inner, node):
                return (Each(source, element, self.segments(inner), node),)
            case Splice(hole):
                bound = self._bound(hole)
                return (segment,) if bound is None else cut(spliced(bound), segment)
            case _:
                return (segment,)

    def _either(self, branches: tuple[tuple[Guard, Segments], ...]) -> Segments:
        kept = []
        for guard, inner in branches:
            holds = self.decide(guard, self.bindings)
            if holds:
                return self.segments(inner)
            if holds is None:
                kept.append((guard, self.segments(inner)))
        return (Either(tuple(kept)),)
