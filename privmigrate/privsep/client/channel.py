"""The way to one daemon: a pool of connections, each used by one thread at a time.

Facts, measured: waking another thread costs as much as the whole round trip to the daemon, so the
calling thread itself sends and waits. Connections are taken last in, first out: the one that was
used last finds its buffers in the cache, and its worker awake.
"""

import os
import socket
import time
import weakref
from _thread import LockType, allocate_lock
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from privmigrate.errors import ChannelClosed
from privmigrate.privsep import green
from privmigrate.privsep.client.answers import Listener, explain_arguments
from privmigrate.privsep.client.connection import Connection
from privmigrate.privsep.comm import PrivsepTimeout
from privmigrate.privsep.marks import Evidence, new_key
from privmigrate.privsep.messages import (
    ATTACH,
    CANCEL,
    DATAGRAM,
    RESULT,
    Encoder,
    Message,
)
from privmigrate.privsep.wire import above_standard, send_control

if TYPE_CHECKING:
    import asyncio

    from privmigrate.privsep.client.aio import LoopConnection
    from privmigrate.privsep.entrypoint import Entrypoint

ROOM: Final = 2**20
"""Bytes; the kernel gives what `net.core.wmem_max` allows, 212,992 unless somebody set it."""
CONNECTIONS: Final = 256
"""How many calls are on their way at a time; the daemon accepts more."""


_LAST_SECONDS: Final = 2.0
_CONFIRM_SECONDS: Final = 1.0
"""How long a process that ends may take from the end of one of its sockets to that of the next."""


class Channel:
    """Calls to one daemon, from any number of threads and event loops.

    Attributes:
        running: False once the daemon was found dead; the context then starts another.
        evidence: what the daemon's WELCOME gave us to find out which calls began.
    """

    def __init__(self, control: socket.socket, listener: Listener, pid: int | None = None) -> None:
        self.running = True
        self.listener = listener
        self.evidence: Evidence | None = None
        self._control = control
        self._child = None if pid is None else (os.getpid(), pid)
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._waiting: deque[LockType] = deque()
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopConnection]
        self._loops = weakref.WeakKeyDictionary()
        _CHANNELS.add(self)

    def __del__(self) -> None:
        self._control.close()

    def call(
        self,
        entrypoint: "Entrypoint[..., object]",
        args: tuple[object, ...],
        kwargs: dict[str, object],
        timeout: float | None,
    ) -> object:
        """Have the daemon run an entrypoint; give its value or raise what it raised."""
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect(deadline)
        try:
            answer = connection.call(entrypoint.name, args, kwargs, deadline, self.listener)
        except (TypeError, ValueError, OverflowError) as error:
            self._idle.append(connection)  # nothing was sent
            self._wake_one()
            why = explain_arguments(entrypoint, args, kwargs)
            raise TypeError(why or str(error)) from None
        except ChannelClosed as closed:
            self._drop(connection)
            raise self.judge(closed) from None
        except BaseException:
            # INV-13: never used again, for an answer may still come; hanging up cancels the call
            self._drop(connection)
            raise
        self._idle.append(connection)
        if self._waiting:
            self._wake_one()
        return answer[2] if answer[0] == RESULT else self.listener.read_answer(answer)

    async def call_async(
        self,
        entrypoint: "Entrypoint[..., object]",
        args: tuple[object, ...],
        kwargs: dict[str, object],
        timeout: float | None,  # noqa: ASYNC109 - the context's own
    ) -> Callable[[], object]:
        """As `call`, on the one connection of the running event loop."""
        from privmigrate.privsep.client import aio

        loop = asyncio_loop()
        connection = self._loops.get(loop)
        if connection is None or connection.closed:
            connection = self._loops[loop] = aio.LoopConnection(self, loop)
        return await connection.call(entrypoint, args, kwargs, timeout)

    def judge(self, closed: ChannelClosed) -> ChannelClosed:
        """Find out whether it was the daemon that ended, or one connection."""
        if self.running and green.wait(self._control.fileno(), _CONFIRM_SECONDS):
            self.running = False
        return closed

    # -- the pool

    def _drop(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.close()
        if self._waiting:
            self._wake_one()

    def _connect(self, deadline: float | None) -> Connection:
        while len(self._open) >= CONNECTIONS:
            gate = allocate_lock()
            gate.acquire()
            self._waiting.append(gate)
            if not self._idle and not gate.acquire(timeout=_left(deadline)):
                self._leave(gate)
                raise PrivsepTimeout("all connections to the privsep daemon are busy")
            self._leave(gate)
            with suppress(IndexError):
                return self._idle.pop()
        connection = Connection(*self.attach(deadline, shared=False), self.evidence)
        self._open.add(connection)
        return connection

    def _leave(self, gate: LockType) -> None:
        try:
            self._waiting.remove(gate)
        except ValueError:
            # woken: pass it on if there is more than we take
            if len(self._idle) > 1:
                self._wake_one()

    def _wake_one(self) -> None:
        with suppress(IndexError, RuntimeError):
            self._waiting.popleft().release()

    def attach(self, deadline: float | None, *, shared: bool) -> tuple[socket.socket, int]:
        """Make a connection: a pair of sockets, of which the daemon gets one; and its key."""
        key = new_key()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            # three datagrams of a large message on their way, and not one: a fifth of the wake-ups
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
        try:
            with theirs:
                self._tell((ATTACH, key, shared), theirs.fileno(), deadline)
        except BaseException:
            ours.close()
            raise
        return above_standard(ours), key

    def cancel(self, key: int, number: int) -> None:
        """Give up one call of a connection that carries several."""
        with suppress(ChannelClosed, PrivsepTimeout):
            self._tell((CANCEL, key, number), None, time.monotonic())

    def _tell(self, message: Message, fd: int | None, deadline: float | None) -> None:
        data = Encoder().encode(message)
        fds = () if fd is None else (fd,)
        while True:
            try:
                send_control(self._control, data, fds, socket.MSG_DONTWAIT)
            except BlockingIOError:
                left = None if deadline is None else _left(deadline)
                if not green.wait(self._control.fileno(), left, write=True):
                    raise PrivsepTimeout("the privsep daemon does not read") from None
            except OSError:
                self.running = False
                raise ChannelClosed("the privsep daemon is gone", may_have_run=False) from None
            else:
                return

    # -- the end

    def close(self) -> None:
        """End the daemon and wait a moment for it to be gone."""
        self.running = False
        for connection in tuple(self._open):
            self._drop(connection)
        for looped in tuple(self._loops.values()):
            looped.close_soon()
        self._close_control()

    def bury(self) -> None:
        """Be done with a daemon that was found dead; threads find out what became of their calls.

        From the kernel, which could not tell them if we were the ones who hang up.
        """
        self.running = False
        with suppress(IndexError):  # INV-15: those that nobody uses, and no others
            while True:
                self._drop(self._idle.pop())
        self._close_control()

    def _close_control(self) -> None:
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
            self._control.settimeout(_LAST_SECONDS)
            while self._control.recv(DATAGRAM):
                pass
        # not closed before the last thread is done with us: one that asks whether the daemon lives
        # would ask about whatever has the number next
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._loops.clear()
        self._reap()

    def _reap(self) -> None:
        if self._child is None or self._child[0] != os.getpid():
            return
        pid = self._child[1]
        self._child = None
        with suppress(OSError):  # somebody else's waitpid(-1) may have been first
            fd = os.pidfd_open(pid)
            try:
                green.wait(fd, _LAST_SECONDS)
            finally:
                os.close(fd)
            os.waitpid(pid, os.WNOHANG)

    def forget_connections(self) -> None:
        """In a child after a fork: the connections are the parent's, the control is shared."""
        for connection in self._open:
            connection.forget()
        self._open.clear()
        self._idle.clear()
        self._waiting.clear()
        for looped in self._loops.values():
            looped.forget()
        self._loops.clear()

    def disown(self) -> None:
        """In a daemon that was forked from this process: this channel's daemon is not ours."""
        self.forget_connections()
        self.running = False
        self.evidence = None
        self._control.detach()
        self._child = None


def asyncio_loop() -> "asyncio.AbstractEventLoop":
    """The running event loop; asyncio is loaded, for somebody awaits."""
    import asyncio

    return asyncio.get_running_loop()


def _left(deadline: float | None) -> float:
    """Seconds until the deadline, as locks want them: -1 is for ever."""
    return -1.0 if deadline is None else max(deadline - time.monotonic(), 0.0)


_CHANNELS: Final[weakref.WeakSet[Channel]] = weakref.WeakSet()
"""Every channel of this process, for the one moment after a fork."""


def _forget_all() -> None:
    for channel in tuple(_CHANNELS):
        channel.forget_connections()


os.register_at_fork(after_in_child=_forget_all)


def disown_all() -> None:
    """In a daemon that was forked from this process: leave the channels to the parent."""
    for channel in tuple(_CHANNELS):
        channel.disown()
