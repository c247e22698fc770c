"""Our own client's requests to a daemon: the command, and its streams as descriptors."""

import os
import socket
from contextlib import AbstractContextManager
from typing import Protocol

from privmigrate.shim import client
from privmigrate.shim.daemon import Started, Streams, told
from privmigrate.shim.frames import BEGUN, pack_result, receive_request


class Starter(Protocol):
    """What of a server is needed here."""

    def using(self) -> AbstractContextManager[None]:
        """Do not count as idle in it."""

    def place(self) -> AbstractContextManager[object]:
        """Wait for a free place."""

    def prepare(self, argv: list[str]) -> client.Command:
        """Decide; raise client.Quit, or Outgrown where another daemon has to."""

    def start(self, command: client.Command, streams: Streams) -> Started:
        """Start a command."""


def serve_direct(sock: socket.socket, server: Starter) -> None:
    """Answer one request after the other until the other side hangs up."""
    while True:
        argv, descriptors = receive_request(sock)
        try:
            with server.using(), server.place():
                _run(sock, argv, server, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _run(sock: socket.socket, argv: list[str], server: Starter, descriptors: list[int]) -> None:
    try:
        ready = server.prepare(argv)
    except client.Quit as quit_:
        sock.sendall(BEGUN + pack_result(quit_.status, told(quit_)))
        return
    sock.sendall(BEGUN)
    try:
        started = server.start(ready, Streams(*descriptors))
    except client.Quit as quit_:
        sock.sendall(pack_result(quit_.status, quit_.message))
        return
    with started:
        # the command alone holds its ends, or whoever reads would never see their end
        while descriptors:
            os.close(descriptors.pop())
        sock.sendall(pack_result(started.wait()))
