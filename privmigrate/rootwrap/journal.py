"""Command lines out of logs: rootwrap's own lines, and calls of it by sudo and by services.

Whatever stands in front (a date, a host, a program's name) makes no difference. A line that is a
JSON list of words is one too, and where a file of command lines may be meant, any other line.
"""

import ast
import itertools
import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from privmigrate.errors import InputError
from privmigrate.rootwrap.command import Decision, Denied
from privmigrate.rootwrap.policy import Policy

# oslo.rootwrap 7.10, wrapper.py and cmd.py. The words of refused commands are joined by spaces.
_EXECUTING: Final = re.compile(r"Executing (?P<argv>\[.*\]) \(filter match = (?P<name>.*)\)")
_UNAUTHORIZED: Final = re.compile(r"Unauthorized command: (?P<words>.*) \(no filter matched\)")
_NOT_FOUND: Final = re.compile(r"Executable not found for: (?P<words>.*)")
# sudo 1.9 quotes words with spaces; before that, and in oslo.concurrency (Running cmd: sudo ...),
# words are joined by spaces.
_CALL: Final = re.compile(
    r"(?:^|[\s/]|(?P<sudo>COMMAND=\S*/)|=)"
    r"[\w.-]*rootwrap(?:-daemon)?\s+/\S*\.conf\s+(?P<words>\S.*)"
)
_OTHER: Final = re.compile(
    r"^(<\d+>)?([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)\S* "
)
_LONGEST: Final = 2**18
_LONGEST_LINE: Final = 2**22  # more than the kernel takes as arguments


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


def read_lines(file: str) -> Iterator[str]:
    """Read a log of any size line by line, ``-`` for standard input; raise InputError."""
    given = 0 if file == "-" else file
    try:
        with open(
            given, encoding="utf-8", errors="surrogateescape", newline="\n", closefd=given != 0
        ) as log:
            while line := log.readline(_LONGEST_LINE):
                rest = line
                while len(rest) == _LONGEST_LINE and not rest.endswith("\n"):
                    rest = log.readline(_LONGEST_LINE)
                yield line
    except OSError as error:
        raise InputError(f"{file}: error: cannot be read: {error.strerror}") from error


def read_journal(lines: Iterable[str], *, plain: bool) -> Iterator[Seen | Unread]:
    """Read every line that is not blank and not a comment.

    With `plain` a line that looks like no log is a command line, as one would type it.
    """
    for number, text in enumerate(lines, 1):
        line = text.rstrip("\n")
        if line.strip() and not line.lstrip().startswith("#"):
            yield _read(number, line, plain=plain)


def _read(number: int, line: str, *, plain: bool) -> Seen | Unread:
    if found := _EXECUTING.search(line):
        argv = _literal(found["argv"])
        if argv is None:
            return Unread(number, "the list of words is cut off")
        return Seen(number, argv, found["name"])
    for pattern in (_UNAUTHORIZED, _NOT_FOUND, _CALL):
        found = pattern.search(line)
        if found and (words := tuple(found["words"].split())):
            quoted = _quoted(found["words"]) if found.groupdict().get("sudo") else None
            return Seen(number, quoted or words, split=quoted is None)
    if line.startswith("[") and (argv := _json(line)) is not None:
        return Seen(number, argv)
    if not plain or _OTHER.match(line):
        return Unread(number, "")
    try:
        words = _split(line)
    except ValueError as error:
        return Unread(number, f"not a command line: {error}")
    return Seen(number, words) if words else Unread(number, "no command")


def _quoted(text: str) -> tuple[str, ...] | None:
    """Words of which those with spaces are quoted; None if there is no such word."""
    try:
        words = _split(text)
    except ValueError:
        return None
    return words if any(" " in word for word in words) else None


def _split(text: str) -> tuple[str, ...]:
    """As a shell does; raise ValueError, also for what would take shlex minutes."""
    if len(text) > _LONGEST:
        raise ValueError(f"longer than {_LONGEST} characters")
    return tuple(shlex.split(text))


def _literal(text: str) -> tuple[str, ...] | None:
    """The list as Python prints it."""
    try:
        return _words(ast.literal_eval(text))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _json(text: str) -> tuple[str, ...] | None:
    try:
        return _words(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _words(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        return None
    return tuple(value)


def decide_again(
    policy: Policy, seen: Seen, environ: Mapping[str, str] | None = None
) -> tuple[tuple[str, ...], Decision]:
    """Decide on what the caller wrote, and say what that was.

    The log has the executable's path where rootwrap ran it, and the caller's word was its base
    name or that path. The variables of an EnvFilter are not in the log: the entry that it names is
    believed, and each variable without a value in the entry is set to ``x``.
    """
    argv, name = seen.argv, seen.name
    base = (os.path.basename(argv[0]), *argv[1:])  # noqa: PTH119 - of words
    answers = [
        (words, policy.decide(words, environ=environ)) for words in dict.fromkeys((argv, base))
    ]
    for words, decision in answers:
        if not isinstance(decision, Denied) and name in {"", decision.name}:
            return words, decision
    for rule in policy.rules:
        if rule.name == name and rule.filter_class == "EnvFilter":
            variables = itertools.takewhile(lambda text: "=" in text, rule.texts[2:])
            assignments = tuple(f"{text}x" if text.endswith("=") else text for text in variables)
            words = (*assignments, *base)
            return words, policy.decide(words, environ=environ)
    return next((a for a in answers if not isinstance(a[1], Denied)), answers[0])
