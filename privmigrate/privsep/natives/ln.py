"""``ln TARGET LINK``, ``ln -s TARGET LINK``: make one link."""

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
class Ln:
    """Make a hard link, or with `symbolic` a symbolic one; with `force` in place of a file.

    A folder that there is gets the link inside, unless `exact` says that none is meant, or `kept`
    that a link to a folder is none. What is replaced is replaced in one step. Other errors than
    that the link is there already are the tool's own.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (
        Capability.CAP_DAC_OVERRIDE,
        Capability.CAP_FOWNER,  # hard links to files of others
    )
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a hard link", "echo x > f", ("ln", "f", "l")),
        Same("a symbolic one", "", ("ln", "-s", "a/b c", "l")),
        Same("one that is there", ": > f; : > l", ("ln", "f", "l")),
        Same("-s: one that is there", ": > l", ("ln", "-s", "f", "l")),
        Same("a link to nowhere is there", "ln -s nowhere l", ("ln", "-s", "f", "l")),
        Same("in a folder", ": > f; mkdir d", ("ln", "f", "d")),
        Same("-s: in a folder", "mkdir d", ("ln", "-s", "../f", "d/")),
        Same("-s: one that is there in a folder", "mkdir d; : > d/f", ("ln", "-s", "f", "d")),
        Same("through a link to a folder", "mkdir d; ln -s d l", ("ln", "-s", "f", "l")),
        Same("-f", "echo x > f; : > l", ("ln", "-f", "f", "l")),
        Same("-sf", ": > l", ("ln", "-sf", "f", "l")),
        Same("in long", "ln -s g l", ("ln", "--symbolic", "--force", "f", "l")),
        Same("-sf: in a folder", "mkdir d; : > d/f", ("ln", "-sf", "f", "d")),
        Same("-sfn", "mkdir d; ln -s d l", ("ln", "-sfn", "f", "l")),
        Same("-sfT", "mkdir d; ln -s d l", ("ln", "-sfT", "f", "l")),
        Same("a link to a link", "ln -s nowhere l", ("ln", "l", "m")),
        Same("no such file", "", ("ln", "nowhere", "l")),
        Kept("in the present folder", ("ln", "-s", "a/b"), "there is none in a daemon"),
        Kept("several", ("ln", "-s", "a", "b", "d"), "each has its own result"),
        Kept("what a link leads to", ("ln", "-L", "a", "b"), "seldom seen"),
        Kept("relative", ("ln", "-sr", "a", "b"), "works out a path"),
        Kept("with a backup", ("ln", "-sb", "a", "b"), "seldom seen"),
        Kept("a name for a folder", ("ln", "-s", "a/", "d"), "has no name to give to the link"),
    )

    target: str
    link: str
    symbolic: bool = False
    force: bool = False
    kept: bool = False
    exact: bool = False
    within: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """What a symbolic link says is text."""
        return (self.link,) if self.symbolic else (self.target, self.link)

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """Two operands; -s, -f, -n, -T."""
        words = split(
            argv, "sfnT",
            symbolic="s", force="f", no_dereference="n", no_target_directory="T",
        )  # fmt: skip
        if words is None or len(words.operands) != _TWO or not all(words.operands):
            return None
        if not has_name(words.operands[0]):
            return None
        flags = ("s" in words.options, "f" in words.options)
        return cls(*words.operands, *flags, "n" in words.options, "T" in words.options)

    def perform(self) -> ExecResult:
        """Make it; LeftToTool for what is more than a link in a free place."""
        try:
            link = self.link
            if not self.exact:
                with reached(link, self.within) as place:
                    follow = self.within is None and not self.kept
                    link = inside(place, link, self.target, follow=follow)
            with reached(link, self.within) as place:
                return self._make(place, link)
        except OSError as error:
            if not self.symbolic and not os.path.lexists(self.target):
                problem = f"failed to access {always_quoted(self.target)}"
                return failure("ln", problem, error)
            raise LeftToTool(f"{self.link}: {error.strerror}") from None

    def _make(self, place: str, link: str) -> ExecResult:
        try:
            self._link(place)
        except FileExistsError as error:
            if self.force:
                self._replace(place)
            else:
                kind = "symbolic" if self.symbolic else "hard"
                text = f"failed to create {kind} link {always_quoted(link)}"
                return failure("ln", text, error)
        return DONE

    def _link(self, place: str) -> None:
        if self.symbolic:
            os.symlink(self.target, place)  # noqa: PTH211 - as above
            return
        with reached(self.target, self.within) as target:
            os.link(target, place, follow_symlinks=False)

    def _replace(self, place: str) -> None:
        status = os.lstat(place)
        same = False
        try:
            found = os.stat(self.target, follow_symlinks=self.symbolic)  # noqa: PTH116 - as above
            same = (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino)
        except OSError:
            same = not self.symbolic
        if same or stat.S_ISDIR(status.st_mode):
            raise LeftToTool("there is nothing to replace")
        beside = f"{place.rpartition('/')[0] or '.'}/.ln-{os.urandom(8).hex()}"
        if place.startswith("/") and place.count("/") == 1:
            beside = f"/.ln-{os.urandom(8).hex()}"
        self._link(beside)
        try:
            os.rename(beside, place)  # noqa: PTH104 - as above
        except OSError:
            os.unlink(beside)  # noqa: PTH108 - as above
            raise
