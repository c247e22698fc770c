"""What a running daemon says of itself, for `shim status`: a file of root's own, once a second."""

import fcntl
import json
import os
import stat
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from privmigrate.linux.process import read_start_time
from privmigrate.shim import client

_KEPT_ERRORS: Final = 5
_PREFIX: Final = "daemon."


class Report:
    """Counts of one daemon. Safe to use from many threads."""

    def __init__(self, config: str, held: str) -> None:
        """Say what the daemon serves and what it kept."""
        self._fixed: Final = {**_identity(), "config": config, "capabilities": held}
        self._lock: Final = threading.Lock()
        self._counts: Final = {"run": 0, "declined": 0, "refused": 0, "failed": 0}
        self._errors: Final[deque[str]] = deque(maxlen=_KEPT_ERRORS)
        self._written = ""
        self._path: Final = f"{client.INDEX_DIR}/{_PREFIX}{os.getpid()}.json"

    def count(self, what: str, error: str = "") -> None:
        """Count one command, and keep why it was not run."""
        with self._lock:
            self._counts[what] += 1
            if error:
                self._errors.append(error)

    def write(self, unrecorded: int = 0) -> None:
        """Write what has changed; where that cannot be, nobody asks either.

        `unrecorded` audit records wait for syslog; should we be killed, whoever takes this file
        away counts them as lost.
        """
        with self._lock:
            value = {**self._fixed, **self._counts, "unrecorded": unrecorded}
            value["last_errors"] = list(self._errors)
        text = json.dumps(value)
        if text == self._written or os.geteuid():
            return
        temporary = f"{self._path}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(temporary, flags, 0o600), "w") as file:
                file.write(text)
            with _alone():
                os.rename(temporary, self._path)  # noqa: PTH104 - pathlib costs 5 ms
        except OSError:  # a full disk: the next time, then
            self._unlink(temporary)
            return
        self._written = text

    def remove(self) -> None:
        """Take the file away at the end."""
        self._unlink(self._path)

    @staticmethod
    def _unlink(path: str) -> None:
        try:
            os.unlink(path)  # noqa: PTH108 - as above
        except OSError:
            return


def _identity() -> dict[str, object]:
    """Who we are, among all processes that there ever were since the machine started."""
    pid = os.getpid()
    return {"pid": pid, "started": read_start_time(pid), "pid_namespace": _pid_namespace()}


def _pid_namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - as above


def _is_alive(value: Mapping[str, object]) -> bool:
    """Whether the daemon of a report runs, as far as it can be seen from here."""
    pid = value.get("pid")
    try:
        return isinstance(pid, int) and read_start_time(pid) == value.get("started")
    except (OSError, ValueError, IndexError):
        return False


@contextmanager
def _alone() -> Iterator[None]:
    """Inside, nobody else writes a report or takes one away; raise OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    lock = os.open(f"{client.INDEX_DIR}/{_PREFIX}lock", flags, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def remove_dead() -> None:
    """Take away the reports of daemons that were killed: root's files, of our pid namespace."""
    if os.geteuid():
        return
    for name in _names():
        path = f"{client.INDEX_DIR}/{name}"
        try:
            with _alone():  # another one may have got the pid, and write to the same place
                left = _read_left_behind(path, name)
                if left is not None:
                    os.unlink(path)  # noqa: PTH108 - as above
                    _count_lost(left)
        except OSError:
            continue


def _count_lost(left: Mapping[str, object]) -> None:
    config, number = left.get("config"), left.get("unrecorded")
    if isinstance(config, str) and isinstance(number, int) and number > 0:
        client.count_lost(config, number)


def _read_left_behind(path: str, name: str) -> Mapping[str, object] | None:
    """Read the report of a daemon that is no more; None where it is none."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, encoding="utf-8") as file:
        status = os.fstat(fd)
        if status.st_uid or not stat.S_ISREG(status.st_mode):
            return None
        try:
            value = json.load(file)
        except ValueError:
            return None
    if (
        isinstance(value, dict)
        and name == f"{_PREFIX}{value.get('pid')}.json"
        and value.get("pid_namespace") == _pid_namespace()
        and not _is_alive(value)
    ):
        return value
    return None


def _names() -> list[str]:
    try:
        names = sorted(os.listdir(client.INDEX_DIR))  # noqa: PTH208 - as above
    except OSError:
        return []
    return [name for name in names if name.startswith(_PREFIX) and name.endswith(".json")]


def read_reports(config: str | None = None) -> list[Mapping[str, object]]:
    """What the daemons of a configuration, or of all, say; files of dead ones do not count."""
    found: list[Mapping[str, object]] = []
    for name in _names():
        try:
            with open(f"{client.INDEX_DIR}/{name}", encoding="utf-8") as file:  # noqa: PTH123
                value = json.load(file)
        except (OSError, ValueError):
            continue
        if not isinstance(value, dict) or not _is_alive(value):
            continue
        if config is None or value.get("config") == config:
            found.append(value)
    return found
