"""A daemon's syslog, for which no command waits, and its audit trail: one record for each command.

A record is made while its command runs and written when that has ended, before whoever waits for
the command is told: that costs him a few microseconds, and a daemon that is killed behind an answer
owes nothing. The order is that in which the commands ended. What syslog does not take is kept, up
to a limit, and offered again by whoever writes next and once a second. Beyond the limit lines are
dropped; records that are dropped are counted where every process of this configuration counts them,
and the trail says how many it lacks when it goes on.
"""

import select
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from privmigrate.shim import client

if TYPE_CHECKING:
    import _socket

_ROOM: Final = 4 << 20  # bytes: some ten thousand records
_PATIENCE_AT_END: Final = 5.0


@dataclass(slots=True, eq=False)
class _Line:
    """What syslog has not taken yet; a stream may have taken some of it."""

    data: bytes
    is_record: bool
    sent: int = 0

    @property
    def is_taken(self) -> bool:
        return self.sent == len(self.data)


class DaemonLog(client.Log):
    """Syslog for many threads: what it does not take at once is kept, and nobody waits."""

    patience = 0.0

    def __init__(self, name: str, syslog: str, config: str) -> None:
        """Log as this name; lost records are counted with those of this configuration."""
        self._config: Final = config
        self._lock: Final = threading.Lock()
        self._waiting: Final[deque[_Line]] = deque()
        self._size = 0
        self._has_lost = False
        self._dropped = 0
        self._uncounted = 0  # records that could be counted nowhere else
        super().__init__(name, syslog)

    @property
    def unrecorded(self) -> int:
        """How many records syslog has not taken yet."""
        with self._lock:
            return sum(line.is_record for line in self._waiting)

    def send(self, priority: int, text: str) -> bool:
        """Log it, or keep it, or drop it: a daemon's standard error might hang as well."""
        line = _Line(self.line(priority, text), priority == client.NOTICE)
        self.flush()
        with self._lock:
            if self._size + len(line.data) > _ROOM:
                self._lose(line)
                return False
            self._keep(line)
            self._flush()
        return True

    def send_now(self, priority: int, text: str) -> bool:
        """Have syslog take it, waiting for no longer than a process of its own does."""
        line = _Line(self.line(priority, text), priority == client.NOTICE)
        deadline = time.monotonic() + client.PATIENCE
        with self._lock:
            self._keep(line)
        while True:
            with self._lock:
                self._flush()
                sock, left = self.socket, deadline - time.monotonic()
                if line.is_taken:
                    return True
                if sock is None or left <= 0:
                    if not line.sent:  # half a line cannot be taken back
                        self._waiting.remove(line)
                        self._size -= len(line.data)
                    return False
            _wait_until_writable(sock, left)  # beside other threads

    def flush(self) -> None:
        """Offer again what waits; if that was all, say what was lost before anything else comes."""
        with self._lock:
            self._flush()
            if self._waiting or not self._has_lost:
                return
            self._has_lost, dropped, self._dropped = False, self._dropped, 0
            uncounted, self._uncounted = self._uncounted, 0
        client.tell_lost(self, self._config)
        if uncounted:
            self.send(client.NOTICE, client.describe_lost(uncounted))
        if dropped:
            self.write(client.WARNING, f"{dropped} lines that were no records found no room")

    def drain(self, seconds: float) -> None:
        """Offer what waits for so long: the queue of a socket is short."""
        deadline = time.monotonic() + seconds
        while True:
            self.flush()
            sock, left = self.socket, deadline - time.monotonic()
            if not self._waiting or sock is None or left <= 0:
                return
            _wait_until_writable(sock, left)

    def finish(self) -> None:
        """The daemon ends: wait for a syslog daemon that hangs, and count what it never took."""
        self.drain(_PATIENCE_AT_END)
        with self._lock:
            while self._waiting:
                self._lose(self._waiting.popleft())

    def _keep(self, line: _Line) -> None:
        self._waiting.append(line)
        self._size += len(line.data)

    def _lose(self, line: _Line) -> None:
        self._has_lost = True
        if not line.is_record:
            self._dropped += 1
        elif not client.count_lost(self._config):
            self._uncounted += 1

    def _flush(self) -> None:
        """Send what waits, as far as that needs no waiting."""
        is_new = False
        while self._waiting:
            line = self._waiting[0]
            try:
                if self.socket is None:
                    is_new = True
                    self.socket = client.connect_syslog(self.patience)
                line.sent += self.socket.send(line.data[line.sent :])
            except (BlockingIOError, TimeoutError):
                return
            except OSError:
                self.socket, line.sent = None, 0
                if is_new:
                    return
                continue  # it may have been started anew
            if line.is_taken:
                self._waiting.popleft()
                self._size -= len(line.data)


def _wait_until_writable(sock: "_socket.socket", seconds: float) -> None:
    poller = select.poll()
    poller.register(sock, select.POLLOUT)
    poller.poll(seconds * 1000)


class Trail:
    """The records of one daemon. Safe to use from many threads."""

    def __init__(self, log: DaemonLog, by: str) -> None:
        """Write to this log, as of this login."""
        self._log: Final = log
        self._by: Final = by

    def describe(self, command: client.Command) -> str:
        """What a record says of a command whatever becomes of it."""
        return client.describe_for_audit(command, by=self._by)

    def begin(self, command: client.Command) -> None:
        """Write the record without which the command may not start; raise client.Quit."""
        if not self._log.send_now(client.NOTICE, self.describe(command)):
            raise client.Quit(client.EXIT_FAILED, client.UNRECORDED)

    def end(self, record: str, status: int, seconds: float) -> None:
        """Write the record of a command that has ended."""
        how = f', "status": {status}, "seconds": {seconds:.3f}}}'
        self._log.send(client.NOTICE, record.removesuffix("}") + how)
