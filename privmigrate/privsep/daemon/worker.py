"""A worker: takes requests, executes them, answers.

Facts, measured: of the two system calls with which a worker waits in the epoll set for a request
and arms the connection again, and of waking up in between, a short call costs as much as of
everything else. A client that calls in a series has asked again by the time its worker comes back.

Solution: a connection whose call was short is not armed again but held: the worker serves those it
holds one after the other. Of several it takes what is there; for the request of a single one it
waits a tick, in the receive, while another worker waits in the epoll set for all others. What has
not asked again goes back into the set. A call that may take long is not executed before the others
that are held are given back; one that does so against expectation has them taken away by the main
thread (`Server.give_back`).

Trade-offs: who calls beside such a call waits for a tick or two. When all workers but one execute
and that one waits, so does the request of another connection: for one tick at most.
"""

import logging
import time
from typing import TYPE_CHECKING, Final

from privmigrate.privsep.daemon.answer_call import Turn
from privmigrate.privsep.daemon.connection import NOW, SOON, Connection
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
_IN_A_ROW: Final = 8
"""Calls of connections that are held, before a look at all others where nobody else looks."""


class Worker:
    """One thread."""

    __slots__ = ("_decoder", "_server", "turn")

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._decoder = Decoder()
        self.turn: Turn

    def run(self) -> None:
        """Serve until the thread was given up: another has its place then."""
        server = self._server
        serving, wait = server.serving, server.requests.poll
        with Cancellation() as cancellation:
            self.turn = turn = Turn(cancellation)
            while not turn.is_last:
                for fd, events in wait(-1, 1):
                    serving[turn] = None
                    server.take(fd, events, turn)
                    self.serve_held()
                    serving.pop(turn, None)
        server.retire()

    def serve_held(self) -> None:  # noqa: C901, PLR0912 - in one piece: every call comes by here
        """Serve what is held until nothing is; no name outlives that, for who sleeps holds none."""
        server, turn, decoder = self._server, self.turn, self._decoder
        held, serving, short, dispatch = turn.held, server.serving, server.short, server.dispatch
        buffer, decode, clock = decoder.buffer, decoder.decode, time.monotonic
        flags, in_a_row, is_new = NOW, 0, False
        turn.ended = clock()
        while held:
            try:
                connection = held.popleft()
            except IndexError:
                return  # the main thread was faster
            try:
                try:
                    size = connection.read(buffer, 0, flags)
                except BlockingIOError:
                    connection.misses += 1
                    server.arm(connection)
                else:
                    message = decode(size)
                    begin = clock()
                    if begin - turn.ended > _LONG:
                        self._doubt(connection)
                    if connection.shared or message[0] == PARTS:
                        message = self._prepare(connection, message)
                    elif in_a_row:
                        connection.misses = 0
                    if held and (message[0] != CALL or message[2] not in short):
                        server.give_back(turn)
                        is_new = True
                    if (held or len(serving) >= server.workers) and not server.asked:
                        server.ask()
                    dispatch(connection, message, turn)
                    if (
                        turn.ended - begin > SHORT
                        or connection.misses > _PATIENCE
                        or connection.shared
                        or turn.is_last
                    ):
                        self._part_with(connection, message, turn.ended - begin)
                    else:
                        held.append(connection)
                        if is_new:
                            server.expect_short(message[2])
                            is_new = False
            except (EOFError, OSError, ProtocolError):
                server.hang_up(connection)
            except Exception as error:  # noqa: BLE001 - or the worker would be lost
                self._fail(connection, error)
            in_a_row += 1
            flags = NOW
            if len(held) == 1 and len(serving) < server.workers:
                flags = SOON
            elif in_a_row > _IN_A_ROW:
                in_a_row = 1
                self._look_around()

    def _fail(self, connection: Connection, error: Exception) -> None:
        """End a connection for what nobody foresaw, or no memory: its caller must not wait."""
        self._server.hang_up(connection)
        _LOG.error("a worker of the privsep daemon failed", exc_info=error)

    def _look_around(self) -> None:
        """Hold one more that is ready, where no other worker waits for it."""
        server = self._server
        if len(server.serving) >= server.workers:
            for fd, events in server.requests.poll(0, 1):
                server.take(fd, events, self.turn)

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
            if len(server.serving) >= server.workers and not server.asked:
                server.ask()
            message = server.receive_rest(connection, message, self.turn)
        if connection.shared:
            # while this call is executed, others may take the next
            server.arm(connection)
        return message

    def _part_with(self, connection: Connection, message: Message, took: float) -> None:
        """Have others look after a connection whose next request is not expected soon."""
        if connection.shared:
            return  # it was armed before
        if took > SHORT:
            self._server.short.discard(message[2])
        elif connection.misses > _PATIENCE:
            connection.misses = (connection.misses + 1) % _LOOK_AGAIN
        if self.turn.is_last:
            self._server.give_back(self.turn)
        self._server.arm(connection)
