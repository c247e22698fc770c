"""Patterns of filters, each read once: the same few occur in most rules."""

import functools
import re
from typing import Final

from privmigrate.argv import regex

# Text that is its own pattern, and most names of commands are.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_/-]+\Z")
_BROKEN: Final = "it is no valid regular expression: "

read = functools.lru_cache(maxsize=4096)(regex.read)
_compile = functools.lru_cache(maxsize=4096)(regex.compile_pattern)


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern matches the whole text."""
    if _PLAIN.match(pattern):
        return pattern == text
    return _compile(pattern).matches(text)


def why_broken(pattern: str) -> str | None:
    """Why `re` does not compile the pattern, or None."""
    if _PLAIN.match(pattern):
        return None
    why = _compile(pattern).why_never
    return why.removeprefix(_BROKEN) if why is not None and why.startswith(_BROKEN) else None
