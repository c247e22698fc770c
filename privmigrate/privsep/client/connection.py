"""One connection to the daemon: a thread's call, and what became of it if the daemon died.

Facts: the kernel tells two ends of a SOCK_SEQPACKET connection apart. ECONNRESET says that the
daemon died with our request unread, which makes it certain that it did not run; end of file says
that it was read. What was read may have begun, which the daemon's marks tell (`marks`).
"""

import socket
import time
from contextlib import suppress

from privmigrate.errors import ChannelClosed
from privmigrate.privsep.client.answers import Listener
from privmigrate.privsep.comm import PrivsepTimeout
from privmigrate.privsep.marks import Evidence
from privmigrate.privsep.messages import (
    ANSWER,
    ANSWERS,
    CALL,
    DATAGRAM,
    PARTS,
    REQUEST,
    Decoder,
    Message,
    decode_parts,
    encode_parts,
    is_bulky,
    new_packer,
    read_lengths,
)
from privmigrate.privsep.wire import receive_parts, send_parts


class Connection:
    """One socket to the daemon, in the hands of one thread."""

    __slots__ = (
        *("_buffer", "_decode", "_evidence", "_key", "_number"),
        *("_pack", "_read", "_timeout", "_write", "sock"),
    )

    def __init__(self, sock: socket.socket, key: int, evidence: Evidence | None) -> None:
        self.sock = sock
        self._key = key
        self._evidence = evidence
        self._number = 0
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

    def call(
        self,
        name: str,
        args: tuple[object, ...],
        kwargs: dict[str, object],
        deadline: float | None,
        listener: Listener,
    ) -> Message:
        """Send a CALL and wait for its answer.

        Raise ChannelClosed, PrivsepTimeout or ProtocolError, after which the connection must be
        closed; TypeError, ValueError or OverflowError before anything was sent.
        """
        self._number += 1
        message = (CALL, self._number, name, args, kwargs)
        try:
            if deadline is not None or self._timeout is not None:
                self._allow(deadline)
            data = b"" if args and is_bulky(args) else self._pack(message)
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
            raise self._not_answered(error) from None

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

    def _not_answered(self, error: Exception) -> Exception:
        if isinstance(error, TimeoutError):
            return PrivsepTimeout("the call took too long, and was cancelled")
        # the kernel reports a reset only where our request was not read; where it was, there is a
        # mark if it was executed
        if isinstance(error, ConnectionResetError) or (
            self._evidence is not None
            and self._evidence.shows_that_it_did_not_begin(self._key, self._number)
        ):
            return ChannelClosed(
                "the privsep daemon died before the call began", may_have_run=False
            )
        return ChannelClosed("the privsep daemon died during the call")
