"""``mkdir FOLDER...``, ``mkdir -p -m MODE FOLDER...``: make folders."""

import os
import stat
from dataclasses import dataclass
from typing import ClassVar, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.modes import Mode
from privmigrate.privsep.natives.base import (
    DONE,
    LeftToTool,
    c_quoted,
    created_mode,
    failure,
    folders_above,
    pinned,
    reached,
    split,
    together,
)
from privmigrate.privsep.running import ExecResult


@dataclass(frozen=True, slots=True)
class Mkdir:
    """Make folders under umask 022, or with exactly an octal mode; with `above` those above too.

    Errors of ``mkdir -p`` are the tool's own: it is executed to go on where a folder cannot be
    made.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (
        Capability.CAP_DAC_OVERRIDE,
        Capability.CAP_FOWNER,
        Capability.CAP_FSETID,
    )
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a folder", "", ("mkdir", "d")),
        Same("several", "mkdir e", ("mkdir", "d", "e", "f")),
        Same("one that there is", "mkdir d", ("mkdir", "d")),
        Same("a file that there is", ": > d", ("mkdir", "d")),
        Same("a link to nowhere", "ln -s nowhere d", ("mkdir", "d")),
        Same("below nothing", "", ("mkdir", "a/b")),
        Same("below a file", ": > f", ("mkdir", "f/x")),
        Same("-p", "", ("mkdir", "-p", "a/b/c")),
        Same("-p: a part that there is", "mkdir -m 700 a", ("mkdir", "-p", "a/b//c/")),
        Same("-p: one that there is", "mkdir -m 700 d", ("mkdir", "-p", "d")),
        Same("-p: through a link", "mkdir d; ln -s d l", ("mkdir", "-p", "l/x", "l")),
        Same("-m", "", ("mkdir", "-m", "700", "d")),
        Same("-m: more than the umask leaves", "", ("mkdir", "-m", "0777", "d")),
        Same("-m: special bits", "", ("mkdir", "-m", "3775", "d")),
        Same("-m: of the last alone", "", ("mkdir", "-p", "--mode=750", "a/b")),
        Same("-m: one that there is", "mkdir d", ("mkdir", "-p", "-m", "700", "d")),
        Same("below set-group-ID", "mkdir -m 2755 a; chgrp 7 a", ("mkdir", "-p", "a/b/c")),
        Same("-m below set-group-ID", "mkdir -m 2755 a", ("mkdir", "-m", "0700", "a/b")),
        Same("a name with a quote", ": > it\\'s", ("mkdir", "it's")),
        Same("a name with bytes", "", ("mkdir", "\udcff/\t")),
        Kept("a mode in letters", ("mkdir", "-m", "u=rwx", "d"), "seldom seen"),
        Kept("what was made", ("mkdir", "-v", "d"), "prints"),
        Kept("a security context", ("mkdir", "-Z", "d"), "needs the machine's policy"),
        Kept("nothing", ("mkdir",), "the tool says what is wrong"),
    )

    paths: tuple[str, ...]
    above: bool = False
    mode: Mode | None = None
    octal: int = 0o777
    within: str | None = None

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """Folders; -p, and -m with an octal mode."""
        words = split(argv, "p", "m", parents="p", mode="m")
        if words is None or not words.operands:
            return None
        above, text = "p" in words.options, words.options.get("m")
        if text is None:
            return cls(words.operands, above)
        mode = Mode.parse(text) if text.isdigit() else None
        return None if mode is None else cls(words.operands, above, mode, int(text, 8))

    def perform(self) -> ExecResult:
        """One after the other."""
        return together([self._one(path) for path in self.paths])

    def _one(self, path: str) -> ExecResult:
        try:
            try:
                self._make(path)
            except FileNotFoundError:
                if not self.above or not path:
                    raise
                make_above(path, self.within)
                self._make(path)
        except FileExistsError as error:
            if not self.above:
                return failure("mkdir", f"cannot create directory {c_quoted(path)}", error)
            self._expect_folder(path)
        except OSError as error:
            if self.above:
                raise LeftToTool(f"{path}: {error.strerror}") from None
            return failure("mkdir", f"cannot create directory {c_quoted(path)}", error)
        return DONE

    def _make(self, path: str) -> None:
        with reached(path, self.within) as place:
            if self.mode is None:
                os.mkdir(place, created_mode(place, 0o777))  # noqa: PTH102 - pathlib costs 5 ms
                return
            os.mkdir(place, self.octal & 0o777)  # noqa: PTH102 - as above
            with pinned(place, place) as file:
                set_mode(file, self.mode)

    def _expect_folder(self, path: str) -> None:
        with reached(path, self.within) as place:
            status = os.stat(place, follow_symlinks=self.within is None)  # noqa: PTH116 - as above
        if not stat.S_ISDIR(status.st_mode):
            raise LeftToTool(f"{path} is no folder")


def make_above(path: str, within: str | None) -> None:
    """Make the folders that a path lies in, as the umask has it; those that there are stay."""
    for folder in folders_above(path, within):
        try:
            with reached(folder, within) as place:
                os.mkdir(place, created_mode(place, 0o777))  # noqa: PTH102 - as above
        except FileExistsError:
            continue


def set_mode(file: str, mode: Mode) -> None:
    """Give a pinned folder the mode, unless it has it; no file that has taken its place."""
    has = os.stat(file).st_mode  # noqa: PTH116 - as above
    if not stat.S_ISDIR(has):
        raise LeftToTool("what is there is no folder")
    if mode.apply(has) != stat.S_IMODE(has):
        os.chmod(file, mode.apply(has))  # noqa: PTH101 - as above
