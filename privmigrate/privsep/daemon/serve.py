"""The daemon's loop: who waits for what, who executes, and what happens when a client hangs up.

Facts, measured on Linux 6.18 with Python 3.11: handing a request from one thread to another costs
as much as a whole round trip between two processes. With EPOLLONESHOT the kernel wakes exactly one
of many threads that wait in one epoll set, the one that slept last, whose caches are warm. A
worker that executes for long reads nothing meanwhile.

What does not work: a reader that hands requests over (twice the cost). Closing a descriptor while
a worker uses it: its number may already be another connection. Noticing hang-ups in the workers:
when all of them are busy with calls that were given up, nobody would notice.

Solution: workers wait in `requests`; the one that is woken reads one message, executes and answers,
and arms the connection again, or has it collected by one of them (`Worker`). The main thread waits
in `_events` for the control connection, for hang-ups of all connections, which cost nothing while
there are none, and for being asked to look after workers that are stuck, which it goes on with for
as long as there are calls. A call whose client hung up is cancelled: its command is killed, and
where that does not end it, another worker takes the place of the one that is busy.

Trade-offs: Python code that ignores that nobody waits runs to its end in a thread that is no
longer counted; at most ABANDONED such threads are replaced.
"""

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
from privmigrate.privsep.daemon.collection import HUNG_UP, Collection
from privmigrate.privsep.daemon.connection import Connection, State
from privmigrate.privsep.daemon.forks import Forks
from privmigrate.privsep.daemon.load import Entrypoints
from privmigrate.privsep.daemon.logs import ChannelHandler, Record
from privmigrate.privsep.daemon.requests import ROWS
from privmigrate.privsep.daemon.worker import Worker
from privmigrate.privsep.marks import Marks
from privmigrate.privsep.messages import (
    LOG,
    Message,
    ProtocolError,
)
from privmigrate.privsep.running import Cancellation
from privmigrate.privsep.wire import receive_control

CONNECTIONS: Final = 400
"""How many a client may have; its own pool stops at fewer. RLIMIT_NOFILE is often 1024."""
ABANDONED: Final = 64
GRACE_SECONDS: Final = 5.0
"""How long calls may take to end when the client is gone, after their commands were killed."""
STUCK_SECONDS: Final = 0.001
"""A call that takes longer: nobody should wait for its worker."""
SWITCH_SECONDS: Final = 0.001
"""Python code in one call delays the others by this much; the interpreter's default is five."""

_WORK: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT
_AT_FIRST: Final = 2
_LOOKS: Final = 3
"""When all workers were found stuck so often in a row, there should be more of them; once may only
mean that the process did not run."""


class Server:
    """Serves one client on its control connection until it hangs up.

    Attributes:
        name: what WELCOME calls the context.
        sends_tracebacks: the client wants them.
        follows_level: the root logger gets the client's level; a forked daemon keeps its own.
        running: the calls that are being executed, under a key of each, which `keys` gives; one
            that is given up is taken out.
        requests: the epoll set in which workers wait for requests.
        workers: how many there are; those that were given up do not count.
        size: how many there may be.
        collector: of the worker that serves the connections whose calls are short.
        short: the entrypoints whose last call was short.
        stopping: the client is gone, and calls are only waited for.
        asked: the main thread looks after the workers every now and then.
        marks: what tells the client which calls have begun.
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
        self.keys = itertools.count()
        self._control = Connection(control, 0)
        self._control.enter(State.GREETING, ROWS[State.GREETING])
        self._handler = handler
        self.size = size
        self._wanted = min(size, _AT_FIRST)
        self.workers = 0
        self.collector: Collection | None = None
        self._turns: dict[Turn, None] = {}
        self._ended = 0.0
        self.short: set[object] = set()
        self.asked = False
        self._suspects: frozenset[int] = frozenset()
        self._decide_at = 0.0
        self._looks = 0
        self._abandoned = 0
        self._counting = allocate_lock()
        self.stopping = False
        self._connections: dict[int, Connection] = {}
        self.requests = select.epoll()
        self.marks = Marks()
        self._turn = Turn(Cancellation(), Collection(self.requests))
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
                self._look_after_workers()
        finally:
            self._stop()

    def _handle_events(self) -> bool:
        # one at a time: handling the first may give the number of the second to another connection
        timeout = STUCK_SECONDS if self.asked else None
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
            message, fds = receive_control(self._control.sock, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except (EOFError, OSError, ProtocolError):
            return False
        try:
            self._turn.fds = fds
            self.dispatch(self._control, message, self._turn)
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
        connection.mark, connection.next = self.marks.take(connection.fd, connection.key)
        self._events.register(connection.fd, select.EPOLLRDHUP | select.EPOLLET)
        self.requests.register(connection.fd, _WORK)

    def hang_up(self, connection: Connection) -> None:
        """End a connection, from whichever side, and cancel what it waits for."""
        connection.closed = True
        if self._connections.get(connection.fd) is connection:
            for poller in (self._events, self.requests):
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
            if self.stopping or self.running.pop(key, None) is not None:
                turn.cancellation.cancel()
                self.give_back(turn)
                if not self.stopping:
                    with self._counting:
                        self._abandoned += 1
                        self.workers -= self._abandoned <= ABANDONED
        os.eventfd_write(self._wake, 1)

    def _look_after_workers(self) -> None:
        """Have nobody wait for long for a call that takes long; replace missing workers."""
        if self.asked and time.monotonic() >= self._decide_at:
            running = frozenset(self.running)
            stuck = running & self._suspects
            for key in stuck:
                call = self.running.get(key)
                if call is not None:
                    self.give_back(call[2])
            # short calls are executed quickest by few workers: more only contend for the
            # interpreter
            self._looks = self._looks + 1 if len(stuck) >= self.workers else 0
            if self._looks >= _LOOKS:
                self._looks = 0
                self._wanted = min(self.size, 2 * self._wanted)
            self.asked = False
            if self._goes_on(stuck):
                self.asked = True
                self._decide_at = time.monotonic() + STUCK_SECONDS
        self._add_workers()

    def _goes_on(self, stuck: frozenset[int]) -> bool:
        """Whether somebody may wait for one of the calls that are being executed now, or soon."""
        self._suspects = running = frozenset(self.running)
        turns = tuple(self._turns)
        ended, self._ended = self._ended, max((turn.ended for turn in turns), default=0.0)
        if running - stuck or len(running) >= self.workers < self.size:
            return True
        # to ask for the next look would cost the calls that follow more than the looks cost
        return ended != self._ended and any(turn.collection.connections for turn in turns)

    def _add_workers(self) -> None:
        # by the main thread alone, so that what threads pass on to threads (capabilities) is whole
        with self._counting:
            missing = self._wanted - self.workers
            self.workers += max(missing, 0)
        for _ in range(missing):
            try:
                start_new_thread(Worker(self).run, ())
            except (OSError, RuntimeError):  # no more descriptors, or threads
                with self._counting:
                    self.workers -= 1
                    self._wanted = self.workers
                if not self._wanted:
                    raise

    def _list_descriptors(self) -> tuple[int, ...]:
        pollers = (self.requests.fileno(), self._events.fileno(), self._wake)
        own = (turn.collection.fileno() for turn in (self._turn, *self._turns))
        return (self._control.fd, *pollers, *own, *self._connections)

    def _stop(self) -> None:
        self.stopping = True
        for connection in tuple(self._connections.values()):
            self.hang_up(connection)
        deadline = time.monotonic() + GRACE_SECONDS
        while self.running and (left := deadline - time.monotonic()) > 0:
            self._events.poll(left)
            with suppress(BlockingIOError):
                os.eventfd_read(self._wake)

    # -- for the workers

    def enlist(self, turn: Turn) -> None:
        """Note a worker that begins."""
        self._turns[turn] = None

    def take(self, fd: int, events: int) -> Connection | None:
        """Give the connection that the epoll set has given to a worker."""
        # who hung up waits for nothing: the request is not even read
        return None if events & HUNG_UP else self._connections.get(fd)

    def keep(self, connection: Connection, collection: Collection) -> None:
        """Have a connection's next request, which is expected soon, served by who collects."""
        collector = self.collector
        if collector is None:
            self.collector = collector = collection
            collection.is_open = True
        elif collector is not collection and collection.is_open:
            # both began at once: two would contend
            self._give_back(collection)
        try:
            collector.add(connection, self.arm)
        except OSError:  # no more memory, or a limit of epoll(7)
            self.arm(connection)

    def arm(self, connection: Connection) -> None:
        """Have the next request of a connection wake a worker; raise OSError if it has ended."""
        self.requests.modify(connection.fd, _WORK)

    def give_back(self, turn: Turn) -> None:
        """Have all workers look after what one holds; whoever takes it from there, has it."""
        self._give_back(turn.collection)

    def _give_back(self, collection: Collection) -> None:
        if self.collector is collection:
            self.collector = None
        collection.give_back(self.arm)

    def expect_short(self, name: object) -> None:
        """Note that a call of this entrypoint, if it is one, was short."""
        if self.entrypoints.has(name):
            self.short.add(name)

    def ask_if_needed(self, turn: Turn) -> None:
        """Have the main thread look after a call that others may wait for; it is in `running`.

        In this order: either the main thread finds the call there, or we find that it was not
        asked.
        """
        if turn.collection.connections or len(self.running) >= self.workers < self.size:
            self.asked = True
            os.eventfd_write(self._wake, 1)

    def retire(self, turn: Turn) -> None:
        """Note that a worker which was given up has ended."""
        self._turns.pop(turn, None)
        with self._counting:
            self.workers -= self._abandoned > ABANDONED
            self._abandoned -= 1
        os.eventfd_write(self._wake, 1)

    def receive_rest(self, connection: Connection, head: Message, turn: Turn) -> Message:
        """Wait for the rest of a large message: as busy as with a call, for a client may dawdle."""
        key = next(self.keys)
        self.running[key] = (connection, -1, turn)
        if not self.asked:
            self.ask_if_needed(turn)
        try:
            return connection.receive_rest(head)
        finally:
            self.end(key, turn)

    def end(self, key: int, turn: Turn) -> None:
        """Note that the worker is free, or let it find out that it was replaced."""
        turn.is_last = self.running.pop(key, None) is None
        if self.stopping:
            os.eventfd_write(self._wake, 1)

    def answer(self, connection: Connection, message: Message) -> None:
        """Send an answer, after the log records that have waited for one."""
        if self._handler.pending:
            self.send_records(connection)
        connection.send(message)

    def answer_large(self, connection: Connection, message: Message) -> None:
        """As `answer`, with what is known to be large."""
        if self._handler.pending:
            self.send_records(connection)
        connection.send_parts(message)

    def send_records(self, connection: Connection) -> None:
        """Send the log records that have waited for an answer; in a child of the daemon, end."""
        self._forks.end_child()
        for record in self._handler.take():
            with suppress(TypeError, ValueError, OverflowError):  # no answer is lost for a record
                connection.send((LOG, 0, record))

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
