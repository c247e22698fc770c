"""``kill -SIGNAL PID``: signal one process, after looking at what it executes."""

import errno
import os
import signal as signals
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from privmigrate.errors import Refused
from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.execute import PATH, acting, plan_native
from privmigrate.privsep.natives.base import failure
from privmigrate.privsep.running import ExecResult

_LARGEST_PID: Final = 2**22  # PID_MAX_LIMIT of the kernel on 64 bits
_DELETED: Final = " (deleted)"
_WITHOUT_SIGNAL: Final = 2
_WITH_SIGNAL: Final = 3


@dataclass(frozen=True, slots=True)
class Kill:
    """Send `signal` to the process `pid` if it executes one of `programs` (none named: any).

    The process is held by a pidfd before anything is looked at, so the signal cannot reach another
    one that was given the same number since. The executable is compared as oslo.rootwrap's
    KillFilter does: one that was deleted counts by its old path, one that was replaced or renamed
    while it ran also by the first word of its command line; a bare name is looked up in PATH.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (
        Capability.CAP_KILL,
        Capability.CAP_SYS_PTRACE,  # to read /proc/PID/exe of another user's process
    )
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("no such process", "", ("kill", "-9", "4194304")),
        Same("no such process, by a name", "", ("kill", "-HUP", "4194304")),
        Same("no such process, without a signal", "", ("kill", "4194304")),
        Kept("several processes", ("kill", "-9", "4194303", "4194304"), "each has its own result"),
        Kept("a process group", ("kill", "-9", "-4194304"), "a group has no executable"),
        Kept("every process", ("kill", "-9", "-1"), "nobody means this"),
        Kept("our own group", ("kill", "-9", "0"), "that is the daemon's"),
        Kept("the list of signals", ("kill", "-l"), "needs no privilege"),
        Kept("no such signal", ("kill", "-NOSUCH", "4194304"), "the tool says what is wrong"),
        Kept("a name for a number", ("kill", "-9", "x"), "the tool says what is wrong"),
    )

    pid: int
    signal: int
    programs: tuple[str, ...] = ()
    within: None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """None of its words is one."""
        return ()

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """One process, and at most one signal, by name or number."""
        if len(argv) not in (_WITHOUT_SIGNAL, _WITH_SIGNAL):
            return None
        option = argv[1] if len(argv) == _WITH_SIGNAL else "-TERM"
        signal = _signal(option.removeprefix("-")) if option.startswith("-") else None
        pid = _pid(argv[-1])
        return None if signal is None or pid is None else cls(pid, signal)

    @property
    def argv(self) -> tuple[str, ...]:
        """As the tool would be called."""
        return ("kill", f"-{self.signal}", str(self.pid))

    def perform(self) -> ExecResult:
        """Raise Refused if it executes something else, or if that cannot be seen."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except OSError as error:
            return self._failure(error)
        try:
            if self.programs:
                self._look()
            signals.pidfd_send_signal(pidfd, self.signal)
        except OSError as error:
            return self._failure(error)
        finally:
            os.close(pidfd)
        return ExecResult(0, b"", b"")

    def _look(self) -> None:
        try:
            program = read_program(self.pid)
        except FileNotFoundError:
            # it has just ended; a thread of the kernel has no executable either
            raise ProcessLookupError(errno.ESRCH, "") from None
        except OSError as error:
            raise Refused(f"what process {self.pid} executes: {error.strerror}") from None
        if not any(_is(program, wanted) for wanted in self.programs):
            raise Refused(f"process {self.pid} executes none of {', '.join(self.programs)}")

    def _failure(self, error: OSError) -> ExecResult:
        return failure("kill", f"({self.pid})", error)


def kill(pid: int | str, signal: int | str, *programs: str) -> ExecResult:
    """Signal a process that executes one of `programs`; exit code 1 if there is no such process.

    Raise Refused for any other program, for a pid that kill(2) takes for a group, and for an
    unknown signal.
    """
    number, checked = _signal(str(signal)), _pid(str(pid))
    if checked is None:
        raise Refused("the process is not given by a number above 0")
    if number is None:
        raise Refused("there is no such signal")
    if not programs:
        raise Refused("no program is named that may be signalled")
    native = Kill(checked, number, programs)
    planned = plan_native("kill", *native.argv)
    if planned is not None:
        return planned
    with acting():
        return native.perform()


def read_program(pid: int) -> str:
    """The path of what a process executes, as oslo.rootwrap's KillFilter sees it."""
    path = os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115 - pathlib costs 5 ms
    path = path.partition("\0")[0].removesuffix(_DELETED)
    if _is_file(path):
        return path
    # replaced or renamed while it ran: some updaters append to the name
    with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123 - as above
        word = os.fsdecode(file.read().partition(b"\0")[0])
    for candidate in (word,) if "/" in word else (f"{d}/{word}" for d in PATH.split(":")):
        if candidate.startswith("/") and _is_file(candidate):
            return candidate
    return path


def _is_file(path: str) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - as above


def _is(program: str, wanted: str) -> bool:
    if wanted.startswith("/"):
        return program == wanted
    folder, _, name = program.rpartition("/")
    return name == wanted and folder in PATH.split(":")


def _pid(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > len(str(_LARGEST_PID)):
        return None
    pid = int(text)
    return pid if 0 < pid <= _LARGEST_PID else None


def _signal(text: str) -> int | None:
    """A number, or a name with or without SIG."""
    if text.isascii() and text.isdigit() and len(text) <= len(str(signals.NSIG)):
        number = int(text)
        return number if 0 < number < signals.NSIG else None
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    try:
        return int(signals.Signals[name])
    except KeyError:
        return None
