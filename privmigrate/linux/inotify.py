"""Whether anything happened to files and folders, by inotify(7): one system call for all of them.

The kernel notes a change before the call that makes it returns. It does not note what is written
through a mapping, what is mounted over a path, what other machines do to a network file system, nor
what happens to a folder higher up that is not watched: whoever believes in silence looks himself
now and then.
"""

import os
from collections.abc import Iterable
from typing import Final

from privmigrate.linux import _libc

_CHANGES: Final = (
    _libc.IN_MODIFY
    | _libc.IN_ATTRIB
    | _libc.IN_MOVED_FROM
    | _libc.IN_MOVED_TO
    | _libc.IN_CREATE
    | _libc.IN_DELETE
    | _libc.IN_DELETE_SELF
    | _libc.IN_MOVE_SELF
)
_ENOUGH: Final = 4096  # for one event at least


class Changes:
    """What happens to some paths from now on."""

    def __init__(self, paths: Iterable[str]) -> None:
        """Begin to watch those that are there; raise OSError where the kernel will not."""
        self._fd = _libc.inotify_init()
        try:
            for path in paths:
                try:
                    _libc.inotify_add_watch(self._fd, os.fsencode(path), _CHANGES)
                except FileNotFoundError:
                    continue  # who makes it changes the folder
        except OSError:
            self.close()
            raise

    def any(self) -> bool:
        """Whether anything happened since the last question, or more than the kernel kept."""
        try:
            os.read(self._fd, _ENOUGH)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Watch no more."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
