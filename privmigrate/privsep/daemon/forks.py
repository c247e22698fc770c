"""Children that entrypoints fork, as those of neutron do: a child is no second daemon.

A child has the daemon's descriptors, signal handlers and, if the entrypoint returns in it too, the
worker's loop. It would answer calls twice, survive SIGTERM, and hide the daemon's death from a
client that waits for the end of a connection.
"""

import os
import signal
from collections.abc import Callable, Iterable
from typing import Final

from privmigrate.privsep.daemon.logs import ChannelHandler, keep

ENDING: Final = (signal.SIGTERM, signal.SIGINT)
"""Signals that end the daemon in order."""
EXIT_CHILD: Final = 1


class Forks:
    """Takes what is the daemon's from every child.

    Attributes:
        in_child: this process is no daemon.
    """

    __slots__ = ("_descriptors", "_handler", "in_child")

    def __init__(self, handler: ChannelHandler, descriptors: Callable[[], Iterable[int]]) -> None:
        self.in_child = False
        self._handler = handler
        self._descriptors = descriptors
        os.register_at_fork(after_in_child=self._leave)

    def _leave(self) -> None:
        self.in_child = True
        self._handler.deliver = keep
        self._handler.pending = True  # so that the next answer comes by `end_child`
        for number in ENDING:
            signal.signal(number, signal.SIG_DFL)
        # replaced and not closed: objects that know the numbers are still here
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in self._descriptors():
            os.dup2(null, fd, inheritable=False)
        os.close(null)

    def end_child(self) -> None:
        """End a child that came back from its entrypoint; the daemon answers alone."""
        if self.in_child:
            os._exit(EXIT_CHILD)
