"""One socket of a client: what state it is in, and how an answer gets onto it."""

import enum
import select
import socket
import struct
from _thread import allocate_lock
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from privmigrate.privsep.messages import (
    ANSWER,
    DATAGRAM,
    REQUEST,
    Message,
    decode_parts,
    encode_parts,
    new_packer,
    read_lengths,
)
from privmigrate.privsep.wire import receive_parts, send_control, send_parts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from privmigrate.privsep.daemon.collection import Collection
    from privmigrate.privsep.daemon.requests import Row

STALL_SECONDS: Final = 30
"""How long a client may not read an answer, or not go on with a message in PARTS."""

SOON_SECONDS: Final = 0.001
"""How long to wait for a next request; the kernel counts in ticks, of one to ten milliseconds."""

NOW: Final = int(socket.MSG_DONTWAIT | socket.MSG_TRUNC)
"""Flags for a receive that takes what is there."""
SOON: Final = int(socket.MSG_TRUNC)
"""Flags for one that waits a little."""

_STALL: Final = struct.pack("@ll", STALL_SECONDS, 0)
_SOON: Final = struct.pack("@ll", 0, int(SOON_SECONDS * 1e6))


@enum.unique
class State(enum.Enum):
    """What a connection may ask for next."""

    GREETING = "greeting"
    CONTROL = "control"
    SERVING = "serving"


class Connection:
    """A connected SOCK_SEQPACKET socket.

    The descriptor is closed when the last user is gone, so that none of them can meet another
    connection under the same number: closing is what `__del__` does, and nothing else.

    Attributes:
        key: the client's name for it.
        shared: it carries several calls at a time.
        collection: whose own epoll set watches it; changed by whoever has the connection.
        misses: how often in a row the next request was not there yet; see `Worker`.
        mark: the byte in which an executed call leaves its number; see `marks`.
        next: the number from which on no call was read, where they share the connection.
        read: receives a datagram into a buffer, as `recv_into`.
        state: changed by `Server` alone, as the table of requests says.
        rows: what may be asked in this state.
        closed: the client hung up, or broke the protocol; set before its calls are cancelled.
    """

    __slots__ = (
        "_lock",
        "_pack",
        "_write",
        "closed",
        "collection",
        "fd",
        "key",
        "mark",
        "misses",
        "next",
        "read",
        "rows",
        "shared",
        "sock",
        "state",
    )

    def __init__(self, sock: socket.socket, key: int, *, shared: bool = False) -> None:
        # a client that does not read holds one worker for so long, and no longer
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _STALL)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _SOON)
        self.sock = sock
        self.fd = sock.fileno()
        self.key = key
        self.state = State.GREETING
        self.rows: Mapping[object, Row] = {}
        self.shared = shared
        self.collection: Collection | None = None
        self.misses = 0
        self.mark = memoryview(bytearray(1))
        self.next = memoryview(bytearray(4)).cast("I")
        self.closed = False
        self._lock = allocate_lock()
        # bound once: every call comes by here
        self._pack = new_packer()
        self._write = sock.send
        self.read = sock.recv_into

    def enter(self, state: State, rows: "Mapping[object, Row]") -> None:
        """Be in a state, where these rows of the table apply."""
        self.state = state
        self.rows = rows

    def __del__(self) -> None:
        # INV-11: here and nowhere else, when no worker can use the number any more
        self.sock.close()

    def is_hung_up(self) -> bool:
        """Whether the client is gone, though messages of it may still be here."""
        poller = select.poll()
        poller.register(self.fd, select.POLLRDHUP)
        return bool(poller.poll(0))

    def receive_rest(self, head: Message) -> Message:
        """Wait for the message that a PARTS message announces.

        Raise EOFError if the client hung up, ProtocolError if it broke the protocol, and OSError.
        """
        lengths = read_lengths(head, REQUEST)
        # a client that stops in the middle holds one worker for so long, and no longer
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _STALL)
        parts = receive_parts(self.sock, lengths)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _SOON)
        return decode_parts(parts, REQUEST)

    def send(self, message: Message) -> None:
        """Send one message; where calls share the connection, several threads may.

        Raise TypeError, ValueError or OverflowError for what cannot be sent, before anything is;
        OSError if the client is gone or does not read.
        """
        if self.shared:
            self._lock.acquire()
        try:
            data = self._pack(message)
            if len(data) <= DATAGRAM:
                self._write(data)
            else:
                self._pack = new_packer()
                send_parts(self.sock, encode_parts(message, ANSWER))
        finally:
            if self.shared:
                self._lock.release()

    def send_parts(self, message: Message) -> None:
        """Send a message that is known to be large, as `send` would, with one copy less."""
        with self._lock:
            send_parts(self.sock, encode_parts(message, ANSWER))

    def send_with(self, message: Message, fd: int) -> None:
        """Send one small message and a descriptor."""
        send_control(self.sock, self._pack(message), (fd,))

    def shut_down(self) -> None:
        """Hang up: both sides see the end at once, whoever still holds the descriptor."""
        with suppress(OSError):  # the client was first
            self.sock.shutdown(socket.SHUT_RDWR)
