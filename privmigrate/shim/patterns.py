"""Patterns as the index holds them: a word, or the code that `re` makes of `pattern + '$'`.

The code is taken from `re._compiler`, which is no public interface: where it is not as known, or
the client is another interpreter, the pattern's text is compiled there and then.
"""

import _sre  # type: ignore[import-not-found]
import re

from privmigrate.rootwrap.words import is_word
from privmigrate.shim.client import PART


def encode_pattern(pattern: str) -> str:
    """The pattern's text in the index: `=WORD`, `!` for one that is broken, or `~` and code."""
    if is_word(pattern):
        return "=" + pattern
    source = pattern + "$"
    try:
        compiled = re.compile(source)
    except re.error:
        return "!"
    code = _code_of(source)
    names = " ".join(f"{name}={number}" for name, number in compiled.groupindex.items())
    fields = (source, str(compiled.flags), str(compiled.groups), names, code)
    return "~" + PART.join(fields)


def _code_of(source: str) -> str:
    from re import _compiler, _parser  # type: ignore[attr-defined]

    code = _compiler._code(_parser.parse(source, 0), 0)  # noqa: SLF001 - see above
    _sre.compile(source, 0, code, re.compile(source).groups, {}, (None,))
    return " ".join(str(int(word)) for word in code)  # some have names
