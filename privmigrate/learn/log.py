"""What is to be learned of the command lines that were really run, by a log."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from privmigrate.learn.report import line
from privmigrate.privsep.knowledge import lookup
from privmigrate.rootwrap.command import Allowed, Command
from privmigrate.rootwrap.journal import Seen, decide_again, read_journal

if TYPE_CHECKING:  # one command to learn needs no filters
    from privmigrate.rootwrap.policy import Policy

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


def read_uses(lines: Iterable[str], policy: "Policy", environ: Mapping[str, str]) -> list[Use]:
    """The distinct command lines, in the order of their first occurrence.

    Those that differ in numbers and UUIDs alone are one: the first stands for all.
    """
    first: dict[tuple[str, ...], Seen] = {}
    times: dict[tuple[str, ...], int] = {}
    for seen in read_journal(lines, plain=False):
        if isinstance(seen, Seen):
            shape = tuple(_VARYING.sub("#", word) for word in seen.argv)
            first.setdefault(shape, seen)
            times[shape] = times.get(shape, 0) + 1
    return [_use(seen, times[shape], policy, environ) for shape, seen in first.items()]


def _use(seen: Seen, times: int, policy: "Policy", environ: Mapping[str, str]) -> Use:
    asked, decision = decide_again(policy, seen, environ)
    match decision:
        case Allowed() if len(asked) > len(seen.argv):
            return Use(seen.argv, times, None, "its variables are not in the log")
        case Allowed(command=command):
            return Use(seen.argv, times, command)
        case other:
            why = getattr(other, "why", "its executable is not there")
            return Use(seen.argv, times, None, why)


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
