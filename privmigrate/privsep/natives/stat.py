"""``stat -c FORMAT FILE...``: fields of files, or with -f of the file systems that they are on."""

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.natives.base import (
    always_quoted,
    failure,
    pinned,
    reached,
    split,
    together,
)
from privmigrate.privsep.running import ExecResult

_FIELD: Final = re.compile(r"%(.)", re.DOTALL)

_KINDS: Final = {
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFREG: "regular file",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character special file",
    stat.S_IFBLK: "block special file",
}


def _kind(status: os.stat_result) -> str:
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "weird file")
    if kind == "regular file" and not status.st_size:
        return "regular empty file"
    return kind


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "UNKNOWN"


def _group(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return "UNKNOWN"


_OF_FILES: Final[Mapping[str, Callable[[os.stat_result], str]]] = {
    "a": lambda s: f"{stat.S_IMODE(s.st_mode):o}",
    "A": lambda s: stat.filemode(s.st_mode),
    "b": lambda s: str(s.st_blocks),
    "B": lambda _: "512",
    "d": lambda s: str(s.st_dev),
    "D": lambda s: f"{s.st_dev:x}",
    "f": lambda s: f"{s.st_mode:x}",
    "F": _kind,
    "g": lambda s: str(s.st_gid),
    "G": lambda s: _group(s.st_gid),
    "h": lambda s: str(s.st_nlink),
    "i": lambda s: str(s.st_ino),
    "o": lambda s: str(s.st_blksize),
    "s": lambda s: str(s.st_size),
    "t": lambda s: f"{os.major(s.st_rdev):x}",
    "T": lambda s: f"{os.minor(s.st_rdev):x}",
    "u": lambda s: str(s.st_uid),
    "U": lambda s: _user(s.st_uid),
    "X": lambda s: str(s.st_atime_ns // 10**9),
    "Y": lambda s: str(s.st_mtime_ns // 10**9),
    "Z": lambda s: str(s.st_ctime_ns // 10**9),
}
_OF_SYSTEMS: Final[Mapping[str, Callable[[os.statvfs_result], str]]] = {
    "a": lambda s: str(s.f_bavail),
    "b": lambda s: str(s.f_blocks),
    "c": lambda s: str(s.f_files),
    "d": lambda s: str(s.f_ffree),
    "f": lambda s: str(s.f_bfree),
    "l": lambda s: str(s.f_namemax),
    "s": lambda s: str(s.f_bsize),
    "S": lambda s: str(s.f_frsize),
}


@dataclass(frozen=True, slots=True)
class Stat:
    """Print fields of each file, of a link itself unless `follow`; or of its file system."""

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (Capability.CAP_DAC_READ_SEARCH,)
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a size", "echo hello > f", ("stat", "-c", "%s", "f")),
        Same(
            "modes, owners, names",
            "touch f; chown 1:4321 f; chmod 4750 f",
            ("stat", "-c", "%a %A %f %u %U %g %G %n %h", "f"),
        ),
        Same(
            "all else", "", ("stat", "--format=%b %B %d %D %F %i %o %t %T %X %Y %Z", "/etc/passwd")
        ),
        Same("a folder", "mkdir d; chmod 3700 d", ("stat", "-c", "%F|%a|%A|%h", "d")),
        Same("an empty file", ": > f", ("stat", "-c", "%F", "f")),
        Same("a device", "", ("stat", "-c", "%F %t:%T", "/dev/null")),
        Same("a pipe", "mkfifo f", ("stat", "-c%F %A", "f")),
        Same("a link itself", "ln -s f l", ("stat", "-c", "%F %s", "l")),
        Same("what a link leads to", ": > f; ln -s f l", ("stat", "-Lc", "%F", "l")),
        Same("a link to nowhere", "ln -s nowhere l", ("stat", "-L", "-c", "%F", "l")),
        Same("several, one that is not there", ": > f; : > g", ("stat", "-c", "%n", "f", "x", "g")),
        Same("text around", ": > f", ("stat", "-c", "a%%b\\n%n\t", "f")),
        Same("a file system", "", ("stat", "-f", "-c", "%S %b %s %c", "/proc")),
        Same("of nothing", "", ("stat", "-f", "-c", "%b", "nowhere")),
        Same("no name", "", ("stat", "-c", "%s", "")),
        Kept("for people", ("stat", "f"), "times, in a zone and a language"),
        Kept("a date", ("stat", "-c", "%y", "f"), "times in a zone"),
        Kept("in columns", ("stat", "-c", "%5s", "f"), "flags and widths"),
        Kept("a name in quotes", ("stat", "-c", "%N", "f"), "depends on the environment"),
        Kept("with escapes", ("stat", "--printf=%s\\n", "f"), "seldom seen"),
        Kept("the kind of a file system", ("stat", "-f", "-c", "%T", "f"), "a table of its own"),
        Kept("a percent sign at the end", ("stat", "-c", "%s%", "f"), "easily read otherwise"),
        Kept("short", ("stat", "-t", "f"), "seldom seen"),
    )

    form: str
    paths: tuple[str, ...]
    follow: bool = False
    systems: bool = False
    within: str | None = None

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """-c with known fields, and files; -L, -f."""
        words = split(argv, "Lf", "c", format="c", dereference="L", file_system="f")
        if words is None or not words.operands or "c" not in words.options:
            return None
        form, systems = words.options["c"], "f" in words.options
        known: Mapping[str, object] = _OF_SYSTEMS if systems else _OF_FILES
        if any(each not in known and each not in "n%" for each in _FIELD.findall(form)):
            return None
        if _FIELD.sub("", form).count("%"):
            return None
        return cls(form, words.operands, "L" in words.options, systems)

    def perform(self) -> ExecResult:
        """One line for each."""
        return together([self._one(path) for path in self.paths])

    def _one(self, path: str) -> ExecResult:
        problem = "read file system information for" if self.systems else "statx"
        values: Callable[[str], str]
        try:
            with reached(path, self.within) as place:
                if self.systems:
                    with pinned(place, self.within) as file:
                        system = os.statvfs(file)
                    values = lambda field: _OF_SYSTEMS[field](system)  # noqa: E731
                else:
                    status = os.stat(place, follow_symlinks=self.follow and self.within is None)  # noqa: PTH116 - pathlib costs 5 ms
                    values = lambda field: _OF_FILES[field](status)  # noqa: E731
        except OSError as error:
            return failure("stat", f"cannot {problem} {always_quoted(path)}", error)

        def value(found: re.Match[str]) -> str:
            literal = {"n": path, "%": "%"}
            return literal[found[1]] if found[1] in literal else values(found[1])

        return ExecResult(0, os.fsencode(_FIELD.sub(value, self.form)) + b"\n", b"")
