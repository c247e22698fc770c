"""``chown OWNER FILE...``: change owner and group of files, or of a tree."""

import os
from collections.abc import Callable
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
    pinned,
    reached,
    split,
    together,
)
from privmigrate.privsep.running import ExecResult
from privmigrate.privsep.tree import walk

_UNCHANGED: Final = -1
_HIGHEST: Final = 2**32 - 2
_SEVERAL: Final = 2


@dataclass(frozen=True, slots=True)
class Chown:
    """Change owner, group or both, by name (as the machine's name service has it) or number.

    A tree is walked by descriptors, and as with the tool the owner of a link in it is changed and
    never that of what it leads to. The kernel takes set-id bits away, as it does for the tool.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (
        Capability.CAP_CHOWN,
        Capability.CAP_DAC_READ_SEARCH,
    )
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("by number", ": > f", ("chown", "4321", "f")),
        Same("by name", ": > f", ("chown", "nobody", "f")),
        Same("owner and group", ": > f", ("chown", "nobody:daemon", "f")),
        Same("by numbers", ": > f", ("chown", "4321:1234", "f")),
        Same("the group alone", ": > f", ("chown", ":daemon", "f")),
        Same("the login group", ": > f", ("chown", "nobody:", "f")),
        Same("through a link", ": > f; ln -s f l", ("chown", "4321", "l")),
        Same("the link itself", ": > f; ln -s f l", ("chown", "-h", "4321", "l")),
        Same("set-id bits go", ": > f; chmod 6755 f", ("chown", "4321", "f")),
        Same("no such file, and one", ": > f", ("chown", "0", "nowhere", "f")),
        Same("a link to nowhere", "ln -s nowhere l", ("chown", "0", "l")),
        Same("below a file", ": > f", ("chown", "0", "f/x")),
        Same(
            "a tree, and not what links in it lead to",
            "mkdir -p d/e out; : > d/f; : > out/f; ln -s ../out d/l; ln -s ../out/f d/e/l",
            ("chown", "-R", "4321:1234", "d"),
        ),
        Same("-R: a file", ": > f", ("chown", "-R", "4321", "f")),
        Same("-R: a link", "mkdir d; ln -s d l", ("chown", "-R", "4321", "l")),
        Same("-R: no such file", "", ("chown", "-R", "4321", "nowhere")),
        Kept("like another file", ("chown", "--reference=f", "g"), "two files"),
        Kept("the root", ("chown", "-R", "0", "/"), "nobody means this"),
        Kept("a tree by a slash at its end", ("chown", "-R", "0", "d/"), "follows a link"),
        Kept("with a dot between", ("chown", "root.root", "f"), "the tool warns"),
        Kept("nothing to change", ("chown", ":", "f"), "nobody means this"),
        Kept("the login group of a number", ("chown", "0:", "f"), "the tool says what is wrong"),
        Kept("a number with a sign", ("chown", "+0", "f"), "seldom seen"),
        Kept("what was changed", ("chown", "-v", "0", "f"), "prints"),
        Kept("links of a tree", ("chown", "-RL", "0", "d"), "follows links"),
        Kept("no file", ("chown", "0"), "the tool says what is wrong"),
    )
    TOOL: ClassVar[str] = "chown"

    user: str
    group: str | None  # None: unchanged; "": the user's login group
    paths: tuple[str, ...]
    tree: bool = False
    links: bool = False
    within: str | None = None

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """An owner, a group or both, and files; -R, -h."""
        words = split(argv, "Rh", recursive="R", no_dereference="h")
        if words is None or len(words.operands) < _SEVERAL:
            return None
        tree = "R" in words.options
        if tree and not all(map(has_name, words.operands[1:])):
            return None
        parsed = cls.owner(words.operands[0])
        if parsed is None:
            return None
        return cls(*parsed, words.operands[1:], tree, "h" in words.options)

    @classmethod
    def owner(cls, text: str) -> tuple[str, str | None] | None:
        """User ("": unchanged) and group of the first operand."""
        user, colon, group = text.partition(":")
        if any(sign in text for sign in ".+") or ":" in group or not (user or group):
            return None
        if user.isdigit() and colon and not group:
            return None
        return user, group if colon else None

    def perform(self) -> ExecResult:
        """One after the other; LeftToTool for a user or group that there is not."""
        uid, gid = self._numbers()
        what = "group" if uid == _UNCHANGED else "ownership"
        return together(
            [self._one(path, _Change(self.TOOL, what, uid, gid)) for path in self.paths]
        )

    def _numbers(self) -> tuple[int, int]:
        import grp
        import pwd

        uid = gid = _UNCHANGED
        try:
            if self.user:
                uid = _number(self.user, lambda name: pwd.getpwnam(name).pw_uid)
            if self.group:
                gid = _number(self.group, lambda name: grp.getgrnam(name).gr_gid)
            elif self.group is not None:
                gid = pwd.getpwnam(self.user).pw_gid
        except (KeyError, ValueError):
            raise LeftToTool("there is no such user or group") from None
        return uid, gid

    def _one(self, path: str, change: "_Change") -> ExecResult:
        problem = "cannot access"
        try:
            with reached(path, self.within) as place:
                if self.tree:
                    os.lstat(place)
                    with parent_of(place) as (folder, name):
                        walk(folder, name, path, change)
                    return together(change.failures)
                if self.links:
                    os.lstat(place)
                    problem = change.problem
                    os.chown(place, change.uid, change.gid, follow_symlinks=False)
                    return DONE
                with pinned(place, self.within) as file:
                    problem = change.problem
                    os.chown(file, change.uid, change.gid)
        except OSError as error:
            dangling = isinstance(error, FileNotFoundError) and os.path.islink(path)  # noqa: PTH114
            if dangling and self.within is None:
                problem = "cannot dereference"
            change.fails(problem, path, error)
        return together(change.failures)


@dataclass(slots=True)
class _Change:
    """Changes the owner of what is visited."""

    tool: str
    what: str
    uid: int
    gid: int
    failures: list[ExecResult] = field(default_factory=list)

    @property
    def problem(self) -> str:
        return f"changing {self.what} of"

    def fails(self, problem: str, shown: str, error: OSError) -> bool:
        """Note an error."""
        self.failures.append(failure(self.tool, f"{problem} {always_quoted(shown)}", error))
        return False

    def leaf(self, folder: int, name: str, shown: str) -> bool:
        """Change a file, or a link itself."""
        try:
            os.chown(name, self.uid, self.gid, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            return self.fails(self.problem, shown, error)
        return True

    def unreadable(self, _folder: int, _name: str, shown: str, error: OSError) -> bool:
        """Leave it as it is."""
        return self.fails("cannot read directory", shown, error)

    def leave(self, folder: int, name: str, shown: str, *, well: bool) -> bool:
        """Change a folder."""
        return self.leaf(folder, name, shown) and well


def _number(name: str, find: Callable[[str], int]) -> int:
    """The number of a name, or a number as it is; raise KeyError or ValueError."""
    try:
        return find(name)
    except KeyError:
        if not (name.isascii() and name.isdigit()) or int(name) > _HIGHEST:
            raise
        return int(name)
