"""Command lines that were really run, out of logs.

Understood are, anywhere in a line: what rootwrap itself logs (``Executing ['ip', 'link'] (filter
match = ip)``), a call of a rootwrap as sudo and services log it (``cinder-rootwrap CONF lvs
--noheadings``), and a line that is a JSON list of words.
"""

import ast
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from privmigrate.learn.report import line
from privmigrate.privsep.knowledge import lookup
from privmigrate.rootwrap.command import Allowed, Command

if TYPE_CHECKING:  # one command to learn needs no filters
    from privmigrate.rootwrap.policy import Policy

_EXECUTING: Final = re.compile(r"Executing (\[.*\]) \(filter match = ")
_CALL: Final = re.compile(r"(?:^|[\s=/])[\w.-]*rootwrap\s+(?:/[^\s]*\.conf)\s+(\S.*)$")
# Two command lines that differ only in these are one to learn.
_VARYING: Final = re.compile(r"\d+|[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|0x[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Use:
    """A command line of a log: what the policy makes of it, and how often it or its like occurs.

    `command` is None where the filters do not allow it.
    """

    argv: tuple[str, ...]
    times: int
    command: Command | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """One command to learn: what it is filed under, and what is executed."""

    argv: tuple[str, ...]
    executable: str
    environment: tuple[tuple[str, str], ...] = ()


def parse_line(text: str) -> tuple[str, ...] | None:
    """The words of the command line that a log's line holds, if it holds one."""
    executing = _EXECUTING.search(text)
    try:
        if executing is not None:
            return _words(ast.literal_eval(executing[1]))
        if text.startswith("["):
            return _words(json.loads(text))
        call = _CALL.search(text.rstrip())
        return _words(shlex.split(call[1])) if call is not None else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _words(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not value or not all(isinstance(w, str) for w in value):
        return None
    return tuple(value)


def read_uses(lines: Iterable[str], policy: "Policy", environ: Mapping[str, str]) -> list[Use]:
    """The distinct command lines, in the order of their first occurrence.

    Those that differ in numbers and UUIDs alone are one: the first stands for all.
    """
    first: dict[tuple[str, ...], tuple[str, ...]] = {}
    times: dict[tuple[str, ...], int] = {}
    for text in lines:
        argv = parse_line(text)
        if argv is not None:
            shape = tuple(_VARYING.sub("#", word) for word in argv)
            first.setdefault(shape, argv)
            times[shape] = times.get(shape, 0) + 1
    return [_use(argv, times[shape], policy, environ) for shape, argv in first.items()]


def _use(argv: tuple[str, ...], times: int, policy: "Policy", environ: Mapping[str, str]) -> Use:
    decision = policy.decide(argv, environ=environ)
    if not isinstance(decision, Allowed):
        # rootwrap logs the path that it found, where the service gave the name
        bare = (argv[0].rpartition("/")[2], *argv[1:])
        again = policy.decide(bare, environ=environ)
        decision = again if isinstance(again, Allowed) else decision
    match decision:
        case Allowed(command=command):
            return Use(argv, times, command)
        case other:
            return Use(argv, times, None, getattr(other, "why", "its executable is not there"))


def plan_tasks(uses: Iterable[Use], *, with_known: bool) -> tuple[list[Task], list[str]]:
    """What is to be learned, and a note for each command line that is not."""
    tasks, notes = [], []
    for use in uses:
        evidence = lookup(use.argv)
        if use.command is None:
            notes.append(f"{line(use.argv)}: passed over: {use.why}")
        elif use.command.run_as != "root":
            notes.append(f"{line(use.argv)}: runs as {use.command.run_as}, and so needs none")
        elif evidence is not None and evidence.verified and not with_known:
            notes.append(f"{line(use.argv)}: known already (--all learns it anew)")
        else:
            # of `env A=1 dnsmasq` the command is dnsmasq
            name = use.command.executable.rpartition("/")[2]
            first = use.argv[0] if use.argv[0].endswith(f"/{name}") else name
            argv = (first, *use.command.argv[1:])
            tasks.append(Task(argv, use.command.executable, use.command.environment))
    return list(dict.fromkeys(tasks)), notes
