"""Patterns of filters, each read once: the same few occur in most rules."""

import functools
import re
from typing import Final

from privmigrate.argv import regex
from privmigrate.argv.syntax import Alt, At, Char, Look, Node, Repeat, Seq, Unsupported, parse

# Text that is its own pattern, and most names of commands are.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_/-]+\Z")
_DASH: Final = ord("-")
_NO_DASH: Final = frozenset((r"\d", r"\s", r"\w"))
_BROKEN: Final = "it is no valid regular expression: "

read = functools.lru_cache(maxsize=4096)(regex.read)
_compile = functools.lru_cache(maxsize=4096)(regex.compile_pattern)


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern matches the whole text."""
    if is_plain(pattern):
        return pattern == text
    return _compile(pattern).matches(text)


def is_plain(pattern: str) -> bool:
    """Whether rootwrap too matches nothing but this very text."""
    return _PLAIN.match(pattern) is not None


def why_broken(pattern: str) -> str | None:
    """Why `re` does not compile the pattern, or None."""
    if is_plain(pattern):
        return None
    why = _compile(pattern).why_never
    return why.removeprefix(_BROKEN) if why is not None and why.startswith(_BROKEN) else None


@functools.lru_cache(maxsize=4096)
def may_begin_with_dash(pattern: str) -> bool:
    """Whether some text that begins with ``-`` matches; also where that is only not certain."""
    try:
        return _may_begin(parse(pattern))
    except Unsupported:
        return False


def _may_begin(node: Node) -> bool:
    match node:
        case Char(ranges, categories, negated):
            found = any(low <= _DASH <= high for low, high in ranges)
            found = found or any(category not in _NO_DASH for category in categories)
            return found != negated
        case Seq(items):
            for item in items:
                if _may_begin(item):
                    return True
                if not _may_be_empty(item):
                    return False
            return False
        case Alt(branches):
            return any(map(_may_begin, branches))
        case Repeat(item):
            return _may_begin(item)
        case At() | Look():
            return False


def _may_be_empty(node: Node) -> bool:
    match node:
        case Char():
            return False
        case Seq(items):
            return all(map(_may_be_empty, items))
        case Alt(branches):
            return any(map(_may_be_empty, branches))
        case Repeat(item, low):
            return low == 0 or _may_be_empty(item)
        case At() | Look():
            return True
