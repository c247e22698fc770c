"""``ls FOLDER``: the names in one folder."""

import os
import stat
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.natives.base import LeftToTool, always_quoted, failure, reached, split
from privmigrate.privsep.running import MAX_OUTPUT, ExecResult

_MISSING: Final = 2
_BY_BYTES: Final = frozenset({"", "C", "POSIX", "C.UTF-8", "C.utf8"})
_FOLDERS_FIRST: Final = "--group-directories-first"
_MOST: Final = 2**18


@dataclass(frozen=True, slots=True)
class Ls:
    """List a folder, one name in a line, as `ls` does where nobody looks on.

    In the order of their bytes: where the daemon's own locale has another one, it is left to the
    tool. Below a folder that was checked, folders do not come first where there are links, for
    what these lead to is not looked at: then it is refused.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (Capability.CAP_DAC_READ_SEARCH,)
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a folder", "mkdir d; : > d/b; : > d/A; : > d/.c; mkdir d/a", ("ls", "d")),
        Same(
            "folders first",
            "mkdir -p d/b d/.e; : > d/a; : > d/.c; ln -s b d/l; ln -s nowhere d/k; mkfifo d/p",
            ("ls", "-pA1", "--group-directories-first", "d"),
        ),
        Same("all", "mkdir -p d/.e; : > d/a", ("ls", "-a", "d")),
        Same("all, with slashes", "mkdir -p d/.e; : > d/a", ("ls", "-ap", "d")),
        Same("an empty one", "mkdir d", ("ls", "d")),
        Same("a file", ": > f", ("ls", "f")),
        Same("a link to a folder", "mkdir d; : > d/f; ln -s d l", ("ls", "-p", "l")),
        Same("a link to nowhere", "ln -s nowhere l", ("ls", "l")),
        Same(
            "names with anything",
            'mkdir d; : > "d/a b"; touch "d/$(printf \'x\\ny\')"',
            ("ls", "d"),
        ),
        Same("nothing there", "", ("ls", "nowhere")),
        Same("below a file", ": > f", ("ls", "f/x")),
        Same("no name", "", ("ls", "")),
        Kept("the present folder", ("ls",), "there is none in a daemon"),
        Kept("several", ("ls", "a", "b"), "with headings between"),
        Kept("in long", ("ls", "-l", "d"), "dates, names of users"),
        Kept("by time", ("ls", "-t", "d"), "another order"),
        Kept("a tree", ("ls", "-R", "d"), "seldom seen"),
        Kept("the folder itself", ("ls", "-d", "d"), "seldom seen"),
    )

    path: str
    hidden: bool = False  # -A, -a
    itself: bool = False  # -a: . and ..
    slashes: bool = False
    folders_first: bool = False
    within: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The folder."""
        return (self.path,)

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """One path; -1, -A, -a, -p, --group-directories-first."""
        first = _FOLDERS_FIRST in argv
        words = split([w for w in argv if w != _FOLDERS_FIRST], "1Aap", almost_all="A", all="a")
        if words is None or len(words.operands) != 1 or argv.count("--"):
            return None
        options = set(words.options)
        if options >= {"a", "A"}:
            return None
        return cls(
            words.operands[0], bool(options & {"a", "A"}), "a" in options, "p" in options, first
        )

    def perform(self) -> ExecResult:
        """List; LeftToTool for another order than that of bytes."""
        environment = os.environ
        order = next(filter(None, map(environment.get, ("LC_ALL", "LC_COLLATE", "LANG"))), "")
        if order not in _BY_BYTES:
            raise LeftToTool(f"the order of {order}")
        problem = "cannot access"
        try:
            with reached(self.path, self.within) as place:
                if not self._is_folder(place):
                    return ExecResult(0, os.fsencode(self.path) + b"\n", b"")
                problem = "cannot open directory"
                lines = self._lines(place)
        except OSError as error:
            return failure("ls", f"{problem} {always_quoted(self.path)}", error, _MISSING)
        text = b"".join(os.fsencode(line) + b"\n" for line in lines)
        if len(text) > MAX_OUTPUT:
            raise LeftToTool("more than an output may be")
        return ExecResult(0, text, b"")

    def _is_folder(self, place: str) -> bool:
        follow = self.within is None
        try:
            mode = os.stat(place, follow_symlinks=follow).st_mode  # noqa: PTH116 - pathlib costs 5 ms
        except FileNotFoundError:
            mode = os.lstat(place).st_mode  # a link to nowhere is listed itself
        return stat.S_ISDIR(mode)

    def _lines(self, place: str) -> list[str]:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        folder = os.open(place, flags if self.within is None else flags | os.O_NOFOLLOW)
        found: list[tuple[bool, bytes, str]] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") and not self.hidden:
                        continue
                    mark = "/" if self.slashes and entry.is_dir(follow_symlinks=False) else ""
                    later = self.folders_first and not self._leads_to_folder(entry)
                    found.append((later, os.fsencode(entry.name), entry.name + mark))
                    if len(found) > _MOST:
                        raise LeftToTool(f"more than {_MOST} names")
        finally:
            os.close(folder)
        if self.itself:
            found += ((False, os.fsencode(n), n + "/" * self.slashes) for n in (".", ".."))
        return [line for _, _, line in sorted(found)]

    def _leads_to_folder(self, entry: os.DirEntry[str]) -> bool:
        if self.within is not None and entry.is_symlink():
            raise LeftToTool("it follows links")
        try:
            return entry.is_dir()
        except OSError:
            return False  # a loop, or nobody may look
