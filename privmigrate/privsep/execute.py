"""Run commands: the executable, its environment, its result, and what a failure raises.

`run` is what bodies of commands call, in the daemon. It raises nothing for what the command did:
that is in the result, and judged on the client's side (`policy`).
"""

import errno
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol, Self, cast

from privmigrate.errors import (
    EXIT_NO_EXECUTABLE,
    EXIT_UNAUTHORIZED,
    InputError,
    PrivmigrateError,
    Refused,
)
from privmigrate.linux.capabilities import CapabilitySet, acting_with
from privmigrate.linux.credentials import identity_of
from privmigrate.linux.process import Process
from privmigrate.linux.spawn import Program, spawn
from privmigrate.privsep.running import Cancellation, ExecResult, execute, seconds_left

__all__ = [
    "Cancellation",
    "ExecResult",
    "Executable",
    "ExecutableNotFound",
    "ExecutionTimeout",
    "Output",
    "Planned",
    "PrivilegeDenied",
    "ProcessExecutionError",
    "environment",
    "run",
]

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
EXIT_NOT_EXECUTED: Final = 126  # as sh(1): it was found and could not be executed
# Of the daemon's own environment; above all nothing that a loader or an interpreter reads.
_KEPT: Final = frozenset({"HOME", "LANG", "LANGUAGE", "LOGNAME", "SHELL", "TERM", "TZ", "USER"})
_KEPT_PREFIX: Final = "LC_"
# The kernel says these where there is no program by that name, or none that may be executed.
_NO_EXECUTABLE: Final = frozenset(
    {errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOEXEC}
)


class Output(NamedTuple):
    """What a caller gets: both outputs as text, undecodable bytes kept as surrogates."""

    stdout: str
    stderr: str


class ProcessExecutionError(Exception):
    """A command failed, as oslo.concurrency's error of this name says it.

    Where `oslo_concurrency.processutils` is loaded, an instance is one of its error too, so that
    handlers in services go on working. All arguments are positional: it is made again from
    `args` on the other side of a channel.
    """

    _named_as: ClassVar[tuple[tuple[str, str], ...]] = (
        ("oslo_concurrency.processutils", "ProcessExecutionError"),
    )

    def __new__(cls, *_args: object, **_kwargs: object) -> Self:
        """Make an instance that the error of this name is a base of, if there is one."""
        found = (getattr(sys.modules.get(module), name, None) for module, name in cls._named_as)
        theirs = next(filter(None, found), None)
        if isinstance(theirs, type) and not issubclass(cls, theirs):
            return super().__new__(cast("type[Self]", _joined(cast("type", cls), theirs)))
        return super().__new__(cls)

    def __init__(
        self,
        stdout: str | None = None,
        stderr: str | None = None,
        exit_code: int | str | None = None,
        cmd: str | None = None,
        description: str | None = None,
    ) -> None:
        super().__init__(stdout, stderr, exit_code, cmd, description)
        self.stdout = stdout
        self.stderr = stderr
        self.exit_code = exit_code
        self.cmd = cmd
        self.description = description

    def __str__(self) -> str:
        description = self.description or "Unexpected error while running command."
        exit_code = "-" if self.exit_code is None else self.exit_code
        return (
            f"{description}\nCommand: {self.cmd}\nExit code: {exit_code}\n"
            f"Stdout: {self.stdout!r}\nStderr: {self.stderr!r}"
        )

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        kind = type(self)
        return (getattr(kind, "_declared", kind), self.args)


class PrivilegeDenied(ProcessExecutionError):  # noqa: N818 - the outcome's name
    """A check failed and nothing was executed; exit code 99, as rootwrap gave it."""

    @classmethod
    def because(cls, why: str, cmd: str) -> "PrivilegeDenied":
        """Say which parameter of which command was refused, and why."""
        return cls("", f"{cmd}: {why}", EXIT_UNAUTHORIZED, cmd, "The command was refused.")


class ExecutionTimeout(ProcessExecutionError):  # noqa: N818 - os-brick's name
    """A command's time was up, and it failed; where os-brick is loaded, its error of this name."""

    _named_as: ClassVar[tuple[tuple[str, str], ...]] = (
        ("os_brick.exception", "ExecutionTimeout"),
        *ProcessExecutionError._named_as,  # noqa: SLF001 - our own base
    )


class ExecutableNotFound(PrivmigrateError):  # noqa: N818 - rootwrap's words
    """None of an executable's candidates exists and may be executed."""


@functools.cache
def _joined(ours: type, theirs: type) -> type:
    """A class of both, by our name: so it is found again where only the name travelled."""
    names = {"__module__": ours.__module__, "__doc__": ours.__doc__, "_declared": ours}
    return type(ours.__name__, (ours, theirs), {**names, "__qualname__": ours.__qualname__})


class Executable:
    """A program by its candidates, of which the first that exists is meant, as in rootwrap.

    An absolute candidate is itself; a bare name is looked up in `dirs`, in their order, and never
    in PATH, nor in a folder whose place depends on where one stands. What was found is kept.
    """

    __slots__ = ("_found", "candidates", "dirs")

    def __init__(self, *candidates: str, dirs: tuple[str, ...] = ()) -> None:
        self.candidates: Final = candidates
        self.dirs: Final = dirs
        self._found: str | None = None

    def __repr__(self) -> str:
        return f"Executable({', '.join(map(repr, self.candidates))}, dirs={self.dirs!r})"

    def resolve(self) -> str:
        """Return the path to execute; raise ExecutableNotFound."""
        if self._found is None:
            self._found = next(filter(_is_executable, self._paths()), None)
        if self._found is None:
            if PLANNING.current() is not None:
                return self.candidates[0]  # nothing is executed, so nothing need be installed
            raise ExecutableNotFound(f"Executable not found: {', '.join(self.candidates)}")
        return self._found

    def _paths(self) -> Iterator[str]:
        for candidate in self.candidates:
            if candidate.startswith("/"):
                yield candidate
            else:
                for folder in self.dirs:
                    if folder.startswith("/"):
                        yield f"{folder.rstrip('/')}/{candidate}"


def _is_executable(path: str) -> bool:
    # a folder may be "executed" too, says access(2)
    return os.access(path, os.X_OK) and not os.path.isdir(path)  # noqa: PTH112 - costs 5 ms


class Prefix(Protocol):
    """What stands in front of a command and executes it, such as ``ip netns exec NAME``.

    One that needs capabilities itself has a method `needs` that returns them: commands get them
    on top of their own, but only behind this prefix.
    """

    def words(self) -> tuple[str, ...]:
        """The words, of which the first is the path of the prefix's own executable."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What would have been executed.

    Attributes:
        argv: the words, the executable's path first.
        env: what is added to the usual environment.
        user: whom it would run as, or None for the daemon's own user.
        native: the name of the native that would do it without a process, or None.
        stdin: what it would be fed.
        timeout: after how many seconds it would be stopped, or None.
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    user: str | None = None
    native: str | None = None
    stdin: bytes | None = None
    timeout: float | None = None


Plan = Callable[[Planned], ExecResult]


class _Planning:
    """Who plans: in one thread, or (for tests of services, which use threads) in all of them."""

    __slots__ = ("_here", "everywhere")

    def __init__(self) -> None:
        self.everywhere: Plan | None = None
        self._here: ContextVar[Plan | None] = ContextVar("plan", default=None)

    def current(self) -> Plan | None:
        return self._here.get() or self.everywhere

    @contextmanager
    def here(self, plan: Plan) -> Iterator[None]:
        token = self._here.set(plan)
        try:
            yield
        finally:
            self._here.reset(token)


PLANNING: Final = _Planning()
_CAPABILITIES: Final[ContextVar[CapabilitySet | None]] = ContextVar("capabilities", default=None)


@contextmanager
def limited_to(capabilities: CapabilitySet | None) -> Iterator[None]:
    """Inside, commands of this thread get at most these (None: all that their context has)."""
    token = _CAPABILITIES.set(capabilities)
    try:
        yield
    finally:
        _CAPABILITIES.reset(token)


@contextmanager
def acting(under: "Prefix | None" = None) -> Iterator[None]:
    """Inside, this thread itself acts with no more than commands of it get (with `under`)."""
    allowed = _allowed(under)
    if allowed is None:
        yield
        return
    with acting_with(allowed):
        yield


def plan_native(native: str, *argv: str) -> ExecResult | None:
    """Give a native to whoever is planning; None where it is to be done."""
    plan = PLANNING.current()
    return None if plan is None else plan(Planned(argv, native=native))


def environment(
    fixed: Mapping[str, str], /, *combinations: tuple[str, ...], **values: str | int | None
) -> dict[str, str]:
    """Fixed variables and the given ones; refuse a combination of names that is not listed."""
    given = {name: str(value) for name, value in values.items() if value is not None}
    if combinations and set(given) not in map(set, combinations):
        names = ", ".join(sorted(given)) or "none"
        raise Refused(f"the environment variables given are no permitted combination: {names}")
    return {**fixed, **given}


def run(
    executable: Executable,
    *args: str | int,
    env: Mapping[str, str] | None = None,
    stdin: str | bytes | None = None,
    user: str | None = None,
    under: Prefix | None = None,
) -> ExecResult:
    """Execute a command and return what it left.

    It runs in ``/`` under umask 022, in a process group of its own, with a fixed PATH, of the
    daemon's environment only locale, time zone and home, and with `env`; with at most the
    capabilities of the entrypoint that runs it; for another `user` with that user's groups and
    none. A missing executable is exit code 96, one that cannot be executed 126, and one that
    writes more than `running.MAX_OUTPUT` is killed (137).
    """
    words = tuple(arg if isinstance(arg, str) else str(arg) for arg in args)
    data = stdin.encode("utf-8", "surrogateescape") if isinstance(stdin, str) else stdin
    try:
        # a prefix without fields is an empty tuple, and no less a prefix
        front = () if under is None else under.words()
        argv = (*front, executable.resolve(), *words)
    except ExecutableNotFound as error:
        return _failure(EXIT_NO_EXECUTABLE, str(error))
    plan = PLANNING.current()
    if plan is not None:
        variables = tuple(sorted((env or {}).items()))
        return plan(Planned(argv, variables, user, None, data, seconds_left()))
    return _execute(argv, env or {}, user, data, _allowed(under))


def _allowed(under: Prefix | None) -> CapabilitySet | None:
    """At most these: what the command needs, and what stands in front of it."""
    capabilities = _CAPABILITIES.get()
    needs = cast("Callable[[], Iterable[int]] | None", getattr(under, "needs", None))
    if capabilities is None or needs is None:
        return capabilities
    return capabilities | CapabilitySet.from_numbers(needs())


def _execute(
    argv: tuple[str, ...],
    env: Mapping[str, str],
    user: str | None,
    stdin: bytes | None,
    allowed: CapabilitySet | None,
) -> ExecResult:
    try:
        identity = None if user is None else identity_of(user)
    except InputError as error:
        return _failure(EXIT_NOT_EXECUTED, str(error))

    def start(stdin_fd: int | None, stdout_fd: int, stderr_fd: int) -> Process:
        program = Program(
            argv[0],
            argv,
            {**_own_environment(), **env},
            stdin=stdin_fd,
            stdout=stdout_fd,
            stderr=stderr_fd,
        )
        capabilities = None if identity is not None else allowed
        return spawn(program, capabilities=capabilities, user=identity)

    try:
        return execute(start, stdin)
    except ValueError as error:  # such as NUL, which the checks refuse before
        return _failure(EXIT_NOT_EXECUTED, f"{argv[0]}: {error}")
    except OSError as error:
        code = EXIT_NO_EXECUTABLE if error.errno in _NO_EXECUTABLE else EXIT_NOT_EXECUTED
        return _failure(code, f"{argv[0]}: {error.strerror}")


def _failure(code: int, why: str) -> ExecResult:
    return ExecResult(code, b"", os.fsencode(f"privmigrate: {why}\n"))


@functools.cache
def _own_environment() -> dict[str, str]:
    """What every command gets; the daemon's environment does not change after its start."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIX)
    }
    return {**kept, "PATH": PATH}
