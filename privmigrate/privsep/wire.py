"""Messages in PARTS on a SOCK_SEQPACKET socket: what one datagram cannot hold.

Facts, measured on Linux 6.18: a datagram may be no longer than SO_SNDBUF - 32 bytes; `bytes` that
go through msgpack are copied three times, and at 64 MB that costs three times the transfer; a
memfd loses at every size. So large values are sent from, and received into, their own memory.
"""

import fcntl
import io
import socket
from collections.abc import Callable, Iterable
from typing import Final

from privmigrate.privsep.messages import FRAGMENT, ProtocolError

_FIRST_FD: Final = 3


def above_standard(sock: socket.socket) -> socket.socket:
    """Give the same socket under a number above those of the standard streams.

    Where a process was started without these, a new socket gets their numbers: commands would
    inherit it as their input, and what is printed would go into it.
    """
    if sock.fileno() >= _FIRST_FD:
        return sock
    with sock:
        return socket.socket(fileno=fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, _FIRST_FD))


def send_parts(
    sock: socket.socket,
    parts: Iterable[bytes],
    before: Callable[[], None] | None = None,
) -> None:
    """Send every part in raw datagrams; `before` is called ahead of each, and may raise."""
    for part in parts:
        view = memoryview(part)
        for start in range(0, len(part), FRAGMENT):
            if before is not None:
                before()
            sock.send(view[start : start + FRAGMENT])


def receive_parts(
    sock: socket.socket,
    lengths: Iterable[int],
    before: Callable[[], None] | None = None,
) -> list[bytes]:
    """Receive parts of these sizes, which the caller has bounded; raise EOFError at their end."""
    parts: list[bytes] = []
    for length in lengths:
        # bytes(n) is zeroed memory that the kernel provides as it is written to; BytesIO hands
        # it out for writing, and at the end as it is, without a copy
        target = io.BytesIO(bytes(length))
        with target.getbuffer() as view:
            done = 0
            while done < length:
                if before is not None:
                    before()
                room = min(FRAGMENT, length - done)
                size = sock.recv_into(view[done : done + room], 0, socket.MSG_TRUNC)
                if not size:
                    raise EOFError
                if size > room:
                    raise ProtocolError("a part that is longer than was said")
                done += size
        parts.append(target.getvalue())
    return parts
