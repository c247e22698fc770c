"""A file tree written down: ``drwxr-x--- cinder cinder /etc/cinder``, one line for each path.

The lines that follow a file, indented by four spaces, are its content; a link says where it leads
(``lrwxrwxrwx root root /etc/a -> /b``). Folders that nobody lists belong to root, mode 0755. This
is how examples of audit rules show a machine.
"""

import os
from typing import Final

from privmigrate.audit.tree import Kind, Node, Tree

_KINDS: Final = {"d": Kind.FOLDER, "-": Kind.FILE, "l": Kind.LINK}
_INDENT: Final = "    "
_BITS: Final = "rwxrwxrwx"
_SET: Final = {(2, "s"): 0o4100, (5, "s"): 0o2010, (8, "t"): 0o1001, (8, "T"): 0o1000}
_FIRST_USER: Final = 1000


class ListedTree(Tree):
    """The tree that a listing describes."""

    def __init__(self, listing: str) -> None:
        self._nodes: dict[str, Node] = {"/": Node("/", Kind.FOLDER, 0o755, 0, 0)}
        self._contents: dict[str, str] = {}
        self._ids = {"root": 0}
        path = ""
        for line in listing.splitlines():
            if line.startswith(_INDENT) or not line.strip():
                self._contents[path] += line.removeprefix(_INDENT) + "\n"
            else:
                path = self._enter(line)

    def _enter(self, line: str) -> str:
        modes, owner, group, rest = line.split(None, 3)
        path, _, target = rest.partition(" -> ")
        for name in (owner, group):
            self._ids.setdefault(name, _FIRST_USER + len(self._ids) - 1)
        self._contents[path] = ""
        self._nodes[path] = Node(
            path, _KINDS[modes[0]], _mode(modes[1:]), self._ids[owner], self._ids[group], target
        )
        folder = os.path.dirname(path)  # noqa: PTH120 - texts
        while folder not in self._nodes:
            self._nodes[folder] = Node(folder, Kind.FOLDER, 0o755, 0, 0)
            folder = os.path.dirname(folder)  # noqa: PTH120
        return path

    def look(self, path: str) -> Node:
        """Look the path up in the listing."""
        if path not in self._nodes:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self._nodes[path]

    def read_real(self, path: str) -> bytes:
        """The content as listed."""
        return self._contents.get(path, "").encode()

    def names_real(self, path: str) -> tuple[str, ...]:
        """What is listed below the folder."""
        below = path if path.endswith("/") else f"{path}/"
        found = {other[len(below) :].split("/")[0] for other in self._nodes if other != path
                 and other.startswith(below)}  # fmt: skip
        return tuple(sorted(found))

    def _owners(self, path: str) -> dict[int, str]:  # noqa: ARG002 - one table for both files
        return {number: name for name, number in self._ids.items()}


def _mode(letters: str) -> int:
    mode = 0
    for place, letter in enumerate(letters):
        if letter == _BITS[place]:
            mode |= 1 << (8 - place)
        else:
            mode |= _SET.get((place, letter), 0)
    return mode
