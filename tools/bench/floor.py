"""The floor: two processes that exchange msgpack over one SOCK_SEQPACKET pair, and nothing else.

No pool, no entrypoints, no errors, no threads: what a round trip costs at the least in Python.
"""

import os
import socket
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
        """End the daemon."""
        self._sock.close()
        os.waitpid(self.pid, 0)


def _serve(sock: socket.socket) -> None:
    buffer = bytearray(_BUFFER)
    view = memoryview(buffer)
    while size := sock.recv_into(buffer):
        request: Any = msgpack.unpackb(view[:size], use_list=False)
        sock.send(msgpack.packb((4, request[1], None)))
