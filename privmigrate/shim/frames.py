"""What our own client and a daemon say to each other after the manager protocol's handshake.

A request is its size, 4 bytes, big endian, and the command's words, each followed by NUL; with it
go the descriptors of the command's input, output and error output. The answer is one byte, after
which the command may have been started; then, when it has ended, the exit status (-n for signal n),
the size of a message for the caller, 4 bytes each, and the message. What the command reads and
writes never passes the daemon.
"""

import array
import os
import socket
import struct
from collections.abc import Sequence
from typing import Final

from privmigrate.errors import InputError, Refused
from privmigrate.shim.manager import MAX_MESSAGE, receive_exactly

BEGUN: Final = b"B"  # until then a command may be sent again, then never
_SIZE: Final = struct.Struct("!I")
_RESULT: Final = struct.Struct("!iI")
_DESCRIPTORS: Final = 3
_SPACE: Final = socket.CMSG_SPACE(_DESCRIPTORS * array.array("i").itemsize)
_USUAL: Final = 4096  # more than nearly every request takes


def pack_request(argv: Sequence[str]) -> bytes:
    """Make a request; raise InputError if its words cannot be those of a program."""
    try:
        words = [os.fsencode(word) for word in argv]
    except UnicodeEncodeError as error:
        raise InputError(f"a command's word cannot be encoded: {error.reason}") from None
    payload = b"".join([word + b"\0" for word in words])
    if payload.count(b"\0") != len(words):
        raise InputError("a command's word holds a NUL")
    if len(payload) > MAX_MESSAGE:
        raise InputError(f"a command of {len(payload)} bytes")
    return _SIZE.pack(len(payload)) + payload


def send_request(sock: socket.socket, request: bytes, streams: Sequence[int]) -> None:
    """Ask for a command; raise OSError."""
    rights = array.array("i", streams)
    sent = sock.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    if sent < len(request):
        sock.sendall(request[sent:])


def receive_request(sock: socket.socket) -> tuple[list[str], list[int]]:
    """Receive words and descriptors, which the caller closes; raise EOFError, OSError, Refused."""
    data, ancillary, flags, _ = sock.recvmsg(_USUAL, _SPACE, socket.MSG_CMSG_CLOEXEC)
    if not data:
        raise EOFError
    found = array.array("i")
    for level, kind, rights in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(rights[: len(rights) - len(rights) % found.itemsize])
    streams = list(found)
    try:
        if len(streams) != _DESCRIPTORS or flags & socket.MSG_CTRUNC:
            raise Refused("three descriptors were expected")  # noqa: TRY301 - as the others
        return _words(sock, data), streams
    except BaseException:
        for stream in streams:
            os.close(stream)
        raise


def _words(sock: socket.socket, data: bytes) -> list[str]:
    if len(data) < _SIZE.size:
        data += receive_exactly(sock, _SIZE.size - len(data))
    (size,) = _SIZE.unpack_from(data)
    payload = data[_SIZE.size :]
    if size > MAX_MESSAGE or len(payload) > size:
        raise Refused(f"a request of {size} bytes")
    payload += receive_exactly(sock, size - len(payload))
    *words, rest = payload.split(b"\0")
    if rest:
        raise Refused("no words")
    return [os.fsdecode(word) for word in words]


def pack_result(status: int, message: str = "") -> bytes:
    """What is sent when a command has ended, or was refused."""
    text = message.encode("utf-8", "surrogateescape")
    return _RESULT.pack(status, len(text)) + text


def receive_result(sock: socket.socket, begun: bytes) -> tuple[int, str]:
    """Receive status and message behind what was received already; raise EOFError, OSError."""
    data = begun[len(BEGUN) :]
    if len(data) < _RESULT.size:
        data += receive_exactly(sock, _RESULT.size - len(data))
    status, size = _RESULT.unpack_from(data)
    text = data[_RESULT.size :]
    if size > len(text):
        text += receive_exactly(sock, size - len(text))
    return status, text.decode("utf-8", "surrogateescape")


def receive_begun(sock: socket.socket) -> bytes:
    """Receive the first byte, with what follows at once; raise EOFError, OSError, Refused."""
    data = sock.recv(_USUAL)
    if not data:
        raise EOFError
    if not data.startswith(BEGUN):
        raise Refused("no answer of a daemon of ours")
    return data
