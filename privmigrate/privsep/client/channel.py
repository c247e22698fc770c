"""The way to one daemon: a pool of connections, each used by one thread at a time.

Facts, measured: waking another thread costs as much as the whole round trip to the daemon, so the
calling thread itself sends and waits. Connections are taken last in, first out: the one that was
used last finds its buffers in the cache, and its worker awake. The kernel tells two ends of a
SOCK_SEQPACKET connection apart: ECONNRESET says that the daemon died with our request unread,
which makes it certain that it did not run; end of file says that it was read.
"""

import array
import itertools
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
from privmigrate.privsep.comm import PrivsepTimeout
from privmigrate.privsep.messages import (
    ANSWER,
    ANSWERS,
    ATTACH,
    CALL,
    CANCEL,
    DATAGRAM,
    PARTS,
    REQUEST,
    RESULT,
    Decoder,
    Encoder,
    Message,
    decode_parts,
    encode_parts,
    is_bulky,
    new_packer,
    read_lengths,
)
from privmigrate.privsep.wire import above_standard, receive_parts, send_parts

if TYPE_CHECKING:
    import asyncio

    from privmigrate.privsep.client.aio import LoopConnection
    from privmigrate.privsep.entrypoint import Entrypoint

CONNECTIONS: Final = 256
"""How many calls are on their way at a time; the daemon accepts more."""


class Connection:
    """One socket to the daemon, in the hands of one thread."""

    __slots__ = ("_buffer", "_decode", "_pack", "_read", "_timeout", "_write", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        decoder = Decoder()
        # bound once: looking them up costs a tenth of what we add to the system calls
        self._pack = new_packer()
        self._decode = decoder.decode
        self._buffer = decoder.buffer
        self._write = sock.send
        self._read = sock.recv_into
        self._timeout: float | None = None

    def __del__(self) -> None:
        self.sock.close()

    def call(self, message: Message, deadline: float | None, listener: Listener) -> Message:
        """Send a CALL and wait for its answer.

        Raise ChannelClosed, PrivsepTimeout or ProtocolError, after which the connection must be
        closed; TypeError, ValueError or OverflowError before anything was sent.
        """
        try:
            if deadline is not None or self._timeout is not None:
                self._allow(deadline)
            data = b"" if message[3] and is_bulky(message[3]) else self._pack(message)  # type: ignore[arg-type]
            if 0 < len(data) <= DATAGRAM:
                self._write(data)
            else:
                self._send_parts(message, deadline)
        except TimeoutError:
            raise PrivsepTimeout("the privsep daemon does not read; the call did not run") from None
        except OSError:
            raise ChannelClosed("the privsep daemon is gone", may_have_run=False) from None
        try:
            while True:
                if deadline is not None:
                    self._allow(deadline)
                size = self._read(self._buffer, 0, socket.MSG_TRUNC)
                answer = self._decode(size)
                if answer[0] == PARTS:
                    answer = self._receive_rest(answer, deadline)
                if answer[0] in ANSWERS:
                    return answer
                listener.hear(answer)
        except (EOFError, OSError) as error:
            raise _not_answered(error) from None

    def _send_parts(self, message: Message, deadline: float | None) -> None:
        self._pack = new_packer()
        send_parts(self.sock, encode_parts(message, REQUEST), lambda: self._allow(deadline))

    def _receive_rest(self, head: Message, deadline: float | None) -> Message:
        lengths = read_lengths(head, ANSWER)
        return decode_parts(
            receive_parts(self.sock, lengths, lambda: self._allow(deadline)), ANSWER
        )

    def _allow(self, deadline: float | None) -> None:
        """Let the next operation take until the deadline; without one, as long as it takes."""
        left = None
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
        if left is not None or self._timeout is not None:
            self.sock.settimeout(left)
            self._timeout = left

    def close(self) -> None:
        """Hang up at once, also where a child of a fork still holds the descriptor."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def forget(self) -> None:
        """Drop this process's descriptor only; for a child after a fork."""
        self.sock.close()


def _not_answered(error: Exception) -> Exception:
    if isinstance(error, TimeoutError):
        return PrivsepTimeout("the call took too long, and was cancelled")
    if isinstance(error, ConnectionResetError):
        # the kernel says so only where our message was not read
        return ChannelClosed("the privsep daemon died before the call began", may_have_run=False)
    return ChannelClosed("the privsep daemon died during the call")


_LAST_SECONDS: Final = 2.0
_CONFIRM_SECONDS: Final = 1.0
"""How long a process that ends may take from the end of one of its sockets to that of the next."""


class Channel:
    """Calls to one daemon, from any number of threads and event loops.

    Attributes:
        running: False once the daemon was found dead; the context then starts another.
    """

    def __init__(self, control: socket.socket, listener: Listener, pid: int | None = None) -> None:
        self.running = True
        self.listener = listener
        self._control = control
        self._child = None if pid is None else (os.getpid(), pid)
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._waiting: deque[LockType] = deque()
        self._keys = itertools.count(1)
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
        message = (CALL, 0, entrypoint.name, args, kwargs)
        try:
            answer = connection.call(message, deadline, self.listener)
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
        sock, _ = self.attach(deadline, shared=False)
        connection = Connection(sock)
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
        key = next(self._keys)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
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
        rights = (
            [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        )
        while True:
            try:
                self._control.sendmsg([data], rights, socket.MSG_DONTWAIT)
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
