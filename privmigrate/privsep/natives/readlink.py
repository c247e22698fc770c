"""``readlink LINK``, ``readlink -f PATH``: what a link says, or where a path leads."""

import errno
import os
from dataclasses import dataclass
from typing import ClassVar, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.natives.base import LeftToTool, reached, split
from privmigrate.privsep.running import ExecResult

_NOTHING = ExecResult(1, b"", b"")


@dataclass(frozen=True, slots=True)
class Readlink:
    """Read a link; with `resolve` give the path without links.

    Of that path all must exist (e), all but the last name (f), or nothing (m). A path that leads
    over a file, up from a link or into a loop is left to the tool.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (Capability.CAP_DAC_READ_SEARCH,)
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a link", "ln -s 'a b' l", ("readlink", "l")),
        Same("without a newline", "ln -s f l", ("readlink", "-n", "l")),
        Same("no link", ": > f", ("readlink", "f")),
        Same("no such file", "", ("readlink", "nowhere")),
        Same("-e", "ln -s / l", ("readlink", "-e", "l/proc")),
        Same("-e: nothing there", "", ("readlink", "-e", "/nowhere/x")),
        Same("-f: a link", "ln -s /proc l", ("readlink", "-f", "l")),
        Same("-f: a link to nowhere", "ln -s /nowhere l", ("readlink", "-f", "l")),
        Same("-f: nothing there", "", ("readlink", "-f", "/nowhere")),
        Same("-f: no folder there", "", ("readlink", "-f", "/nowhere/x")),
        Same("-f: a link into no folder", "ln -s /nowhere/x l", ("readlink", "-f", "l")),
        Same("-nf", "", ("readlink", "-nf", "/proc//self/../version")),
        Same("-m", "ln -s /nowhere l", ("readlink", "-m", "l/x/y")),
        Same("in long", "", ("readlink", "--canonicalize", "/")),
        Kept("several", ("readlink", "a", "b"), "each has its own result"),
        Kept("with messages", ("readlink", "-v", "f"), "seldom seen"),
        Kept("with NUL at the end", ("readlink", "-z", "f"), "seldom seen"),
        Kept("several ways", ("readlink", "-ef", "l"), "the last one counts"),
        Kept("a slash at the end", ("readlink", "-f", "f/"), "asks for a folder"),
        Kept("up from something", ("readlink", "-m", "f/../g"), "of which it matters what it is"),
    )

    path: str
    resolve: str = ""
    end: bytes = b"\n"
    within: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The link."""
        return (self.path,)

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """One path; -n; -e, -f or -m."""
        words = split(
            argv, "nefm",
            no_newline="n", canonicalize="f", canonicalize_existing="e", canonicalize_missing="m",
        )  # fmt: skip
        if words is None or len(words.operands) != 1 or not words.operands[0]:
            return None
        path, resolve = words.operands[0], "".join(words.options).replace("n", "")
        if len(resolve) > 1 or (resolve and path.endswith("/") and path != "/"):
            return None
        if resolve == "m" and ".." in path.split("/"):
            return None
        return cls(path, resolve, b"" if "n" in words.options else b"\n")

    def perform(self) -> ExecResult:
        """Read it; 1 and nothing else where there is none."""
        try:
            if self.resolve:
                if self.within is not None:
                    raise LeftToTool("it follows links")
                found = self._resolved()
            else:
                with reached(self.path, self.within) as place:
                    found = os.readlink(place)  # noqa: PTH115 - pathlib costs 5 ms
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.EINVAL}:
                raise LeftToTool(f"{self.path}: {error.strerror}") from None
            return _NOTHING
        return ExecResult(0, os.fsencode(found) + self.end, b"")

    def _resolved(self) -> str:
        try:
            return os.path.realpath(self.path, strict=True)
        except FileNotFoundError:
            if self.resolve == "e":
                raise
        found = os.path.realpath(self.path)
        if self.resolve == "f":
            os.stat(f"{found.rpartition('/')[0]}/.")  # noqa: PTH116 - as above
            if ".." in self.path.split("/"):
                raise LeftToTool("up from something")
        return found
