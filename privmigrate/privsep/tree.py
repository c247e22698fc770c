"""Walk a tree that others may change meanwhile, and never leave it.

From folder to folder by descriptor and without following a link; two descriptors at any depth, so
that a deep tree takes none from other calls. The way back up is by ``..``, which must be the folder
that was left: one that was moved away meanwhile ends the walk.
"""

import errno
import os
from itertools import islice
from typing import NamedTuple, Protocol

from privmigrate.privsep.natives.base import LeftToTool
from privmigrate.privsep.running import go_on

MOST = 2**18  # names of one folder that are held in memory

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_Identity = tuple[int, int]


class Visitor(Protocol):
    """What is done on the way; each says whether it went well, and none raises OSError.

    `shown` is the path as a tool would print it.
    """

    def leaf(self, folder: int, name: str, shown: str) -> bool:
        """Visit what is no folder."""

    def unreadable(self, folder: int, name: str, shown: str, error: OSError) -> bool:
        """Visit a folder that cannot be looked into."""

    def leave(self, folder: int, name: str, shown: str, *, well: bool) -> bool:
        """Visit a folder after all that is in it; `well`: with all of it things went well."""


class _Name(NamedTuple):
    name: str
    folder: bool


class _Above:
    """Where the walk came from: the folder's identity, and what is left to do in it."""

    __slots__ = ("identity", "name", "rest", "shown", "well")

    def __init__(
        self, name: str, shown: str, identity: _Identity, rest: list[_Name], *, well: bool
    ) -> None:
        self.name = name  # of the folder that was entered
        self.shown = shown
        self.identity = identity
        self.rest = rest
        self.well = well


def walk(folder: int, name: str, shown: str, visitor: Visitor) -> bool:
    """Visit `name` in `folder`, what is in a folder before the folder; say whether all went well.

    Raise OSError where the way back is lost, and LeftToTool for a folder of too many names.
    """
    above: list[_Above] = []
    here = os.dup(folder)
    rest, well = [_Name(name, folder=True)], True
    prefix = shown[: len(shown) - len(name)]
    try:
        while rest or above:
            if not rest:
                last = above.pop()
                here = _back(here, last.identity)
                well = visitor.leave(here, last.name, last.shown, well=well) and last.well
                rest, prefix = last.rest, last.shown[: len(last.shown) - len(last.name)]
                continue
            go_on()
            each = rest.pop()
            path = prefix + each.name
            try:
                inside = _enter(here, each)
            except OSError as error:
                well = visitor.unreadable(here, each.name, path, error) and well
                continue
            if inside is None:
                well = visitor.leaf(here, each.name, path) and well
                continue
            above.append(_Above(each.name, path, _identity(here), rest, well=well))
            os.close(here)
            here, rest = inside
            well, prefix = True, f"{path}/"
    finally:
        os.close(here)
    return well


def _enter(here: int, each: _Name) -> tuple[int, list[_Name]] | None:
    """A descriptor of a folder and what is in it; None for what is no folder."""
    if not each.folder:
        return None
    try:
        inside = os.open(each.name, _FOLDER, dir_fd=here)
    except (NotADirectoryError, FileNotFoundError):
        return None
    try:
        with os.scandir(inside) as entries:
            names = [
                _Name(entry.name, entry.is_dir(follow_symlinks=False))
                for entry in islice(entries, MOST + 1)
            ]
    except OSError:
        os.close(inside)
        raise
    if len(names) > MOST:
        os.close(inside)
        raise LeftToTool(f"more than {MOST} names in one folder")
    names.reverse()  # they are taken from the end
    return inside, names


def _back(here: int, identity: _Identity) -> int:
    up = os.open("..", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=here)
    if _identity(up) != identity:
        os.close(up)
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
    os.close(here)
    return up


def _identity(folder: int) -> _Identity:
    status = os.fstat(folder)
    return status.st_dev, status.st_ino
