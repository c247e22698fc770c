"""A worker: takes requests, executes them, answers.

Facts, measured: of the two system calls with which a worker waits in the epoll set for a request
and arms the connection again, and of waking up in between, a short call costs as much as of
everything else. Two workers that execute short calls at the same time contend for the interpreter,
which costs each of them two switches a call.

Solution: connections whose calls are short are not armed again but collected, by one worker: those
that have a request are served one after the other. Where there is a single one, which usually has
asked again by the time the worker comes back, it waits a tick, in the receive, while another worker
waits in the epoll set for all others. A call that may take long is not executed before what is
collected is given back; one that does so against expectation has it taken away by the main thread
(`Server.give_back`).

Trade-offs: who calls beside such a call waits for a tick or two. When all workers but one execute
and that one waits, so does the request of another connection: for one tick at most.
"""

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from privmigrate.privsep.daemon.answer_call import Turn
from privmigrate.privsep.daemon.collection import HUNG_UP, Collection
from privmigrate.privsep.daemon.connection import NOW, SOON, Connection
from privmigrate.privsep.marks import MOST_NUMBERS
from privmigrate.privsep.messages import CALL, PARTS, Decoder, Message, ProtocolError
from privmigrate.privsep.running import Cancellation

if TYPE_CHECKING:
    from privmigrate.privsep.daemon.serve import Server

_LOG: Final = logging.getLogger(__name__)

SHORT: Final = 0.0005
"""Seconds. A call of an entrypoint that last took longer is not expected to be short."""
_PATIENCE: Final = 3
_LOOK_AGAIN: Final = 64
"""After so many vain looks for the next request there is none for so many requests."""
_LONG: Final = 0.005
"""Between two looks at the clock: the process was stopped, or starved."""
_IDLE: Final = 0.1
"""Seconds. Who collects wakes up with every other worker; it gives back what has nothing to do."""
_AT_ONCE: Final = 32
"""Requests that are served between two looks at which connections have one."""


class Worker:
    """One thread."""

    __slots__ = ("_buffer", "_collection", "_decode", "_server", "turn")

    def __init__(self, server: "Server") -> None:
        decoder = Decoder()
        self._server = server
        self._decode = decoder.decode
        self._buffer = decoder.buffer
        self._collection = Collection(server.requests)
        self.turn: Turn

    def run(self) -> None:
        """Serve until the thread was given up: another has its place then."""
        collection = self._collection
        with Cancellation() as cancellation:
            self.turn = turn = Turn(cancellation, collection)
            self._server.enlist(turn)
            while not turn.is_last:
                if collection.is_open:
                    self._serve_collected()
                else:
                    self._look_around(-1)
            self._server.retire(turn)

    # no name outlives these: whoever sleeps in a wait for all keeps no connection from closing

    def _serve_collected(self) -> None:
        """Serve a single one that is collected while it asks in a row; then whoever asks next."""
        server, collection = self._server, self._collection
        connections, running, serve = collection.connections, server.running, self._serve
        if len(connections) == 1 and len(running) + 1 < server.workers:
            with suppress(KeyError):  # somebody else was faster
                connection = connections.popitem()[1]
                if connection.misses > _PATIENCE:
                    connection.misses = (connection.misses + 1) % _LOOK_AGAIN
                    server.keep(connection, collection)
                else:
                    while serve(connection, SOON):
                        if (
                            connection.misses
                            or connections
                            or not collection.is_open
                            or len(running) + 1 >= server.workers
                        ):
                            server.keep(connection, collection)
                            break
                del connection
        self._serve_ready()

    def _serve_ready(self) -> None:
        """Wait until some of what is collected have a request, or one of all others; serve them."""
        server, collection, turn = self._server, self._collection, self.turn
        events = collection.poll(_IDLE, _AT_ONCE)
        if not events:
            server.give_back(turn)
        turn.ended = _clock()
        for fd, event in events:
            connection = collection.connections.pop(fd, None)
            if connection is None:
                if fd == collection.others and not turn.is_last:
                    self._look_around(0)
            elif event & HUNG_UP:
                collection.leave(connection)
            elif self._serve(connection, NOW):
                server.keep(connection, collection)

    def _look_around(self, timeout: int) -> None:
        """Serve one that nobody has collected, unless another worker is faster."""
        server = self._server
        for fd, events in server.requests.poll(timeout, 1):
            connection = server.take(fd, events)
            if connection is not None:
                self.turn.ended = _clock()
                if self._serve(connection, NOW):
                    server.keep(connection, self._collection)

    def _serve(self, connection: Connection, flags: int) -> bool:
        """Execute the next request of a connection that the caller has.

        False if it is not to be collected: it was armed, or has ended.
        """
        server, turn, collection = self._server, self.turn, self._collection
        try:
            try:
                size = connection.read(self._buffer, 0, flags)
            except BlockingIOError:
                connection.misses += 1
                return True
            message = self._decode(size)
            begin = _clock()
            if begin - turn.ended > _LONG:
                self._doubt(connection)
            if connection.shared or message[0] == PARTS:
                message = self._prepare(connection, message)
            elif flags == SOON:
                connection.misses = 0
            is_new = message[0] != CALL or message[2] not in server.short
            if is_new and collection.connections:
                server.give_back(turn)
            server.dispatch(connection, message, turn)
            if connection.shared:
                return False  # it was armed before
            if turn.ended - begin > SHORT or turn.is_last:
                server.short.discard(message[2])
                collection.leave(connection)
                server.arm(connection)
                return False
            if is_new:
                server.expect_short(message[2])
        except Exception as error:  # noqa: BLE001 - or the worker would be lost, and a caller wait
            self._end(connection, error)
            return False
        return True

    def _end(self, connection: Connection, error: Exception) -> None:
        """End a connection whose client is gone, or wrong; or for what nobody foresaw."""
        self._collection.leave(connection)
        self._server.hang_up(connection)
        if not isinstance(error, EOFError | OSError | ProtocolError):
            _LOG.error("a worker of the privsep daemon failed", exc_info=error)

    def _doubt(self, connection: Connection) -> None:
        """We did not run for long: who asked meanwhile may not wait any more."""
        self._server.give_back(self.turn)
        if connection.is_hung_up():
            raise EOFError

    def _prepare(self, connection: Connection, message: Message) -> Message:
        """What comes before the execution of a large message, or one of several at a time."""
        server = self._server
        server.give_back(self.turn)
        if message[0] == PARTS:
            message = server.receive_rest(connection, message, self.turn)
        if connection.shared:
            number = message[1] if message[0] == CALL else -1  # which ends the connection
            assert isinstance(number, int)  # noqa: S101 - `messages` has checked
            # INV-15: as the mark of a call that has its connection for itself, but by the one
            # worker that may read now
            connection.next[0] = number + 1 if 0 <= number < MOST_NUMBERS - 1 else 0
            # while this call is executed, others may take the next
            server.arm(connection)
        return message


_clock: Final = time.monotonic
