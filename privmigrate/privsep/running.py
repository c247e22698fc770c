"""A command that runs: feed it, collect what it writes, and kill it when nobody waits any more.

One thread does all of it, the one that executes the command: a single poll watches both outputs,
the input, and the end of the process. As with `subprocess.communicate` a command is over when it
has ended and everybody who holds its outputs has closed them.
"""

import os
import select
from _thread import allocate_lock
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Final, NamedTuple, Self

from privmigrate.errors import SIGNAL_BASE, Refused
from privmigrate.linux.process import Process

MAX_OUTPUT: Final = 64 * 2**20
"""Bytes that a command may write to both outputs together; one that writes more is killed."""

_CHUNK: Final = 64 * 1024
_LOOK_AGAIN: Final = 1000  # milliseconds after which a cancelled command's orphans are left alone
_KILLED: Final = SIGNAL_BASE + 9


class ExecResult(NamedTuple):
    """What a command left: its exit code as a shell gives it (128 + n for signal n), its output."""

    exit_code: int
    stdout: bytes
    stderr: bytes


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


def execute(start: Callable[[int | None, int, int], Process], stdin: bytes | None) -> ExecResult:
    """Start a command on pipes (input, output, error output) and see it through.

    Without `stdin` it is started without an input. Raise what `start` raises.
    """
    call = _CURRENT.get()
    pipes = _Pipes(stdin)
    try:

        def begin() -> Process:
            return start(pipes.theirs[0], pipes.theirs[1], pipes.theirs[2])

        process = begin() if call is None else call.begin(begin)
        pipes.close_theirs()
        with process:
            try:
                why = pipes.collect(process, call)
            except BaseException:
                _kill(process)
                raise
            finally:
                pipes.close()  # whoever could not be killed learns that nobody reads
                exit_code = process.wait()
                if call is not None:
                    call.end()
    finally:
        pipes.close()
    stdout, stderr = (b"".join(chunks) for chunks in pipes.chunks)
    if why is not None:
        return ExecResult(_KILLED, stdout, stderr + b"\nprivmigrate: killed: " + why.encode())
    return ExecResult(_KILLED if exit_code is None else exit_code, stdout, stderr)


def _kill(process: Process) -> None:
    # a command of another user, and we without CAP_KILL: it runs to its end
    with suppress(PermissionError):
        process.kill_group()


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

    def collect(self, process: Process, call: Cancellation | None) -> str | None:
        """Read and write until the outputs are closed; say why it was killed here, if it was."""
        poller = select.poll()
        numbers: dict[int, int] = {}
        for number, fd in enumerate(self.ours):
            if fd is not None:
                numbers[fd] = number
                poller.register(fd, select.POLLOUT if number == 0 else select.POLLIN)
        collected = 0
        while self.ours[1] is not None or self.ours[2] is not None:
            ready = poller.poll(None if call is None else _LOOK_AGAIN)
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
