"""What can be wrong with a regular expression, seen in its text or its tree: none is executed."""

import re
from typing import Final

from privmigrate.argv.syntax import LAST_CHARACTER, Alt, Char, Node, Repeat, Seq, Unsupported, parse

MAX_WAYS: Final = 64
_RANGE: Final = re.compile(r"(\\?.)-(\\?.)")
_CLASS: Final = re.compile(r"(?<!\\)\[\^?\]?((?:\\.|[^\]\\])*)\]")
_SAME_KIND: Final = re.compile(r"[0-9]-[0-9]|[a-z]-[a-z]|[A-Z]-[A-Z]")

_Way = tuple[tuple[Char, int, int | None], ...]


def is_ambiguous(pattern: str) -> bool:
    """Whether a repeated part can divide the same text in many ways, which `re` tries all."""
    try:
        return _is_ambiguous(parse(pattern))
    except (Unsupported, RecursionError):
        return False


def _is_ambiguous(node: Node) -> bool:
    match node:
        case Repeat(item, _, None) if not isinstance(item, Char):
            ways = _ways(item)
            return ways is None or any(map(_repeats_itself, ways)) or _is_ambiguous(item)
        case Repeat(item):
            return _is_ambiguous(item)
        case Seq(items):
            return any(map(_is_ambiguous, items))
        case Alt(branches):
            return any(map(_is_ambiguous, branches))
        case _:
            return False


def _repeats_itself(way: _Way) -> bool:
    """Whether two rounds of the item can be read as one: nothing certain stands between them."""
    open_ended = [char for char, _, high in way if high is None]
    certain = [char for char, low, _ in way if low]
    return any(
        not any(_are_apart(char, other) for other in certain if other is not char)
        for char in open_ended
    )


def _ways(node: Node) -> list[_Way] | None:
    """The rows of repeated characters that a node may be; None where it is nested deeper."""
    match node:
        case Char():
            return [((node, 1, 1),)]
        case Seq(items):
            ways: list[_Way] = [()]
            for item in items:
                more = _ways(item)
                if more is None or len(ways) * len(more) > MAX_WAYS:
                    return None
                ways = [one + other for one in ways for other in more]
            return ways
        case Alt(branches):
            lists = [_ways(branch) for branch in branches]
            found = [way for ways in lists if ways is not None for way in ways]
            return None if None in lists else found
        case Repeat(Char() as char, low, high):
            return [((char, low, high),)]
        case Repeat(item, low, _):
            inner = _ways(item)
            if inner is None:
                return None
            return inner if low else [*inner, ()]
        case _:
            return [()]


def _are_apart(one: Char, other: Char) -> bool:
    """Whether no character is in both; categories count as everything."""
    if one.categories or other.categories:
        return False
    return not any(a <= d and c <= b for a, b in _intervals(one) for c, d in _intervals(other))


def _intervals(char: Char) -> list[tuple[int, int]]:
    if not char.negated:
        return list(char.ranges)
    found, reached = [], 0
    for low, high in sorted(char.ranges):
        if reached < low:
            found.append((reached, low - 1))
        reached = max(reached, high + 1)
    return [*found, (reached, LAST_CHARACTER)]


def odd_range(pattern: str) -> str:
    """A range in a character class whose ends are not of one kind, such as ``/-[``."""
    for inside in _CLASS.finditer(pattern):
        text = inside.group(1)
        place = 0
        while found := _RANGE.search(text, place):
            low, high = found.group(1), found.group(2)
            place = found.end()
            if len(low) > 1 and low[1].isalpha():
                place = found.start() + 2  # a category: the dash behind it is a dash
            elif not _SAME_KIND.fullmatch(f"{low}-{high}") and low != high:
                return found.group()
    return ""
