"""Serve an unmodified oslo.privsep client, which speaks msgpack over a stream socket.

What its protocol lacks stays lacking: a call that it gave up is not cancelled. What deadlocks or
dies in its own daemon does not here: the main thread only reads, so that a client which writes
while nobody reads its answers is always read; and every request is answered.
"""

import queue
import socket
from _thread import allocate_lock, start_new_thread
from contextlib import suppress
from typing import Final

from privmigrate.privsep.comm import Deserializer, Message, Serializer
from privmigrate.privsep.daemon.answer_call import describe_error
from privmigrate.privsep.daemon.forks import Forks
from privmigrate.privsep.daemon.load import Entrypoints
from privmigrate.privsep.daemon.logs import ChannelHandler, Record
from privmigrate.privsep.messages import ProtocolError
from privmigrate.privsep.running import Cancellation
from privmigrate.privsep.sendable import explain_unsendable

WAITING: Final = 10_000
"""Requests that wait for a worker. A client has one for each of its threads."""

_Request = tuple[object, tuple[object, ...]]


class StreamServer:
    """Serves one client on its stream until it hangs up."""

    def __init__(
        self, sock: socket.socket, entrypoints: Entrypoints, handler: ChannelHandler, *, size: int
    ) -> None:
        self._sock = sock
        self._entrypoints = entrypoints
        self._size = size
        self._writer = Serializer(sock)
        self._writing = allocate_lock()
        self._running: list[Cancellation] = []
        self._waiting: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        for record in handler.take():
            self._deliver(record)
        self._forks = Forks(handler, lambda: (sock.fileno(),))
        handler.deliver = self._deliver

    def run(self) -> None:
        """Serve until the client has hung up, or breaks the protocol."""
        for _ in range(self._size):
            start_new_thread(self._work, ())
        try:
            for item in Deserializer(self._sock):
                self._waiting.put(_read_request(item))
                if self._waiting.qsize() > WAITING:
                    break
        except (ProtocolError, OSError):
            pass
        self._sock.close()
        for cancellation in tuple(self._running):
            cancellation.cancel()

    def _work(self) -> None:
        with Cancellation() as cancellation:
            self._running.append(cancellation)
            while True:
                number, request = self._waiting.get()
                answer = self._answer(request)
                self._forks.end_child()
                try:
                    self._send_answer(number, request, answer)
                except OSError:
                    with suppress(OSError):
                        self._sock.shutdown(socket.SHUT_RDWR)
                    return

    def _send_answer(
        self, number: object, request: tuple[object, ...], answer: tuple[object, ...]
    ) -> None:
        try:
            self._send((number, answer))
        except (TypeError, ValueError, OverflowError) as error:
            why = explain_unsendable(answer[1], f"the result of {request[1]}") or str(error)
            self._send((number, _as_err(TypeError(why))))

    def _answer(self, request: tuple[object, ...]) -> tuple[object, ...]:
        match request:
            case (Message.PING,):
                return (Message.PONG.value,)
            case (Message.CALL, str() as name, tuple() as args, dict() as kwargs):
                module, _, function = name.rpartition(".")
                try:
                    value = self._entrypoints.find(f"{module}:{function}")(*args, **kwargs)
                except BaseException as error:  # noqa: BLE001 - sys.exit() is an answer too
                    return _as_err(error)
                return (Message.RET.value, value)
            case _:
                return _as_err(ProtocolError("Unknown privsep cmd"))

    def _send(self, message: object) -> None:
        with self._writing:
            self._writer.send(message)

    def _deliver(self, record: Record) -> bool:
        # its client makes a LogRecord of whatever comes, and needs these
        full = {**record, "args": (), "exc_info": None}
        self._send((None, (Message.LOG.value, full)))
        return True


def _read_request(item: object) -> _Request:
    match item:
        case (number, tuple() as request):
            return number, request
        case _:
            raise ProtocolError("a request that is no pair")


def _as_err(error: BaseException) -> tuple[object, ...]:
    _, _, module, name, args, _, text = describe_error(error, 0, tracebacks=True)
    if not isinstance(error, Exception):
        # its client would raise SystemExit in the service
        module, name, args = "builtins", "RuntimeError", (f"{name}: {error}",)
    return (Message.ERR.value, f"{module}.{name}", args, text)
