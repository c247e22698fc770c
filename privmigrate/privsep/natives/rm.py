"""``rm FILE...``, ``rm -rf TREE``: remove files, and trees from folder to folder."""

import errno
import os
from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.natives.base import (
    DONE,
    LeftToTool,
    always_quoted,
    failure,
    has_name,
    parent_of,
    reached,
    split,
    together,
)
from privmigrate.privsep.running import ExecResult
from privmigrate.privsep.tree import walk

# What -f takes for a file that is not there.
_MISSING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.EILSEQ})


@dataclass(frozen=True, slots=True)
class Rm:
    """Remove files; with `tree` folders and what is in them, with `force` also what is not there.

    A link is removed, never what it leads to. A tree is walked by descriptors, so that nobody who
    may write to it leads the walk elsewhere.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (
        Capability.CAP_DAC_OVERRIDE,
        Capability.CAP_FOWNER,  # in a folder with the sticky bit
    )
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a file", ": > f; : > g", ("rm", "f")),
        Same("several", ": > f; : > g; : > h", ("rm", "f", "g")),
        Same("no such file, and one", ": > f", ("rm", "nowhere", "f")),
        Same("-f: no such file", "", ("rm", "-f", "nowhere")),
        Same("-f: no name", "", ("rm", "-f", "")),
        Same("-f: nothing", "", ("rm", "-f")),
        Same("-f: below a file", ": > f", ("rm", "-f", "f/x")),
        Same("below a file", ": > f", ("rm", "f/x")),
        Same("-f: a folder", "mkdir d", ("rm", "-f", "d")),
        Same("a folder", "mkdir d", ("rm", "d")),
        Same("a link", ": > f; ln -s f l", ("rm", "l")),
        Same("a link to a folder", "mkdir d; : > d/f; ln -s d l", ("rm", "-rf", "l")),
        Same("a tree", "mkdir -p d/e/f; : > d/x; : > d/e/y; mkfifo d/e/p", ("rm", "-rf", "d")),
        Same("a tree with links", "mkdir d e; : > e/x; ln -s ../e d/l", ("rm", "-r", "d")),
        Same("a tree, and no such file", "mkdir d", ("rm", "-r", "nowhere", "d")),
        Same("-r: a file", ": > f", ("rm", "-r", "f")),
        Same("-rf: below a file", ": > f", ("rm", "-rf", "f/x")),
        Same("in long", "mkdir d", ("rm", "--recursive", "--force", "--", "d")),
        Same("a name that looks like an option", ": > -f", ("rm", "--", "-f")),
        Same("what cannot be removed", "", ("rm", "-rf", "/proc/version")),
        Kept("the root", ("rm", "-rf", "/"), "the tool refuses it"),
        Kept("a folder by a slash at its end", ("rm", "-r", "d/"), "follows links"),
        Kept("the folder itself", ("rm", "-r", "."), "the tool refuses it"),
        Kept("an empty folder", ("rm", "-d", "d"), "seldom seen"),
        Kept("asking", ("rm", "-i", "f"), "asks"),
        Kept("an option at the end", ("rm", "f", "-f"), "easily read otherwise"),
        Kept("nothing", ("rm",), "the tool says what is wrong"),
    )

    paths: tuple[str, ...]
    tree: bool = False
    force: bool = False
    within: str | None = None

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """Names of files, -r and -f."""
        words = split(argv, "rRf", recursive="r", force="f")
        if words is None or not (words.operands or "f" in words.options):
            return None
        if not all(has_name(path) or not path for path in words.operands):
            return None
        tree = bool({"r", "R"} & set(words.options))
        return cls(words.operands, tree, "f" in words.options)

    def perform(self) -> ExecResult:
        """One after the other; what fails does not stop the rest."""
        return together([self._one(path) for path in self.paths])

    def _one(self, path: str) -> ExecResult:
        removal = _Removal(force=self.force)
        try:
            with reached(path, self.within) as place:
                if not self.tree:
                    os.unlink(place)  # noqa: PTH108 - pathlib costs 5 ms
                    return DONE
                status, root = os.lstat(place), os.stat("/")  # noqa: PTH116 - as above
                if (status.st_dev, status.st_ino) == (root.st_dev, root.st_ino):
                    raise LeftToTool("the root")
                with parent_of(place) as (folder, name):
                    walk(folder, name, path, removal)
        except OSError as error:
            removal.failed(path, error)
        return together(removal.failures)


@dataclass(slots=True)
class _Removal:
    """Removes what is visited."""

    force: bool
    failures: list[ExecResult] = field(default_factory=list)

    def failed(self, shown: str, error: OSError) -> bool:
        """Note an error; whether it is none."""
        if self.force and error.errno in _MISSING:
            return True
        self.failures.append(failure("rm", f"cannot remove {always_quoted(shown)}", error))
        return False

    def leaf(self, folder: int, name: str, shown: str) -> bool:
        """Remove a file."""
        try:
            os.unlink(name, dir_fd=folder)
        except OSError as error:
            return self.failed(shown, error)
        return True

    def unreadable(self, folder: int, name: str, shown: str, error: OSError) -> bool:
        """Remove a folder that may be empty."""
        try:
            os.rmdir(name, dir_fd=folder)
        except OSError:
            return self.failed(shown, error)
        return True

    def leave(self, folder: int, name: str, shown: str, *, well: bool) -> bool:
        """Remove a folder, unless something is left in it of which was spoken already."""
        if not well:
            return False
        try:
            os.rmdir(name, dir_fd=folder)
        except OSError as error:
            return self.failed(shown, error)
        return True
