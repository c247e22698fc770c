"""What a running daemon says of itself, for `shim status`: a file of root's own, once a second."""

import json
import os
import threading
from collections import deque
from collections.abc import Mapping
from typing import Final

from privmigrate.shim import client

_KEPT_ERRORS: Final = 5
_PREFIX: Final = "daemon."


class Report:
    """Counts of one daemon. Safe to use from many threads."""

    def __init__(self, config: str, held: str) -> None:
        """Say what the daemon serves and what it kept."""
        self._fixed: Final = {"pid": os.getpid(), "config": config, "capabilities": held}
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

    def write(self) -> None:
        """Write what has changed; where that cannot be, nobody asks either."""
        with self._lock:
            value = {**self._fixed, **self._counts, "last_errors": list(self._errors)}
        text = json.dumps(value)
        if text == self._written or os.geteuid():
            return
        self._written = text
        temporary = f"{self._path}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(temporary, flags, 0o600), "w") as file:
                file.write(text)
            os.rename(temporary, self._path)  # noqa: PTH104 - pathlib costs 5 ms
        except OSError:
            return

    def remove(self) -> None:
        """Take the file away at the end."""
        try:
            os.unlink(self._path)  # noqa: PTH108 - as above
        except OSError:
            return


def read_reports(config: str | None = None) -> list[Mapping[str, object]]:
    """What the daemons of a configuration, or of all, say; files of dead ones do not count."""
    found = []
    try:
        names = sorted(os.listdir(client.INDEX_DIR))  # noqa: PTH208 - as above
    except OSError:
        return []
    for name in names:
        if not (name.startswith(_PREFIX) and name.endswith(".json")):
            continue
        try:
            with open(f"{client.INDEX_DIR}/{name}", encoding="utf-8") as file:  # noqa: PTH123
                value = json.load(file)
            os.kill(value["pid"], 0)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if config is None or value.get("config") == config:
            found.append(value)
    return found
