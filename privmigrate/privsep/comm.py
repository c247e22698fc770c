"""oslo.privsep's wire format under its names: a stream of msgpack objects.

Our own channel does not use it (see `messages` and `wire`); an unmodified oslo.privsep client that
names our helper does, and is served by `daemon.stream`. `PrivsepTimeout` is what callers catch.
"""

import enum
import socket
from typing import Final, Self

from privmigrate.errors import PrivmigrateError
from privmigrate.privsep.messages import StreamDecoder, encode_stream

STREAM_LIMIT: Final = 256 * 2**20
"""How many bytes may wait for the end of one object."""
_CHUNK: Final = 64 * 1024


@enum.unique
class Message(enum.IntEnum):
    """Types of messages between an oslo.privsep client and its daemon."""

    PING = 1
    PONG = 2
    CALL = 3
    RET = 4
    ERR = 5
    LOG = 6


class FailedToDropPrivileges(PrivmigrateError):  # noqa: N818 - oslo.privsep's name
    """The daemon did not start; the message says why."""


class PrivsepTimeout(PrivmigrateError):  # noqa: N818 - oslo.privsep's name
    """A call took longer than it may; it is cancelled, and its command killed."""


class Serializer:
    """Writes objects to a stream socket."""

    def __init__(self, writesock: socket.socket) -> None:
        self.writesock = writesock

    def send(self, msg: object) -> None:
        """Write one object; raise TypeError for what cannot be sent."""
        self.writesock.sendall(encode_stream(msg))

    def close(self) -> None:
        """Say that nothing more will come."""
        self.writesock.shutdown(socket.SHUT_WR)


class Deserializer:
    """Reads objects from a stream socket until its end; raise ProtocolError for what is none."""

    def __init__(self, readsock: socket.socket) -> None:
        self.readsock = readsock
        self._decoder = StreamDecoder(STREAM_LIMIT)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> object:
        while True:
            try:
                return self._decoder.next()
            except StopIteration:
                try:
                    data = self.readsock.recv(_CHUNK)
                except TimeoutError:
                    continue
                if not data:
                    raise
                self._decoder.feed(data)
