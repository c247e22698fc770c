"""The connections that one worker serves one after the other, and nobody else meanwhile.

Whoever takes a connection out of `connections` has it: the worker that serves it, or whoever gives
back. The worker watches an epoll set of its own, in which a connection stays while it is served.
"""

import select
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from privmigrate.privsep.daemon.connection import Connection

HUNG_UP: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_READY: Final = select.EPOLLIN | select.EPOLLRDHUP


class Collection:
    """What one worker has collected.

    Attributes:
        connections: those that wait for a request, by their descriptors.
        is_open: others may be added.
        others: the epoll set of all that is not collected, which the worker watches as well.
        poll: waits for those that have a request, as `select.epoll.poll`.
    """

    __slots__ = ("_own", "connections", "is_open", "others", "poll")

    def __init__(self, requests: "select.epoll") -> None:
        self.connections: dict[int, Connection] = {}
        self.is_open = False
        self.others = requests.fileno()
        # closed with the last reference: another worker may still be about to add a connection
        self._own = select.epoll()
        self._own.register(self.others, select.EPOLLIN)
        self.poll = self._own.poll

    def fileno(self) -> int:
        """The descriptor of its epoll set."""
        return self._own.fileno()

    def add(self, connection: Connection, arm: Callable[[Connection], None]) -> None:
        """Collect one that the caller has; given back at once if this is not open any more."""
        if connection.collection is not self:
            if connection.collection is not None:
                connection.collection.leave(connection)
            self._own.register(connection.fd, _READY)
            connection.collection = self
        self.connections[connection.fd] = connection
        if not self.is_open:
            self.give_back(arm)

    def leave(self, connection: Connection) -> None:
        """Watch one no longer, which the caller has."""
        if connection.collection is self:
            connection.collection = None
            self._own.unregister(connection.fd)

    def give_back(self, arm: Callable[[Connection], None]) -> None:
        """Have all workers look after what is collected, by arming it."""
        # before the look: whoever adds afterwards finds that it is closed, and gives back too
        self.is_open = False
        with suppress(KeyError):
            while True:
                _, connection = self.connections.popitem()
                self.leave(connection)
                with suppress(OSError):  # it has ended
                    arm(connection)
