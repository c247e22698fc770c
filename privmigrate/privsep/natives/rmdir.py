"""``rmdir FOLDER...``: remove empty folders."""

import os
from dataclasses import dataclass
from typing import ClassVar, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.natives.base import (
    DONE,
    always_quoted,
    failure,
    operands,
    reached,
    together,
)
from privmigrate.privsep.running import ExecResult


@dataclass(frozen=True, slots=True)
class Rmdir:
    """Remove folders that are empty."""

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (
        Capability.CAP_DAC_OVERRIDE,
        Capability.CAP_FOWNER,  # in a folder with the sticky bit
    )
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("an empty folder", "mkdir d e", ("rmdir", "d")),
        Same("several, one with something in it", "mkdir d e f; : > e/x", ("rmdir", "d", "e", "f")),
        Same("no such folder", "", ("rmdir", "nowhere")),
        Same("a file", ": > f", ("rmdir", "f")),
        Same("a link to a folder", "mkdir d; ln -s d l", ("rmdir", "l")),
        Same("below a file", ": > f", ("rmdir", "f/x")),
        Same("by a slash at its end", "mkdir d", ("rmdir", "d/")),
        Same("itself", "", ("rmdir", ".")),
        Kept("with those above", ("rmdir", "-p", "a/b"), "several, and each may fail"),
        Kept(
            "those that are not empty",
            ("rmdir", "--ignore-fail-on-non-empty", "d"),
            "seldom seen",
        ),
        Kept("nothing", ("rmdir",), "the tool says what is wrong"),
    )

    paths: tuple[str, ...]
    within: str | None = None

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """Folders, without options."""
        words = operands(argv)
        return cls(words) if words else None

    def perform(self) -> ExecResult:
        """One after the other."""
        return together([self._one(path) for path in self.paths])

    def _one(self, path: str) -> ExecResult:
        try:
            with reached(path, self.within) as place:
                os.rmdir(place)  # noqa: PTH106 - pathlib costs 5 ms
        except OSError as error:
            return failure("rmdir", f"failed to remove {always_quoted(path)}", error)
        return DONE
