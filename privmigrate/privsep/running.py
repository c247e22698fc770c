"""A command that runs: feed it, collect what it writes, and kill it when nobody waits any more.

One thread does all of it, the one that executes the command: a single poll watches both outputs,
the input, and the end of the process. As with `subprocess.communicate` a command is over when it
has ended and everybody who holds its outputs has closed them.
"""

import math
import os
import select
import signal
import time
from _thread import allocate_lock
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from typing import Final, NamedTuple, Self, cast

from privmigrate.errors import SIGNAL_BASE, PrivmigrateError, Refused
from privmigrate.linux.process import Process

MAX_OUTPUT: Final = 64 * 2**20
"""Bytes that a command may write to both outputs together; one that writes more is killed."""

MAX_SECONDS: Final = 10**7
"""The longest limit of a command's time; nobody waits four months."""

UMASK: Final = 0o022
"""What commands run under; a native asks for modes without these bits."""

GRACE: Final = 5.0
"""Seconds that a command has for its end after SIGTERM, before its process group is killed."""

_CHUNK: Final = 64 * 1024
_LOOK_AGAIN: Final = 1000  # milliseconds after which a cancelled command's orphans are left alone
_KILLED: Final = SIGNAL_BASE + 9


class ExecResult(NamedTuple):
    """What a command left: its exit code as a shell gives it (128 + n for signal n), its output."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class TimedOut(PrivmigrateError):  # noqa: N818 - an outcome, as of this name elsewhere
    """A command was stopped because its time was up; what it left all the same.

    Its arguments are positional and plain: it is made again on the other side of a channel.
    """

    def __init__(self, pid: int, exit_code: int, stdout: bytes, stderr: bytes) -> None:
        super().__init__(pid, exit_code, stdout, stderr)

    @property
    def pid(self) -> int:
        """Of the command."""
        return cast("int", self.args[0])

    @property
    def result(self) -> ExecResult:
        """What it left."""
        return ExecResult(*self.args[1:])

    def __str__(self) -> str:
        return f"process {self.pid} was stopped because its time was up"


class Cancellation:
    """Lets another thread end a call: the command that it executes is killed, and none follows.

    The thread of the call enters it; any thread may cancel it, at any time and more than once.
    """

    __slots__ = ("_lock", "_process", "_token", "cancelled")

    def __init__(self) -> None:
        self.cancelled = False
        self._lock = allocate_lock()
        self._process: Process | None = None
        self._token: Token[Cancellation | None] | None = None

    def __enter__(self) -> Self:
        self._token = _CURRENT.set(self)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._token is not None:
            _CURRENT.reset(self._token)
            self._token = None

    def cancel(self) -> None:
        """Kill the command that is running, with its process group; refuse those that follow."""
        with self._lock:
            self.cancelled = True
            if self._process is not None:
                _kill(self._process)

    def begin(self, start: Callable[[], Process]) -> Process:
        """Start a command of this call; raise Refused if it was cancelled."""
        # under the lock, so that no command slips through between the look and the start
        with self._lock:
            if self.cancelled:
                raise Refused("the call was cancelled")
            self._process = start()
            return self._process

    def end(self) -> None:
        """Forget the command: it is over, and its pid may soon be another's."""
        with self._lock:
            self._process = None


_CURRENT: Final[ContextVar[Cancellation | None]] = ContextVar("cancellation", default=None)


def go_on() -> None:
    """Raise Refused if the call of this thread was cancelled: for work that takes long."""
    call = _CURRENT.get()
    if call is not None and call.cancelled:
        raise Refused("the call was cancelled")


_SECONDS: Final[ContextVar[float | None]] = ContextVar("seconds", default=None)


@contextmanager
def stopping_after(seconds: object) -> Iterator[None]:
    """Inside, a command of this thread is stopped after so many seconds, which a client says."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise Refused("the limit of its time is no number")
    if not 0 < seconds <= MAX_SECONDS:  # neither is NaN
        raise Refused(f"the limit of its time is not above 0, or above {MAX_SECONDS} seconds")
    token = _SECONDS.set(float(seconds))
    try:
        yield
    finally:
        _SECONDS.reset(token)


def seconds_left() -> float | None:
    """How long a command of this thread may take; None: as long as it takes."""
    return _SECONDS.get()


class _Limit:
    """The time of one command: when it is up it is asked to end, and killed a while later.

    Attributes:
        was_stopped: it was asked.
        was_killed: that was not enough.
    """

    __slots__ = ("_next", "_process", "was_killed", "was_stopped")

    def __init__(self, process: Process) -> None:
        seconds = _SECONDS.get()
        self._process = process
        self._next = None if seconds is None else time.monotonic() + seconds
        self.was_stopped = self.was_killed = False

    @property
    def left(self) -> float | None:
        """Seconds until there is something to do."""
        return None if self._next is None else max(self._next - time.monotonic(), 0.0)

    def look(self) -> None:
        """Do what it is time for."""
        if self._next is None or time.monotonic() < self._next:
            return
        if self.was_stopped:
            self.was_killed, self._next = True, None
            _kill(self._process)
            return
        self.was_stopped, self._next = True, self._next + GRACE
        with suppress(PermissionError):  # as in `_kill`
            self._process.send(signal.SIGTERM)

    def wait(self) -> int | None:
        """Reap the command, which has its time for that as well."""
        while True:
            exit_code = self._process.wait(self.left)
            if exit_code is not None or self._next is None:
                return exit_code
            self.look()


def execute(start: Callable[[int | None, int, int], Process], stdin: bytes | None) -> ExecResult:
    """Start a command on pipes (input, output, error output) and see it through.

    Without `stdin` it is started without an input. Raise what `start` raises, and TimedOut for a
    command that was stopped because its time was up.
    """
    call = _CURRENT.get()
    pipes = _Pipes(stdin)
    try:

        def begin() -> Process:
            return start(pipes.theirs[0], pipes.theirs[1], pipes.theirs[2])

        process = begin() if call is None else call.begin(begin)
        pipes.close_theirs()
        limit = _Limit(process)
        with process:
            try:
                why = pipes.collect(process, call, limit)
            except BaseException:
                _kill(process)
                raise
            finally:
                pipes.close()  # whoever could not be killed learns that nobody reads
                exit_code = limit.wait()
                if call is not None:
                    call.end()
    finally:
        pipes.close()
    stdout, stderr = (b"".join(chunks) for chunks in pipes.chunks)
    if why is not None:
        return ExecResult(_KILLED, stdout, stderr + b"\nprivmigrate: killed: " + why.encode())
    code = _KILLED if exit_code is None else exit_code
    if limit.was_stopped:
        raise TimedOut(process.pid, code, stdout, stderr)
    return ExecResult(code, stdout, stderr)


def _kill(process: Process) -> None:
    # a command of another user, and we without CAP_KILL: it runs to its end
    with suppress(PermissionError):
        process.kill_group()


def _milliseconds(call: Cancellation | None, limit: _Limit) -> int | None:
    """How long a poll may take before somebody has to look at something else."""
    left = limit.left
    until = None if left is None else math.ceil(left * 1000)
    if call is None or until is None:
        return until if call is None else _LOOK_AGAIN
    return min(until, _LOOK_AGAIN)


class _Pipes:
    """The pipes of one command: its ends, until it is started, and ours."""

    __slots__ = ("chunks", "ours", "stdin", "theirs")

    def __init__(self, stdin: bytes | None) -> None:
        self.chunks: tuple[list[bytes], list[bytes]] = ([], [])
        self.stdin = memoryview(stdin or b"")
        self.ours: list[int | None] = [None, None, None]
        self.theirs: list[int] = []
        try:
            if stdin is None:
                self.theirs.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
            else:
                theirs, ours = os.pipe2(os.O_CLOEXEC)
                self.theirs.append(theirs)
                self.ours[0] = ours
                os.set_blocking(ours, False)
            for number in (1, 2):
                self.ours[number], theirs = os.pipe2(os.O_CLOEXEC)
                self.theirs.append(theirs)
        except OSError:
            self.close()
            raise

    def close_theirs(self) -> None:
        while self.theirs:
            os.close(self.theirs.pop())

    def close(self) -> None:
        self.close_theirs()
        for number in range(3):
            self._close_ours(number)

    def _close_ours(self, number: int) -> None:
        fd = self.ours[number]
        if fd is not None:
            self.ours[number] = None
            os.close(fd)

    def collect(self, process: Process, call: Cancellation | None, limit: _Limit) -> str | None:
        """Read and write until the outputs are closed; say why it was killed here, if it was."""
        poller = select.poll()
        numbers: dict[int, int] = {}
        for number, fd in enumerate(self.ours):
            if fd is not None:
                numbers[fd] = number
                poller.register(fd, select.POLLOUT if number == 0 else select.POLLIN)
        collected = 0
        while self.ours[1] is not None or self.ours[2] is not None:
            ready = poller.poll(_milliseconds(call, limit))
            limit.look()
            if limit.was_killed:
                return None  # whoever else holds its outputs is left alone
            if call is not None and call.cancelled:
                _kill(process)
                return "the call was cancelled"
            for fd, _ in ready:
                number = numbers[fd]
                size = self._feed(fd) if number == 0 else self._read(fd, number)
                if size < 0:
                    poller.unregister(fd)
                    self._close_ours(number)
                else:
                    collected += size
            if collected > MAX_OUTPUT:
                _kill(process)
                return f"it wrote more than {MAX_OUTPUT} bytes"
        return None

    def _read(self, fd: int, number: int) -> int:
        """How many bytes were read; -1 at the end."""
        chunk = os.read(fd, _CHUNK)
        if not chunk:
            return -1
        self.chunks[number - 1].append(chunk)
        return len(chunk)

    def _feed(self, fd: int) -> int:
        """Write what the pipe takes; -1 when all is written, or nobody reads."""
        try:
            self.stdin = self.stdin[os.write(fd, self.stdin) :]
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            return -1
        return 0 if self.stdin else -1
