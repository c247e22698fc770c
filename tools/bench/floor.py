"""The floor: two processes that exchange msgpack over SOCK_SEQPACKET pairs, and nothing else.

No pool, no entrypoints, no errors: what a round trip costs at the least in Python.
"""

import os
import signal
import socket
import threading
from typing import Any, Final

import msgpack

_BUFFER: Final = 64 * 1024


class Floor:
    """A client whose daemon answers every request with nothing."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                ours.close()
                _serve(theirs)
            finally:
                os._exit(0)
        theirs.close()
        self._sock = ours
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)

    def noop(self) -> object:
        """One round trip."""
        self._sock.send(msgpack.packb((3, 0, "tools.bench.ours:noop", (), {})))
        size = self._sock.recv_into(self._buffer)
        answer: Any = msgpack.unpackb(self._view[:size], use_list=False)
        return answer[2]

    def stop(self) -> None:
        """End the daemon; others that were forked since hold its connection too."""
        self._sock.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class Floors:
    """Several of them in two processes: a thread for each connection on either side."""

    def __init__(self, threads: int) -> None:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(threads)]
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for ours, _ in pairs:
                    ours.close()
                _serve_all([theirs for _, theirs in pairs])
            finally:
                os._exit(0)
        for _, theirs in pairs:
            theirs.close()
        self._socks = [ours for ours, _ in pairs]
        self._free: list[socket.socket] = []
        self._mine = threading.local()

    def noop(self) -> object:
        """One round trip, on the calling thread's own connection."""
        try:
            sock, buffer, view = self._mine.connection
        except AttributeError:
            buffer = bytearray(_BUFFER)
            sock, view = self._free.pop(), memoryview(buffer)
            self._mine.connection = (sock, buffer, view)
        sock.send(msgpack.packb((3, 0, "tools.bench.ours:noop", (), {})))
        size = sock.recv_into(buffer)
        answer: Any = msgpack.unpackb(view[:size], use_list=False)
        return answer[2]

    def begin(self) -> None:
        """Give the connections of threads that have ended to those that follow."""
        self._free = self._socks.copy()

    def stop(self) -> None:
        """End the daemon, as above."""
        for sock in self._socks:
            sock.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _serve_all(socks: list[socket.socket]) -> None:
    threads = [threading.Thread(target=_serve, args=(sock,)) for sock in socks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _serve(sock: socket.socket) -> None:
    buffer = bytearray(_BUFFER)
    view = memoryview(buffer)
    while size := sock.recv_into(buffer):
        request: Any = msgpack.unpackb(view[:size], use_list=False)
        sock.send(msgpack.packb((4, request[1], None)))
