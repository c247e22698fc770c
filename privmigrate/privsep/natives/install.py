"""``install -d FOLDER...``: make folders with a mode, or give it to those that there are."""

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.modes import Mode
from privmigrate.privsep.natives.base import (
    DONE,
    LeftToTool,
    folders_above,
    pinned,
    reached,
    split,
    together,
)
from privmigrate.privsep.natives.mkdir import set_mode
from privmigrate.privsep.running import ExecResult

_USUAL: Final = "00755"  # with -d alone set-id bits go as well


@dataclass(frozen=True, slots=True)
class Install:
    """Make folders and those above them; ``install -d`` and no other form.

    Errors are the tool's own: it is executed to go on where a folder cannot be made.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (
        Capability.CAP_DAC_OVERRIDE,
        Capability.CAP_FOWNER,
        Capability.CAP_FSETID,
    )
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a folder", "", ("install", "-d", "d")),
        Same("and those above", "", ("install", "-d", "a/b/c")),
        Same("one that there is gets the mode", "mkdir -m 2700 d", ("install", "-d", "d")),
        Same("with a mode", "mkdir -m 2700 d", ("install", "-m", "0750", "-d", "d", "e/f")),
        Same("with special bits", "", ("install", "-d", "--mode=3770", "d")),
        Same("below set-group-ID", "mkdir -m 2755 a; chgrp 7 a", ("install", "-d", "a/b/c")),
        Same("-m below set-group-ID", "mkdir -m 2755 a", ("install", "-dm700", "a/b/c")),
        Same("through a link", "mkdir -m 700 d; ln -s d l", ("install", "-d", "l/x", "l")),
        Kept("a file", ("install", "f", "g"), "copies"),
        Kept("a mode in letters", ("install", "-d", "-m", "u=rwx", "d"), "seldom seen"),
        Kept("an owner", ("install", "-d", "-o", "root", "d"), "seldom seen"),
        Kept("into a folder", ("install", "-D", "f", "d/f"), "copies"),
        Kept("nothing", ("install", "-d"), "the tool says what is wrong"),
    )

    paths: tuple[str, ...]
    mode: Mode
    within: str | None = None

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """-d and folders; -m with an octal mode."""
        words = split(argv, "d", "m", directory="d", mode="m")
        if words is None or not words.operands or "d" not in words.options:
            return None
        text = words.options.get("m", _USUAL)
        mode = Mode.parse(text) if text.isdigit() else None
        return None if mode is None else cls(words.operands, mode)

    def perform(self) -> ExecResult:
        """One after the other."""
        return together([self._one(path) for path in self.paths])

    def _one(self, path: str) -> ExecResult:
        try:
            for folder in (*folders_above(path, self.within), path):
                self._make(folder, last=folder == path)
        except OSError as error:
            raise LeftToTool(f"{path}: {error.strerror}") from None
        return DONE

    def _make(self, path: str, *, last: bool) -> None:
        with reached(path, self.within) as place:
            with suppress(FileExistsError):
                os.mkdir(place, 0o755)  # noqa: PTH102 - pathlib costs 5 ms
            if not last:
                return
            with pinned(place, self.within) as file:
                set_mode(file, self.mode)
