"""What is not one plain datagram on a SOCK_SEQPACKET socket: descriptors, and messages in PARTS.

Facts, measured on Linux 6.18: a datagram may be no longer than SO_SNDBUF - 32 bytes; `bytes` that
go through msgpack are copied three times, and at 64 MB that costs three times the transfer; a
memfd loses at every size. So large values are sent from, and received into, their own memory.
"""

import array
import fcntl
import io
import os
import socket
from collections.abc import Callable, Iterable
from typing import Final

from privmigrate.privsep.messages import DATAGRAM, FRAGMENT, Message, ProtocolError, decode

_FIRST_FD: Final = 3
_ONE_FD: Final = array.array("i", [0]).itemsize
_MOST_FDS: Final = 4


def above_standard(sock: socket.socket) -> socket.socket:
    """Give the same socket under a number above those of the standard streams.

    Where a process was started without these, a new socket gets their numbers: commands would
    inherit it as their input, and what is printed would go into it.
    """
    if sock.fileno() >= _FIRST_FD:
        return sock
    with sock:
        return socket.socket(fileno=fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, _FIRST_FD))


def send_control(sock: socket.socket, data: bytes, fds: Iterable[int] = (), flags: int = 0) -> None:
    """Send a message on a control connection, with descriptors."""
    given = array.array("i", fds)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, given)] if given else []
    sock.sendmsg([data], rights, flags)


def receive_control(sock: socket.socket, flags: int = 0) -> tuple[Message, tuple[int, ...]]:
    """Take a message and the descriptors that came with it; on any error none is left open."""
    data, ancillary, got, _ = sock.recvmsg(
        DATAGRAM, socket.CMSG_SPACE(_MOST_FDS * _ONE_FD), flags | socket.MSG_CMSG_CLOEXEC
    )
    fds = array.array("i")
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(content[: len(content) - len(content) % _ONE_FD])
    try:
        return _decode_whole(data, got), tuple(fds)
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
