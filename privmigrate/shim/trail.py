"""A daemon's audit trail: one record for each command, in the order in which the commands ended.

A record is kept when its command has ended and written when whoever waits for the command was
told, so that writing it costs no caller anything. Whoever writes writes all that are kept: a client
that does not read its answer holds back nobody's record for more than a second, not even its own.
Where syslog takes nothing, those wait that have something to write, and no record is thrown away.
"""

import threading
from collections import deque
from typing import Final

from privmigrate.shim import client


class Trail:
    """The records of one daemon. Safe to use from many threads."""

    def __init__(self, log: client.Log, by: str) -> None:
        """Write to this log, as of this login."""
        self._log: Final = log
        self._by: Final = by
        self._kept: Final[deque[tuple[client.Command, int, float]]] = deque()
        self._writing: Final = threading.Lock()

    def keep(self, command: client.Command, status: int, seconds: float) -> None:
        """Note how a command ended."""
        self._kept.append((command, status, seconds))

    def write(self, *, wait: bool = True) -> None:
        """Write what is kept; without `wait` leave it to whoever is writing already."""
        if not self._writing.acquire(blocking=wait):
            return
        try:
            while self._kept:
                command, status, seconds = self._kept.popleft()
                values = {"status": str(status), "seconds": f"{seconds:.3f}"}
                client.audit(self._log, command, by=self._by, **values)
        finally:
            self._writing.release()
