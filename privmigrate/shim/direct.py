"""Our own client's requests to a daemon: the command, and its streams as descriptors.

After the manager protocol's handshake, each request is a JSON list of words with three descriptors.
The answers are ``["begun"]``, after which it may have been started, and ``[status, message]``;
what the command reads and writes never passes the daemon.
"""

import array
import os
import socket
from contextlib import AbstractContextManager
from typing import Final, Protocol

from privmigrate.errors import Refused
from privmigrate.shim import client, manager
from privmigrate.shim.daemon import Started, Streams

_DESCRIPTORS: Final = 3
_LENGTH: Final = 8


class Starter(Protocol):
    """What of a server is needed here."""

    def using(self) -> AbstractContextManager[None]:
        """Wait for a free place."""

    def prepare(self, argv: list[str]) -> client.Command:
        """Decide; raise client.Quit, or Outgrown where another daemon has to."""

    def start(self, command: client.Command, streams: Streams) -> Started:
        """Start a command."""


def serve_direct(sock: socket.socket, server: Starter) -> None:
    """Answer one request after the other until the other side hangs up."""
    while True:
        descriptors, head = _receive_descriptors(sock)
        try:
            size = int.from_bytes(head, "big")
            if size > manager.MAX_MESSAGE:
                raise Refused(f"a message of {size} bytes")
            request = manager.loads(manager.receive_exactly(sock, size))
            match request:
                case list() if all(isinstance(word, str) for word in request):
                    argv = [str(word) for word in request]
                case _:
                    raise Refused("no command")
            with server.using():
                manager.send(sock, _run(sock, argv, server, descriptors))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _receive_descriptors(sock: socket.socket) -> tuple[list[int], bytes]:
    size = socket.CMSG_SPACE(_DESCRIPTORS * array.array("i").itemsize)
    head, ancillary, flags, _ = sock.recvmsg(_LENGTH, size, socket.MSG_CMSG_CLOEXEC)
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    descriptors = list(found)
    if head and len(descriptors) == _DESCRIPTORS and not flags & socket.MSG_CTRUNC:
        return descriptors, head + manager.receive_exactly(sock, _LENGTH - len(head))
    for descriptor in descriptors:
        os.close(descriptor)
    if not head:
        raise EOFError
    raise Refused("three descriptors were expected")


def _run(
    sock: socket.socket, argv: list[str], server: Starter, descriptors: list[int]
) -> list[object]:
    try:
        ready = server.prepare(argv)
        manager.send(sock, manager.BEGUN)
        started = server.start(ready, Streams(*descriptors))
    except client.Quit as quit_:
        manager.send(sock, manager.BEGUN)
        message = quit_.message if quit_.status == client.EXIT_BAD_CONFIG else ""
        return [quit_.status, message]
    except OSError as error:
        return [client.EXIT_FAILED, f"{argv[:1]}: {error.strerror}"]
    # the command alone holds its ends, or whoever reads would never see their end
    while descriptors:
        os.close(descriptors.pop())
    return [started.wait(), ""]
