"""Examples that stand beside the code they show, are run as its tests and are its manual.

A filter class has `Allow` and `Deny`, an audit rule `Finds` and `Clean`, a native command `Same`
and `Kept`, an executor `Yields` and `Ignored`: of each pair at least one.
`tests/test_examples.py` runs them all.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allow:
    """`definition` allows `argv`, and `runs` is what would be executed."""

    name: str
    definition: str
    argv: tuple[str, ...]
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Deny:
    """`definition` denies `argv` for the reason `why`, to the letter."""

    name: str
    definition: str
    argv: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Finds:
    """An audit rule finds `message` at `place` (``line:column``) in `source`."""

    name: str
    source: str
    place: str
    message: str


@dataclass(frozen=True, slots=True)
class Clean:
    """An audit rule finds nothing in `source`: a near miss."""

    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Same:
    """After the shell commands `setup`, `argv` by the real tool and natively does the same.

    Attributes:
        stdin: what both are fed.
        undo: shell commands that look at what no listing shows, and take it away.
    """

    name: str
    setup: str
    argv: tuple[str, ...]
    stdin: bytes = b""
    undo: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A form of the command that is left to the real tool, and `why`."""

    name: str
    argv: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Yields:
    """Python `source` has call sites with these templates, as `privmigrate callsites` prints."""

    name: str
    source: str
    templates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ignored:
    """Python `source` runs nothing as root: a near miss."""

    name: str
    source: str
