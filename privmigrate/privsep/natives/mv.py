"""``mv SOURCE TARGET``: one rename within a file system."""

import os
import stat
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.natives.base import (
    DONE,
    LeftToTool,
    always_quoted,
    failure,
    has_name,
    inside,
    reached,
    split,
)
from privmigrate.privsep.running import ExecResult

_TWO: Final = 2


@dataclass(frozen=True, slots=True)
class Mv:
    """Rename, into the target where that is a folder.

    What cannot be renamed, above all to another file system, is left to the tool, which copies.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (
        Capability.CAP_DAC_OVERRIDE,
        Capability.CAP_FOWNER,  # in a folder with the sticky bit
    )
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a file", "echo x > f", ("mv", "f", "g")),
        Same("over another", "echo x > f; echo y > g", ("mv", "f", "g")),
        Same("-f", "echo x > f; : > g; chmod 0 g", ("mv", "-f", "f", "g")),
        Same("into a folder", "echo x > f; mkdir d", ("mv", "f", "d")),
        Same("into a folder with a slash", "echo x > f; mkdir d", ("mv", "f", "d/")),
        Same("over a file in a folder", "echo x > f; mkdir d; : > d/f", ("mv", "f", "d")),
        Same("into a folder by a link", "echo x > f; mkdir d; ln -s d l", ("mv", "f", "l")),
        Same("a folder", "mkdir d; : > d/x", ("mv", "d", "e")),
        Same("a folder into a folder", "mkdir d e; : > d/x", ("mv", "d", "e")),
        Same("a folder over an empty one", "mkdir -p d e/d; : > d/x", ("mv", "d", "e")),
        Same("a link", "echo x > f; ln -s f l", ("mv", "l", "m")),
        Same("over a link", "echo x > f; ln -s g l", ("mv", "f", "l")),
        Same("no such file", "", ("mv", "nowhere", "f")),
        Same("below a file", ": > f", ("mv", "f/x", "g")),
        Kept("several", ("mv", "f", "g", "d"), "each has its own result"),
        Kept("a folder by a slash at its end", ("mv", "d/", "e"), "follows a link"),
        Kept("never over another", ("mv", "-n", "f", "g"), "seldom seen"),
        Kept("not into a folder", ("mv", "-T", "f", "g"), "seldom seen"),
        Kept("with a backup", ("mv", "-b", "f", "g"), "seldom seen"),
        Kept("to no name", ("mv", "f", ""), "the tool says what is wrong"),
    )

    source: str
    target: str
    within: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Both."""
        return self.source, self.target

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """Two operands; -f."""
        words = split(argv, "f", force="f")
        if words is None or len(words.operands) != _TWO or not all(words.operands):
            return None
        return cls(*words.operands) if has_name(words.operands[0]) else None

    def perform(self) -> ExecResult:
        """Rename; LeftToTool for all that a rename alone does not do."""
        try:
            with reached(self.source, self.within) as source:
                status = os.lstat(source)
        except OSError as error:
            return failure("mv", f"cannot stat {always_quoted(self.source)}", error)
        try:
            with reached(self.target, self.within) as place:
                target = inside(place, self.target, self.source, follow=self.within is None)
            with reached(self.source, self.within) as source, reached(target, self.within) as place:
                self._look(status, place)
                os.rename(source, place)  # noqa: PTH104 - pathlib costs 5 ms
        except OSError as error:
            raise LeftToTool(f"{self.target}: {error.strerror}") from None
        return DONE

    @staticmethod
    def _look(source: os.stat_result, place: str) -> None:
        """See what is replaced: rename(2) does nothing for two names of one file."""
        try:
            target = os.lstat(place)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(source.st_mode) != stat.S_ISDIR(target.st_mode):
            raise LeftToTool("a folder and no folder")
        if (source.st_dev, source.st_ino) == (target.st_dev, target.st_ino):
            raise LeftToTool("the same file")
