"""Command lines out of logs: rootwrap's own lines in syslog, sudo's, and plain command lines."""

import ast
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

# oslo.rootwrap 7.10, wrapper.py and cmd.py. The words of refused commands are joined by spaces.
_EXECUTING: Final = re.compile(
    r"\(\S+ > \S+\) Executing (?P<argv>\[.*\]) \(filter match = (?P<name>.*)\)"
)
_UNAUTHORIZED: Final = re.compile(r"Unauthorized command: (?P<words>.*) \(no filter matched\)")
_NOT_FOUND: Final = re.compile(r"Executable not found for: (?P<words>.*)")
# sudo's own log: the command is what it ran, and spaces in words are not told from those between.
_SUDO: Final = re.compile(
    r"COMMAND=\S*-rootwrap(?:-daemon)? \S+ (?P<words>\S.*)",
)
_OTHER: Final = re.compile(
    r"^(<\d+>)?([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)\S* "
)


@dataclass(frozen=True, slots=True)
class Seen:
    """A command in line `line` of a log.

    Attributes:
        argv: its words. Of a command that rootwrap ran, the first is the executable.
        name: the entry that rootwrap said it matched, or "".
        split: the words were joined in the log, and stand as they were split at spaces.
    """

    line: int
    argv: tuple[str, ...]
    name: str = ""
    split: bool = False


@dataclass(frozen=True, slots=True)
class Unread:
    """A line that has no command, and why it was passed over; `why` is "" for other programs'."""

    line: int
    why: str


def read_journal(lines: Iterable[str]) -> Iterator[Seen | Unread]:
    """Read every line that is not blank and not a comment."""
    for number, text in enumerate(lines, 1):
        line = text.rstrip("\n")
        if line.strip() and not line.lstrip().startswith("#"):
            yield _read(number, line)


def _read(number: int, line: str) -> Seen | Unread:
    if found := _EXECUTING.search(line):
        argv = _literal(found["argv"])
        if argv is None:
            return Unread(number, "the list of words is cut off")
        return Seen(number, argv, found["name"])
    for pattern in (_UNAUTHORIZED, _NOT_FOUND, _SUDO):
        if found := pattern.search(line):
            return Seen(number, tuple(found["words"].split()), split=True)
    if _OTHER.match(line):
        return Unread(number, "")
    try:
        words = tuple(shlex.split(line))
    except ValueError as error:
        return Unread(number, f"not a command line: {error}")
    return Seen(number, words) if words else Unread(number, "no command")


def _literal(text: str) -> tuple[str, ...] | None:
    """The list as Python prints it."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        return None
    return tuple(value)
