"""KillFilter: signals for the processes of one program."""

import os
import re
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from privmigrate.diagnostics import Diagnostic, Severity
from privmigrate.examples import Allow, Deny
from privmigrate.rootwrap.command import Allowed, Denied
from privmigrate.rootwrap.filters.base import Filter
from privmigrate.rootwrap.rule import Rule

# Where a program that a rule names without a path may be; oslo.rootwrap looks at its own PATH.
PROGRAM_DIRS: Final = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
)
_PID: Final = re.compile(r"[1-9][0-9]{0,9}")
_DELETED: Final = " (deleted)"  # proc(5), /proc/pid/exe
_WORDS_WITH_SIGNAL: Final = 3
_WORDS_WITHOUT: Final = 2


@dataclass(frozen=True, slots=True)
class KillFilter(Filter):
    """Allow kill with one of the signals, for processes that execute one program.

    Values: the user, the program, the signals as they are written in the command line (`-9`,
    `-HUP`). Without signals in the rule, only kill without a signal is allowed. The program is
    what /proc/PID/exe names and has to exist; oslo.rootwrap believes the process's own command
    line where it does not. A program without a path may be in the system's folders only, whatever
    PATH says. A program that runs others by name (python) stands for all of them.
    """

    EXAMPLES: ClassVar[tuple[Allow | Deny, ...]] = (
        Allow(
            "a signal of the rule",
            "k: KillFilter, root, {exe}, -9, -HUP",
            ("kill", "-HUP", "{pid}"),
            ("/bin/kill", "-HUP", "{pid}"),
        ),
        Allow(
            "no signal where the rule has none",
            "k: KillFilter, root, {exe}",
            ("kill", "{pid}"),
            ("/bin/kill", "{pid}"),
        ),
        Deny(
            "another signal",
            "k: KillFilter, root, {exe}, -9",
            ("kill", "-STOP", "{pid}"),
            "the signal -STOP is not one of -9",
        ),
        Deny(
            "no signal where the rule has some",
            "k: KillFilter, root, {exe}, -9",
            ("kill", "{pid}"),
            "a signal is missing, one of -9",
        ),
        Deny(
            "another program",
            "k: KillFilter, root, /usr/sbin/radvd",
            ("kill", "{pid}"),
            "process {pid} executes {exe}, not /usr/sbin/radvd",
        ),
        Deny(
            "a process group",
            "k: KillFilter, root, {exe}, -9",
            ("kill", "-9", "-1"),
            "'-1' is not the number of a process",
        ),
        Deny(
            "a number spelled oddly",
            "k: KillFilter, root, {exe}, -9",
            ("kill", "-9", "1_0"),
            "'1_0' is not the number of a process",
        ),
        Deny(
            "no such process",
            "k: KillFilter, root, {exe}, -9",
            ("kill", "-9", "4194305"),
            "the program of process 4194305 cannot be told",
        ),
        Deny(
            "two processes",
            "k: KillFilter, root, {exe}, -9",
            ("kill", "-9", "{pid}", "1"),
            "kill takes one process here",
        ),
        Deny(
            "kill by another name",
            "k: KillFilter, root, {exe}, -9",
            ("/bin/kill", "-9", "{pid}"),
            "/bin/kill is not kill",
        ),
    )

    @classmethod
    def bind(cls, rule: Rule) -> Self | Diagnostic:
        """Take the user first: the command is always kill."""
        run_as, *args = rule.texts
        if not args:
            return Diagnostic(
                rule.span,
                Severity.ERROR,
                "no-program",
                f"{rule.raw_name}: KillFilter names no program",
                "write 'KillFilter, USER, PROGRAM, SIGNAL'; "
                "rootwrap ends with an IndexError when kill is asked for",
            )
        return cls(rule, "/bin/kill", run_as, tuple(args))

    def _decide(self, argv: tuple[str, ...]) -> Allowed | Denied:
        if argv[0] != "kill":
            return Denied(f"{argv[0]} is not kill")
        program, *signals = self.args
        if len(argv) == _WORDS_WITH_SIGNAL:
            if argv[1] not in signals:
                return Denied(f"the signal {argv[1]} is not one of {', '.join(signals) or 'none'}")
        elif len(argv) != _WORDS_WITHOUT:
            return Denied("kill takes one process here")
        elif signals:
            return Denied(f"a signal is missing, one of {', '.join(signals)}")
        pid = argv[-1]
        if not _PID.fullmatch(pid):
            return Denied(f"{pid!r} is not the number of a process")
        executed = program_of(int(pid))
        if executed is None:
            return Denied(f"the program of process {pid} cannot be told")
        if not _is_program(executed, program):
            return Denied(f"process {pid} executes {executed}, not {program}")
        return self._allow(argv[1:])


def program_of(pid: int) -> str | None:
    """Return the file that a process executes, if that file (or its replacement) exists."""
    try:
        path = os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115 - a Path would be converted back
    except OSError:
        return None
    path = path.removesuffix(_DELETED)
    return path if os.path.isfile(path) else None  # noqa: PTH113 - the same


def _is_program(executed: str, program: str) -> bool:
    if program.startswith("/"):
        return executed == program
    folder, _, name = executed.rpartition("/")
    return name == program and folder in PROGRAM_DIRS
