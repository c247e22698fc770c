"""Whether what was evaluated earlier may be evaluated at the call instead."""

import ast
from collections.abc import Iterable

from privmigrate.callsites.raw import RawSite
from privmigrate.callsites.state import has_effect
from privmigrate.callsites.values import Each, Either, Guard, Hole, Maybe, Segment, Segments, Str


class Motion:
    """Decides it for the holes of one call."""

    def __init__(self, raw: RawSite, segments: Segments) -> None:
        self.raw = raw
        self.inside = {id(node) for node in ast.walk(raw.node)}
        self.moved: set[int] = set()
        self.floor = raw.start.effects
        self._chain(list(_holes(segments)))

    def _chain(self, holes: list[Hole]) -> None:
        """Calls that follow each other with nothing in between may all be made later."""
        for hole in reversed(holes):
            if id(hole.node) in self.inside or not has_effect(hole.node):
                continue
            if hole.stamp.after != self.floor:
                break
            self.moved.add(id(hole.node))
            self.floor = hole.stamp.before

    def movable(self, hole: Hole | None, bound: Iterable[str] = ()) -> bool:
        """Whether the expression, evaluated at the call, gives the same value and does no more."""
        if hole is None or hole.frame is not self.raw.frame:
            return False
        if id(hole.node) in self.inside:
            return True
        if has_effect(hole.node) and id(hole.node) not in self.moved:
            return False
        # assignments to objects and calls move both counters, so an unbroken chain has neither
        if hole.stamp.heap and not (
            hole.stamp.heap == self.raw.start.heap or hole.stamp.heap >= self.floor
        ):
            return False
        names = set(bound)
        versions = self.raw.start.versions
        return all(
            name in names or versions.get(name, 0) == version for name, version in hole.stamp.reads
        )


def _holes(segments: Segments) -> Iterable[Hole]:
    """Holes in the order in which they were evaluated, roughly that of the words."""
    for segment in segments:
        yield from _holes_of(segment)


def _holes_of(segment: Segment) -> Iterable[Hole]:
    match segment:
        case Str(parts, whole):
            inner = [part for part in parts if isinstance(part, Hole)]
            yield from inner or ([whole] if whole is not None else [])
        case Maybe(Guard(hole), row):
            if hole is not None:
                yield hole
            yield from _holes(row)
        case Each(source, _, row):
            if source is not None:
                yield source
            yield from _holes(row)
        case Either(branches):
            for guard, row in branches:
                yield from _holes_of(Maybe(guard, row))
        case _:
            hole = getattr(segment, "hole", None)
            if isinstance(hole, Hole):
                yield hole
