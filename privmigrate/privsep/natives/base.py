"""What every native is: a command that the daemon does itself, by system calls."""

import errno
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar, Final, NamedTuple, Protocol, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.linux.paths import is_of_process, open_beneath
from privmigrate.privsep.running import UMASK, ExecResult

DONE: Final = ExecResult(0, b"", b"")

_DEFAULT_ACL: Final = "system.posix_acl_default"
# What a shell takes as it is; all else coreutils puts in quotes.
_PLAIN: Final = re.compile(r"[\w%+,./@\]~#-]+|[{}]{2,}", re.ASCII)
_SPECIAL_FIRST: Final = ("~", "#")
# Beside a single quote: what reads alike between double quotes in C and in a shell.
_DOUBLE: Final = re.compile(r"[\w %+,./:@\]#{}^~'-]+", re.ASCII)
_ESCAPES: Final = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r"}


class LeftToTool(Exception):  # noqa: N818 - it is no error
    """Raised by `perform` before anything was done, or where the tool goes on as well."""


class Native(Protocol):
    """One form of a command line, and the system calls that do the same.

    `recognise` and `perform` stand in one class because they must agree: what is not recognised
    is left to the tool. `recognise` looks at the words alone, never at the machine.

    Attributes:
        CAPABILITIES: what it needs at most.
        within: the folder that the paths were checked to lie in, or None; then no symbolic link
            below it is followed, so that none that is put there after the check leads out.
        paths: the words that are paths.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]]
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]]

    @property
    def within(self) -> str | None: ...  # noqa: D102 - above

    @property
    def paths(self) -> tuple[str, ...]: ...  # noqa: D102 - above

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """Read a command line; None for every form that is left to the tool."""

    def perform(self) -> ExecResult:
        """Do it, with the exit code and the messages of the tool; raise LeftToTool."""


class Words(NamedTuple):
    """A command line, taken apart: options by their letter, with their values, and operands."""

    options: dict[str, str]
    operands: tuple[str, ...]

    def only(self, letters: str) -> bool:
        """Whether there are no other options."""
        return set(self.options) <= set(letters)


def split(argv: Sequence[str], flags: str, valued: str = "", **long: str) -> Words | None:
    """Take a command line apart as getopt_long(3) does; None for what is not foreseen here.

    `flags` and `valued` are short options, `long` gives the short one of a long one. An option
    behind an operand, an abbreviation, an option given twice with a value: None.
    """
    options: dict[str, str] = {}
    todo = list(argv[:0:-1])
    while todo and todo[-1].startswith("-") and todo[-1] != "-":
        word = todo.pop()
        if word == "--":
            return Words(options, tuple(reversed(todo)))
        if word.startswith("--"):
            word = _as_short(word, valued, long)
        letters = word[1:]
        if not letters:
            return None
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in flags:
                options[letter] = ""
                continue
            if letter not in valued or letter in options or not (letters or todo):
                return None
            options[letter], letters = letters or todo.pop(), ""
    if any(word.startswith("-") for word in todo):
        return None
    return Words(options, tuple(reversed(todo)))


def operands(argv: Sequence[str]) -> tuple[str, ...]:
    """The words of a command line without options; none where there is one."""
    words = split(argv, "")
    return words.operands if words is not None else ()


def _as_short(word: str, valued: str, long: Mapping[str, str]) -> str:
    """A long option as a short one, its value behind it; "" for one that has none."""
    name, has_value, value = word[2:].partition("=")
    letter = "" if "_" in name else long.get(name.replace("-", "_"), "")
    if has_value and (letter not in valued or not value):
        return ""
    return f"-{letter}{value}" if letter else ""


@contextmanager
def reached(path: str, within: str | None) -> Iterator[str]:
    """A path for system calls that means what `path` means.

    Below `within` it is reached from folder to folder, through no link, and its last name alone is
    still to be looked up: the caller must not follow that. Raise OSError.
    """
    if within is None:
        yield path
        return
    folder = os.open(within, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        above, _, name = os.path.relpath(path, within).rpartition("/")
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
        handle = open_beneath(folder, above or ".", flags)
    finally:
        os.close(folder)
    try:
        if name == "..":
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        yield f"/proc/self/fd/{handle}/{name}"
    finally:
        os.close(handle)


@contextmanager
def pinned(place: str, within: str | None) -> Iterator[str]:
    """A path that goes on meaning the file that `place` names now; below `within` never a link."""
    flags = os.O_PATH | os.O_CLOEXEC
    handle = os.open(place, flags if within is None else flags | os.O_NOFOLLOW)
    try:
        if within is not None and stat.S_ISLNK(os.fstat(handle).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


@contextmanager
def parent_of(place: str) -> Iterator[tuple[int, str]]:
    """A descriptor of the folder that the last name of a path is in, and that name."""
    above, slash, name = place.rpartition("/")
    folder = os.open(above or slash or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield folder, name
    finally:
        os.close(folder)


def expect_plain(handle: int) -> None:
    """Raise LeftToTool for all but regular files, and for those of a process: it may be us."""
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        raise LeftToTool("Not a regular file")
    if is_of_process(handle):
        raise LeftToTool("A file of a process")


def has_name(path: str) -> bool:
    """Whether a path ends in the name of something: not in ``/``, ``.`` or ``..``."""
    return path.rpartition("/")[2] not in {"", ".", ".."}


def created_mode(path: str, mode: int) -> int:
    """The mode to ask for when `path` is made: as under umask 022, which a default ACL replaces."""
    try:
        os.getxattr(path.rpartition("/")[0] or ("/" if path.startswith("/") else "."), _DEFAULT_ACL)
    except OSError:
        return mode & ~UMASK
    return mode


def failure(tool: str, subject: str, error: OSError, exit_code: int = 1) -> ExecResult:
    """Make the result of a system call's error as coreutils words it."""
    text = f"{tool}: {subject}: {os.strerror(error.errno or 0)}\n"
    return ExecResult(exit_code, b"", os.fsencode(text))


def failed(text: str, exit_code: int = 1) -> ExecResult:
    """Make the result of something else that is wrong."""
    return ExecResult(exit_code, b"", os.fsencode(text + "\n"))


def together(results: Sequence[ExecResult]) -> ExecResult:
    """What a tool leaves that does one thing after the other: the last failure's exit code."""
    code = 0
    for result in results:
        code = result.exit_code or code
    return ExecResult(
        code, b"".join(r.stdout for r in results), b"".join(r.stderr for r in results)
    )


def quoted(name: str) -> str:
    """A name as coreutils shows it to people in locale C: in a shell's quotes where it needs any.

    (In locales of UTF-8 it leaves letters as they are; here they are shown by their bytes.)
    """
    plain = _PLAIN.fullmatch(name) and not name.startswith(_SPECIAL_FIRST)
    return name if plain else always_quoted(name)


def always_quoted(name: str) -> str:
    """The same, in quotes in any case."""
    if "'" in name and _DOUBLE.fullmatch(name):
        return f'"{name}"'
    text, escaped = "'", False
    for byte in os.fsencode(name):
        if 32 <= byte < 127:  # noqa: PLR2004 - what is printable in ASCII
            if byte == ord("'"):
                text += "'\\''"
            else:
                text += f"''{chr(byte)}" if escaped else chr(byte)
            escaped = False
        else:
            text += "" if escaped else "'$'"
            text += f"\\{_ESCAPES[byte]}" if byte in _ESCAPES else f"\\{byte:03o}"
            escaped = True
    return text + "'"


def c_quoted(name: str) -> str:
    """As other messages of coreutils have it in locale C: escaped as in C, in single quotes."""
    text = ""
    for byte in os.fsencode(name):
        if byte in _ESCAPES:
            text += f"\\{_ESCAPES[byte]}"
        elif 32 <= byte < 127:  # noqa: PLR2004 - as above
            text += f"\\{chr(byte)}" if chr(byte) in "\\'" else chr(byte)
        else:
            text += f"\\{byte:03o}"
    return f"'{text}'"


def folders_above(path: str, within: str | None) -> list[str]:
    """The folders that a path lies in, outermost first; below `within`, where one is given."""
    names = path.rstrip("/").split("/")
    found = ["/".join(names[:count]) for count in range(1, len(names)) if names[count - 1]]
    return found if within is None else [each for each in found if each.startswith(f"{within}/")]


def inside(place: str, path: str, source: str, *, follow: bool = True) -> str:
    """Where something of the name of `source` goes: to `path`, or into the folder that it is."""
    try:
        mode = os.stat(place, follow_symlinks=follow).st_mode  # noqa: PTH116 - pathlib costs 5 ms
    except OSError:
        return path
    if not stat.S_ISDIR(mode):
        return path
    return f"{path}{'' if path.endswith('/') else '/'}{source.rpartition('/')[2]}"
