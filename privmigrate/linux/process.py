"""Processes by a handle that cannot come to mean another process: pidfd, executable, peer.

A pid is a name that the kernel gives again; a pidfd is the process. Whoever wants to act on a pid
opens the pidfd first and looks at /proc/PID afterwards: what it sees is then of that process.
"""

import math
import os
import select
import signal
import socket
import struct
import time
from _thread import allocate_lock
from contextlib import suppress
from typing import Final, NamedTuple, Self

from privmigrate.errors import SIGNAL_BASE
from privmigrate.linux import _libc

_SO_PEERPIDFD: Final = 77  # asm-generic/socket.h, Linux 6.5
_UCRED: Final = struct.Struct("3i")
_LOOK_AGAIN: Final = 20  # milliseconds, where a child's end cannot be polled
_START_TIME: Final = 19  # field 22 of proc_pid_stat(5), counted behind the name


class Peer(NamedTuple):
    """Who connected a socket, as the kernel saw it then; pidfd is None before Linux 6.5."""

    pid: int
    uid: int
    gid: int
    pidfd: int | None


def read_peer(sock: socket.socket) -> Peer:
    """Ask for the other end of a UNIX socket; the caller closes the pidfd."""
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(data)
    try:
        pidfd = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError:
        return Peer(pid, uid, gid, None)
    return Peer(pid, uid, gid, pidfd)


def read_start_time(pid: int) -> int:
    """Clock ticks since boot at the process's start: with the pid, a name of its own."""
    with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - as above
        # the name stands in parentheses and may hold both spaces and parentheses
        return int(file.read().rpartition(b")")[2].split()[_START_TIME])


def read_io_priority(pid: int) -> int:
    """As ioprio_get(2) tells; 0 is this process. Raise OSError where it cannot be told."""
    return _libc.ioprio_get(pid)


class Process:
    """A child that was started by `spawn`: its pid and pidfd.

    Any thread may wait for it and signal it. Close it, or use it in `with`, to give the pidfd
    back. The child may be looked at after its end: until it is reaped by `wait` or `poll`, what is
    left of its process group can still be killed.

    Without a pidfd, -1, it goes by its pid, which is no other's before it is reaped: so a child
    that runs already is not lost where no descriptor is left.
    """

    __slots__ = ("_by_pid", "_code", "_reaping", "pid", "pidfd")

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self._by_pid = pidfd < 0
        self._code: int | None = None
        # INV-8: between the reaping and the note that it happened, nobody may use the pid
        self._reaping = allocate_lock()

    def __repr__(self) -> str:
        return f"Process({self.pid}, {self.pidfd})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def exit_code(self) -> int | None:
        """As a shell gives it, 128 + n for signal n; None until `wait` or `poll` has seen it."""
        return self._code

    def _waitid(self, flags: int) -> os.waitid_result | None:
        if self._by_pid:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | flags)
        return os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | flags)

    def wait_unreaped(self) -> os.waitid_result | None:
        """Wait for the end and say how it was; the child stays to be reaped."""
        return self._waitid(os.WNOWAIT)

    def ends_before(self, fd: int, events: int = select.POLLIN) -> bool:
        """Wait for the end, or until there is something at `fd`; reap nothing."""
        poller = select.poll()
        poller.register(fd, events)
        if not self._by_pid:
            poller.register(self.pidfd, select.POLLIN)
            return any(ready == self.pidfd for ready, _ in poller.poll())
        while True:
            ready = poller.poll(_LOOK_AGAIN)
            if self._waitid(os.WNOWAIT | os.WNOHANG) is not None:
                return True
            if ready:
                return False

    def poll(self) -> int | None:
        """Reap the child if it has ended, without waiting."""
        with self._reaping:
            if self._code is None:
                result = self._waitid(os.WNOHANG)
                if result is not None:
                    ended = result.si_code == os.CLD_EXITED
                    self._code = result.si_status if ended else SIGNAL_BASE + result.si_status
        return self._code

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end, reap, give the exit code; None if `timeout` seconds were too few."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if deadline is None:
                # another thread may reap it between our look and our wait: then `poll` knows
                with suppress(ChildProcessError):
                    self.wait_unreaped()
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            poller = select.poll()
            milliseconds = math.ceil(left * 1000)
            if self._by_pid:
                milliseconds = min(milliseconds, _LOOK_AGAIN)
            else:
                poller.register(self.pidfd, select.POLLIN)
            poller.poll(milliseconds)
        return self._code

    def send(self, number: int) -> None:
        """Signal the child; nothing happens if it was reaped."""
        with self._reaping:
            if self._code is not None:
                return
            if self._by_pid:
                os.kill(self.pid, number)
            else:
                signal.pidfd_send_signal(self.pidfd, number)

    def kill_group(self) -> None:
        """Kill the child's process group, of which it must have been started as the leader.

        The group's number is the child's pid, which cannot mean another group while the child is
        not reaped; so nothing happens afterwards.
        """
        with self._reaping:
            if self._code is None:
                os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Give the pidfd back. A child that was not waited for stays a zombie until we end."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
