"""Prove that `re` matches a pattern in time linear in the text, or say that it may not.

The proof is for a small class that most patterns of real filters are in: alternatives without
repetition, and repetition of single characters only. Each way through the alternatives is then a
row of single characters and repeated single characters. A repeated one whose characters cannot
begin what follows is given back in vain at once; one whose characters can is harmless where what
follows has a bounded length. `re` tries the ways one after the other, so their costs add up.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from privmigrate.argv.syntax import LAST_CHARACTER, Alt, At, Char, Look, Node, Repeat, Seq

MAX_WAYS: Final = 64
MAX_TRIES: Final = 512
LAST_ASCII: Final = 127

_Interval = tuple[int, int]
_Item = tuple[Char, int, int | None]
# At least the characters of each category, with and without `re.ASCII`.
_NON_ASCII: Final = (128, LAST_CHARACTER)
_MORE_THAN: Final[dict[str, tuple[_Interval, ...]]] = {
    r"\d": ((48, 57), _NON_ASCII),
    r"\D": ((0, 47), (58, LAST_CHARACTER)),
    r"\s": ((9, 13), (28, 32), _NON_ASCII),
    r"\S": ((0, 8), (14, 31), (33, LAST_CHARACTER)),
    r"\w": ((48, 57), (65, 90), (95, 95), (97, 122), _NON_ASCII),
    r"\W": ((0, 47), (58, 64), (91, 94), (96, 96), (123, LAST_CHARACTER)),
}


class _Unproven(Exception):  # noqa: N818 - leaves the search where it ended
    """No proof for this tree."""


def is_linear(node: Node) -> bool:
    """Say whether `re` provably needs linear time for a whole-text match of this tree."""
    try:
        ways = _ways(node)
    except _Unproven:
        return False
    return all(_way_is_linear(way) for way in ways)


def _ways(node: Node) -> list[tuple[_Item, ...]]:
    match node:
        case Char():
            return [((node, 1, 1),)]
        case Seq(items):
            ways: list[tuple[_Item, ...]] = [()]
            for item in items:
                ways = _bounded([*_products(ways, _ways(item))])
            return ways
        case Alt(branches):
            return _bounded([way for branch in branches for way in _ways(branch)])
        case Repeat(Char() as char, low, high):
            return [((char, low, high),)]
        case Repeat(item, 0, 1):
            return _bounded([*_ways(item), ()])
        case Repeat() | At() | Look():
            raise _Unproven


def _products(
    left: list[tuple[_Item, ...]], right: list[tuple[_Item, ...]]
) -> Iterator[tuple[_Item, ...]]:
    for first in left:
        for second in right:
            yield first + second


def _bounded(ways: list[tuple[_Item, ...]]) -> list[tuple[_Item, ...]]:
    # and no longer than `_way_is_linear` takes: to append to a way is to copy it
    if len(ways) > MAX_WAYS or any(len(way) > MAX_TRIES for way in ways):
        raise _Unproven
    return ways


def _way_is_linear(way: tuple[_Item, ...]) -> bool:
    """Go through from the end, keeping what a try of the rest may cost at one place."""
    begins: tuple[_Interval, ...] = ()  # the characters that the rest may begin with
    tries = 1
    unbounded = False
    for char, low, high in reversed(way):
        intervals = _intervals(char)
        if low != high and _overlap(intervals, begins):
            if unbounded:
                return False
            tries *= 1 if high is None else high - low + 1
            if tries > MAX_TRIES:
                return False
        unbounded = unbounded or high is None
        tries += low if high is None else high
        if tries > MAX_TRIES:
            return False
        begins = intervals if low else (*intervals, *begins)
    return True


def _intervals(char: Char) -> tuple[_Interval, ...]:
    """At least the characters that are accepted, as intervals."""
    if char.negated:
        # Of what a negated class leaves out only what is certain may be left out.
        if char.flags & re.IGNORECASE:
            return ((0, LAST_CHARACTER),)
        return tuple(_complement(char.ranges))
    ranges = [*char.ranges]
    for category in char.categories:
        ranges.extend(_MORE_THAN[category])
    if char.flags & re.IGNORECASE:
        ranges.append(_NON_ASCII)
        for low, high in char.ranges:
            letters = range(max(low, 65), min(high, 122) + 1)
            ranges.extend((code ^ 32, code ^ 32) for code in letters)
            if high > LAST_ASCII:
                ranges.append((0, LAST_ASCII))  # such as U+212A, which folds to k
    return tuple(ranges)


def _complement(ranges: tuple[_Interval, ...]) -> Iterator[_Interval]:
    ordered = [(-1, -1), *sorted(ranges), (LAST_CHARACTER + 1, LAST_CHARACTER + 1)]
    reached = -1
    for (_, high), (low, _) in pairwise(ordered):
        reached = max(reached, high)
        if reached + 1 < low:
            yield (reached + 1, low - 1)


def _overlap(left: tuple[_Interval, ...], right: tuple[_Interval, ...]) -> bool:
    return any(a <= d and c <= b for a, b in left for c, d in right)
