"""A file tree to be judged: the machine's own, an image's below a folder, or a listing.

Every path is one inside the tree: links are followed inside it, and owners have the names that
its own passwd and group files give them. Nothing is opened for writing, nothing is executed.
"""

import errno
import os
import stat
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from privmigrate.linux.paths import MAX_LINKS, components
from privmigrate.linux.reading import read_regular

MAX_BYTES: Final = 8 << 20
ROOT: Final = 0
_ID: Final = 2  # the field of passwd(5) and group(5) that is the number


class Kind(Enum):
    """What a path is."""

    FOLDER = "folder"
    FILE = "file"
    LINK = "link"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Node:
    """One path with its owner and mode; `target` is a link's."""

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    target: str = ""


@dataclass(frozen=True, slots=True)
class Walk:
    """All steps from / to what a path means: every folder, every link, the end.

    Attributes:
        path: as it was asked for.
        steps: in the order in which the kernel takes them; the last one is what was found.
        why: what stopped the walk, or "".
    """

    path: str
    steps: tuple[Node, ...]
    why: str = ""

    @property
    def end(self) -> Node | None:
        """What the path means, if that exists."""
        return None if self.why else self.steps[-1]


class Tree(ABC):
    """What the judges may see of a file tree."""

    @abstractmethod
    def look(self, path: str) -> Node:
        """Describe a path whose folders are no links. Raise OSError as the kernel gives it."""

    @abstractmethod
    def read_real(self, path: str) -> bytes:
        """Read a file whose path has no links."""

    @abstractmethod
    def names_real(self, path: str) -> tuple[str, ...]:
        """The names in a folder whose path has no links, sorted."""

    def read(self, path: str) -> bytes:
        """Read a file. Raise OSError with the reason."""
        return self.read_real(self._end(path).path)

    def names(self, path: str) -> tuple[str, ...]:
        """The names in a folder, sorted. Raise OSError with the reason."""
        return self.names_real(self._end(path).path)

    def _end(self, path: str) -> Node:
        walk = self.walk(path)
        if walk.end is None:
            raise OSError(0, walk.why, path)
        return walk.end

    def kind(self, path: str) -> Kind | None:
        """What a path is in the end; None if that is nothing, or cannot be seen."""
        end = self.walk(path).end
        return None if end is None else end.kind

    def walk(self, path: str) -> Walk:
        """Go from / to what `path` means."""
        todo = components(path)
        here: list[str] = []
        links = 0
        steps: list[Node] = []
        try:
            steps.append(self.look("/"))
            while todo:
                name = todo.pop()
                if name == "..":
                    del here[-1:]
                    continue
                node = self.look("/" + "/".join((*here, name)))
                steps.append(node)
                if node.kind is not Kind.LINK:
                    here.append(name)
                    continue
                links += 1
                if links > MAX_LINKS:
                    return Walk(path, tuple(steps), "too many symbolic links")
                if node.target.startswith("/"):
                    here.clear()
                todo.extend(components(node.target))
        except OSError as error:
            return Walk(path, tuple(steps), error.strerror or str(error))
        end = "/" + "/".join(here)
        if steps[-1].path != end:
            steps.append(self.look(end))  # the path ended with ".." or a link to /
        return Walk(path, tuple(steps))

    def user(self, uid: int) -> str:
        """The name of an owner, or its number."""
        return self._owners("/etc/passwd").get(uid, f"uid {uid}")

    def group(self, gid: int) -> str:
        """The name of a group, or its number."""
        return self._owners("/etc/group").get(gid, f"gid {gid}")

    def user_names(self) -> frozenset[str] | None:
        """The users of the tree; None if there is no passwd file to ask."""
        return frozenset(self._owners("/etc/passwd").values()) or None

    def _owners(self, path: str) -> dict[int, str]:
        try:
            lines = self.read(path).decode("utf-8", "replace").splitlines()
        except OSError:
            return {}
        fields = [line.split(":") for line in lines]
        known = (row for row in reversed(fields) if len(row) > _ID and row[_ID].isdigit())
        return {int(row[_ID]): row[0] for row in known}


@dataclass(slots=True)
class DiskTree(Tree):
    """The tree below `root`, which is "" for the machine itself."""

    root: str = ""
    _nodes: dict[str, Node] = field(default_factory=dict)
    _tables: dict[str, dict[int, str]] = field(default_factory=dict)

    def look(self, path: str) -> Node:
        """Ask once for each path: an audit is one look at the tree."""
        node = self._nodes.get(path)
        if node is None:
            try:
                status = os.lstat(self._place(path))
            except ValueError:  # NUL, which a configuration may hold, and no name
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), Kind.OTHER)
            target = os.readlink(self._place(path)) if kind is Kind.LINK else ""  # noqa: PTH115
            mode = stat.S_IMODE(status.st_mode)
            node = Node(path, kind, mode, status.st_uid, status.st_gid, target)
            self._nodes[path] = node
        return node

    def read_real(self, path: str) -> bytes:
        """Read at most MAX_BYTES of a regular file: never wait for a pipe or a device."""
        if self.look(path).kind is not Kind.FILE:
            raise OSError(0, "not a regular file", path)
        return read_regular(self._place(path), MAX_BYTES)

    def names_real(self, path: str) -> tuple[str, ...]:
        """The names in a folder."""
        return tuple(sorted(os.listdir(self._place(path))))  # noqa: PTH208

    def _place(self, path: str) -> str:
        return f"{self.root}{path}"

    def _owners(self, path: str) -> dict[int, str]:
        if path not in self._tables:
            self._tables[path] = super(DiskTree, self)._owners(path)
        return self._tables[path]


_KINDS: Final = {
    stat.S_IFDIR: Kind.FOLDER,
    stat.S_IFREG: Kind.FILE,
    stat.S_IFLNK: Kind.LINK,
}
