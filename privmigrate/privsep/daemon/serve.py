"""The daemon's loop: who waits for what, who executes, and what happens when a client hangs up.

Facts, measured on Linux 6.18 with Python 3.11: handing a request from one thread to another costs
as much as a whole round trip between two processes. With EPOLLONESHOT the kernel wakes exactly one
of many threads that wait in one epoll set, the one that slept last, whose caches are warm. A
worker that executes for long reads nothing meanwhile.

What does not work: a reader that hands requests over (twice the cost). Closing a descriptor while
a worker uses it: its number may already be another connection. Noticing hang-ups in the workers:
when all of them are busy with calls that were given up, nobody would notice. Waiting for a request
in the receive that takes it: while the process is being killed it may still take one, of which the
client then cannot know that it never began.

Solution: workers wait in `_requests`; the one that is woken reads one message, arms the connection
again, executes and answers. If the same connection called last time too, the worker first waits a
tick for its next request (`_stay`), but only while another worker waits for those of all others:
in a series of calls that leaves the set alone. The main thread waits in `_events`
for the control connection, for hang-ups of all connections, which cost nothing while there are
none, and for being asked for more workers. A call whose client hung up is cancelled: its command
is killed, and where that does not end it, another worker takes the place of the one that is busy.

Trade-offs: Python code that ignores that nobody waits runs to its end in a thread that is no
longer counted; at most ABANDONED such threads are replaced. When all workers but one execute and
that one stays, the request of another connection waits until it stops staying: one tick at most.
"""

import array
import itertools
import os
import select
import socket
import sys
import time
from _thread import allocate_lock, get_ident, start_new_thread
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from privmigrate.privsep.daemon.answer_call import Call, Turn
from privmigrate.privsep.daemon.connection import Connection, State
from privmigrate.privsep.daemon.forks import Forks
from privmigrate.privsep.daemon.load import Entrypoints
from privmigrate.privsep.daemon.logs import ChannelHandler, Record
from privmigrate.privsep.daemon.requests import ROWS
from privmigrate.privsep.messages import (
    DATAGRAM,
    LOG,
    PARTS,
    Decoder,
    Message,
    ProtocolError,
    decode,
)
from privmigrate.privsep.running import Cancellation

CONNECTIONS: Final = 400
"""How many a client may have; its own pool stops at fewer. RLIMIT_NOFILE is often 1024."""
ABANDONED: Final = 64
GRACE_SECONDS: Final = 5.0
"""How long calls may take to end when the client is gone, after their commands were killed."""
STUCK_SECONDS: Final = 0.001
"""All workers busy for so long with the same calls: there should be more of them."""
SWITCH_SECONDS: Final = 0.001
"""Python code in one call delays the others by this much; the interpreter's default is five."""

_WORK: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT
_HUNG_UP: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_ONE_FD: Final = array.array("i", [0]).itemsize
_CONTROL_FDS: Final = 4
_AT_FIRST: Final = 2
_PATIENCE: Final = 3
_LOOK_AGAIN: Final = 64
"""After so many vain waits for the next request there is none for so many requests."""
_LONG: Final = 0.005
"""Between two requests: where the call did not take it, the process was stopped, or starved."""


class Server:
    """Serves one client on its control connection until it hangs up.

    Attributes:
        name: what WELCOME calls the context.
        sends_tracebacks: the client wants them.
        follows_level: the root logger gets the client's level; a forked daemon keeps its own.
        running: the calls that are being executed, under a key of each; one that is given up is
            taken out.
    """

    def __init__(
        self,
        control: socket.socket,
        entrypoints: Entrypoints,
        handler: ChannelHandler,
        *,
        name: str,
        size: int,
        follows_level: bool,
    ) -> None:
        self.name = name
        self.entrypoints = entrypoints
        self.sends_tracebacks = False
        self.follows_level = follows_level
        self.running: dict[int, Call] = {}
        self._keys = itertools.count()
        self._control = Connection(control, 0)
        self._control.enter(State.GREETING, ROWS[State.GREETING])
        self._handler = handler
        self._size = size
        self._wanted = min(size, _AT_FIRST)
        self._workers = 0
        self._was_asked = False
        self._staying: dict[Connection, None] = {}
        self._last: Connection | None = None
        self._suspects: frozenset[int] | None = None
        self._decide_at = 0.0
        self._abandoned = 0
        self._counting = allocate_lock()
        self._no_calls = Cancellation()
        self._stopping = False
        self._connections: dict[int, Connection] = {}
        self._requests = select.epoll()
        self._events = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._forks = Forks(handler, self._list_descriptors)
        handler.deliver = self._deliver

    # -- the main thread

    def run(self) -> None:
        """Serve until the client has hung up."""
        sys.setswitchinterval(SWITCH_SECONDS)
        self._events.register(self._control.fd, select.EPOLLIN)
        self._events.register(self._wake, select.EPOLLIN)
        try:
            while self._handle_events():
                self._add_workers()
        finally:
            self._stop()

    def _handle_events(self) -> bool:
        # one at a time: handling the first may give the number of the second to another connection
        timeout = None if self._suspects is None else STUCK_SECONDS
        for fd, _events in self._events.poll(timeout, 1):
            if fd == self._control.fd:
                if not self._handle_control():
                    return False
            elif fd == self._wake:
                with suppress(BlockingIOError):
                    os.eventfd_read(fd)
            elif (connection := self._connections.get(fd)) is not None:
                self.hang_up(connection)
        return True

    def _handle_control(self) -> bool:
        try:
            message, fds = _receive_control(self._control.sock)
        except BlockingIOError:
            return True
        except (EOFError, OSError, ProtocolError):
            return False
        try:
            self.dispatch(self._control, message, Turn(self._no_calls, fds))
        except (OSError, ProtocolError):
            return False
        return True

    def dispatch(self, connection: Connection, message: Message, turn: Turn) -> None:
        """Do what the table says; raise ProtocolError where it says nothing."""
        row = connection.rows.get(message[0])
        if row is None or len(turn.fds) != row.descriptors:
            for fd in turn.fds:
                os.close(fd)
            raise ProtocolError("a message that has no place here")
        row.handler(self, connection, message, turn)
        if row.next is not connection.state:
            connection.enter(row.next, ROWS[row.next])

    def attach(self, connection: Connection) -> None:
        """Serve another connection."""
        if len(self._connections) >= CONNECTIONS:
            connection.shut_down()
            return
        connection.enter(State.SERVING, ROWS[State.SERVING])
        self._connections[connection.fd] = connection
        self._events.register(connection.fd, select.EPOLLRDHUP | select.EPOLLET)
        self._requests.register(connection.fd, _WORK)

    def hang_up(self, connection: Connection) -> None:
        """End a connection, from whichever side, and cancel what it waits for."""
        connection.closed = True
        if self._connections.get(connection.fd) is connection:
            for poller in (self._events, self._requests):
                with suppress(OSError):
                    poller.unregister(connection.fd)
            self._connections.pop(connection.fd, None)
        connection.shut_down()
        self.cancel(lambda other, _number: other is connection)

    def cancel(self, chosen: Callable[[Connection, int], bool]) -> None:
        """Give up calls that are running: kill their commands, and replace their workers."""
        for key, (connection, number, turn) in self.running.copy().items():
            if not chosen(connection, number):
                continue
            # INV-12: whoever takes the entry out, we or its worker, decides. A worker that does not
            # find it any more ends, and so its cancellation never meets a later call
            if self._stopping or self.running.pop(key, None) is not None:
                turn.cancellation.cancel()
                if not self._stopping:
                    with self._counting:
                        self._abandoned += 1
                        self._workers -= self._abandoned <= ABANDONED
        os.eventfd_write(self._wake, 1)

    def _add_workers(self) -> None:
        """Start missing workers, and more where all have been busy with the same calls for long.

        Short calls are executed quickest by few workers: more only contend for the interpreter.
        By the main thread alone, so that what threads pass on to threads (capabilities) is whole.
        """
        if self._was_asked and time.monotonic() >= self._decide_at:
            running = frozenset(self.running)
            if len(running) + len(self._staying) < self._workers:
                self._suspects, self._was_asked = None, False
            elif self._suspects is not None and self._suspects <= running:
                self._wanted = min(self._size, 2 * self._wanted)
                self._suspects, self._was_asked = None, False
            else:
                self._suspects = running
                self._decide_at = time.monotonic() + STUCK_SECONDS
        with self._counting:
            missing = self._wanted - self._workers
            self._workers += max(missing, 0)
        for _ in range(missing):
            start_new_thread(self._work, ())

    def _list_descriptors(self) -> tuple[int, ...]:
        pollers = (self._requests.fileno(), self._events.fileno(), self._wake)
        return (self._control.fd, *pollers, *self._connections)

    def _stop(self) -> None:
        self._stopping = True
        for connection in tuple(self._connections.values()):
            self.hang_up(connection)
        deadline = time.monotonic() + GRACE_SECONDS
        while self.running and (left := deadline - time.monotonic()) > 0:
            self._events.poll(left)
            with suppress(BlockingIOError):
                os.eventfd_read(self._wake)

    # -- the workers

    def _work(self) -> None:
        decoder = Decoder()
        connections = self._connections
        wait = self._requests.poll
        with Cancellation() as cancellation:
            turn = Turn(cancellation)
            while not turn.is_last:
                for fd, events in wait(-1, 1):
                    connection = connections.get(fd)
                    # who hung up waits for nothing: the request is not even read
                    if connection is not None and not events & _HUNG_UP:
                        self._serve(connection, decoder, turn)
                    del connection  # who sleeps keeps no descriptor open
        with self._counting:
            self._workers -= self._abandoned > ABANDONED
            self._abandoned -= 1
        os.eventfd_write(self._wake, 1)

    def _serve(self, connection: Connection, decoder: Decoder, turn: Turn) -> None:
        """Execute what a connection asks for, and arm it again."""
        is_hot = connection is self._last
        self._last = connection
        try:
            message = connection.receive(decoder)
            if message is not None:
                if message[0] == PARTS:
                    message = self._receive_rest(connection, message, turn)
                if connection.shared:
                    # while this call is executed, others may take the next
                    self._requests.modify(connection.fd, _WORK)
                    self.dispatch(connection, message, turn)
                    return
                self.dispatch(connection, message, turn)
                if is_hot:
                    self._stay(connection, decoder, turn)
            self._requests.modify(connection.fd, _WORK)
        except (EOFError, OSError, ProtocolError):
            self.hang_up(connection)

    def _stay(self, connection: Connection, decoder: Decoder, turn: Turn) -> None:
        """Execute what else a connection asks for soon, which saves two system calls each time.

        For as long as another worker waits for the requests of all others.
        """
        if connection.misses > _PATIENCE:
            connection.misses = (connection.misses + 1) % _LOOK_AGAIN
            return
        running, staying, clock = self.running, self._staying, time.monotonic
        begin = clock()
        while self._workers - len(running) - len(staying) > 1 and not turn.is_last:
            staying[connection] = None
            try:
                message = connection.receive_soon(decoder)
            finally:
                del staying[connection]
            if message is None:
                connection.misses += 1
                return
            connection.misses = 0
            end = clock()
            # we did not run meanwhile, and who asked may not wait any more
            if end - begin > _LONG and connection.is_hung_up():
                raise EOFError
            begin = end
            if message[0] == PARTS:
                message = self._receive_rest(connection, message, turn)
            self.dispatch(connection, message, turn)

    def _receive_rest(self, connection: Connection, head: Message, turn: Turn) -> Message:
        # a client may take its time now: this worker is as busy as with a call
        key = self.begin(connection, -1, turn)
        try:
            return connection.receive_rest(head)
        finally:
            self.end(key, turn)

    def begin(self, connection: Connection, number: int, turn: Turn) -> int:
        """Note what a worker does; have the main thread look at it if none is idle now."""
        key = next(self._keys)
        self.running[key] = (connection, number, turn)
        if (
            len(self.running) + len(self._staying) >= self._workers
            and self._workers < self._size
            and not self._was_asked
        ):
            self._was_asked = True
            os.eventfd_write(self._wake, 1)
        return key

    def end(self, key: int, turn: Turn) -> None:
        """Note that the worker is free, or let it find out that it was replaced."""
        turn.is_last = self.running.pop(key, None) is None
        if self._stopping:
            os.eventfd_write(self._wake, 1)

    def answer(self, connection: Connection, message: Message, *, large: bool = False) -> None:
        """Send an answer, after the log records that have waited for one."""
        if self._handler.pending:
            self._forks.end_child()
            for record in self._handler.take():
                connection.send((LOG, 0, record))
        if large:
            connection.send_parts(message)
        else:
            connection.send(message)

    def _deliver(self, record: Record) -> bool:
        thread = get_ident()
        for connection, number, turn in self.running.copy().values():
            if turn.thread != thread:
                continue
            try:
                connection.send((LOG, number, record))
            except OSError:
                self.hang_up(connection)
                return False
            return True
        return False


def _receive_control(sock: socket.socket) -> tuple[Message, tuple[int, ...]]:
    """Take a message and the descriptors that came with it; on any error none is left open."""
    data, ancillary, flags, _ = sock.recvmsg(
        DATAGRAM,
        socket.CMSG_SPACE(_CONTROL_FDS * _ONE_FD),
        socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC,
    )
    fds = array.array("i")
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(content[: len(content) - len(content) % _ONE_FD])
    try:
        return _decode_whole(data, flags), tuple(fds)
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise


def _decode_whole(data: bytes, flags: int) -> Message:
    if not data:
        raise EOFError
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        raise ProtocolError("a control message that is too large")
    return decode(data)
