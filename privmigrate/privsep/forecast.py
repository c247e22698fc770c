"""What `natives.do` will do with a command line of which not every word is known yet.

For who writes code: no daemon needs it. The answer comes from trying a recogniser on words of
every kind that recognisers tell apart. It is a forecast and no guard: whatever a word turns out to
be, `do` looks again, and executes the tool where the native does not recognise it.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Final

from privmigrate.argv.spec import AbsolutePath, ArgSpec, Choice, Const, Int, Key, Never, PathWithin
from privmigrate.argv.word import word_test
from privmigrate.privsep.natives import find

_MOST: Final = 10_000  # combinations of words that are tried
_WORDS: Final = (
    *(
        "a",
        "a b",
        "",
        ".",
        "..",
        "/",
        "//",
        "/a",
        "/a/b",
        "/a/",
        "/a/..",
        "a/../b",
        "~",
        "*",
        "a\n",
    ),
    *("-", "-a", "-n", "-1", "--", "--help", "+1", "%1", "+x", "u+s", "g=u", "a=b", "a.b=c d", "="),
    *(
        "0",
        "1",
        "7",
        "8",
        "08",
        "0755",
        "755",
        "2G",
        "1KB",
        "99999999999999999999",
        "a:b",
        ":",
        "a:",
    ),
    *("root", "up", "eth0.1", "10.0.0.1/24", "00:11:22:33:44:55", "\udcff"),
)


def is_done_natively(tool: str, words: Sequence[str | ArgSpec | None]) -> bool:
    """Whether the daemon does a command itself for all values that its open words may have.

    The words are those behind the executable; of one that is None nothing is known.
    """
    native = find(tool)
    choices = [(word,) if isinstance(word, str) else tuple(_values(word)) for word in words]
    count = prod(map(len, choices))
    if native is None or not 0 < count <= _MOST:
        return False
    return all(native.recognise((tool, *each)) is not None for each in product(*choices))


def _values(spec: ArgSpec | None) -> Iterator[str]:
    """Words of every kind that the specification accepts."""
    match spec:
        case None:
            yield from _WORDS
        case Const(text):
            yield text
        case Choice(values):
            yield from values
        case Key(prefix, value, suffix):
            yield from (f"{prefix}{each}{suffix}" for each in _values(value))
        case Int(prefix=prefix, suffix=suffix):
            yield from _accepted(spec, prefix, suffix)
        case PathWithin(base):
            yield from (base, f"{base}/a", f"{base}/a b/c")
        case AbsolutePath(below, stem=stem):
            yield from _accepted(spec, below + stem)
            yield from _accepted(spec)
        case Never():
            return
        case _:
            yield from _accepted(spec)


def _accepted(spec: ArgSpec, prefix: str = "", suffix: str = "") -> Iterator[str]:
    test = word_test(spec)
    words = (f"{prefix}{word}{suffix}" for word in _WORDS)
    yield from (word for word in words if test(word) is None)
