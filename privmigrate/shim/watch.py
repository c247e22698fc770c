"""Whether an index still stands for its files, for daemons: asked before every command.

`client.Index.is_fresh` writes a signature of each file and folder and compares texts, as a process
of its own has to. A daemon remembers what the kernel said when that was last true, and compares
that. The configuration, the folders of filters and the filters are looked at each time. Who may
write the folders on the way to programs, and whether we were upgraded, is looked at ten times a
second, which is how long a command may have been running anyway when it changes.
"""

import os
import time
from typing import Final

from privmigrate.shim import client

_SECONDS: Final = 0.1
_WHO_MAY_WRITE: Final = slice(6)  # mode, inode, device, links, uid, gid; links change for nothing

_Seen = tuple[object, ...]


class Watch:
    """The files and folders of one index. For one thread at a time."""

    def __init__(self, index: client.Index, ours: tuple[str, ...]) -> None:
        """Know nothing yet: the first question is answered by the index."""
        self._index: Final = index
        files = _paths(index, "F")
        self._files: Final = tuple(path for path in files if path not in ours)
        # who may change a file stands in its own signature
        self._folders: Final = tuple(path for path in _paths(index, "T") if path not in files)
        self._ours: Final = ours
        self._seen: tuple[_Seen, _Seen] | None = None
        self._until = 0.0

    def is_fresh(self, path: str) -> bool:
        """As the index's own: whether all is as it was when the index was made."""
        begin = time.monotonic()
        # before signatures are compared: what changes in between differs the next time
        try:
            files = _changes(self._files)
            if self._seen is not None and files == self._seen[0] and begin < self._until:
                return True
            now = (files, (_status(self._folders), _changes(self._ours)))
        except OSError:
            self._seen = None
            return self._index.is_fresh(path)
        if now != self._seen:
            if not self._index.is_fresh(path):
                return False
            self._seen = now
        self._until = begin + _SECONDS
        return True


def _changes(paths: tuple[str, ...]) -> _Seen:
    """Who they are, and when they changed; of a folder, when what is in it did."""
    return tuple(_change(path) for path in paths)


def _change(path: str) -> _Seen:
    try:
        found = os.stat(path)  # noqa: PTH116 - pathlib costs 5 ms
    except FileNotFoundError:
        return ()  # what was learned is read where it is
    return found[_WHO_MAY_WRITE], found.st_mtime_ns, found.st_ctime_ns


def _status(paths: tuple[str, ...]) -> _Seen:
    return tuple(_change(path)[:1] for path in paths)


def _paths(index: client.Index, kind: str) -> tuple[str, ...]:
    lines = index.signatures.split(client.PART)
    return tuple(line[1:].rpartition(client.RECORD)[0] for line in lines if line[:1] == kind)
