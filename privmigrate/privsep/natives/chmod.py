"""``chmod MODE FILE...``: change the permission bits of files and folders."""

import os
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.modes import Mode
from privmigrate.privsep.natives.base import (
    DONE,
    always_quoted,
    failed,
    failure,
    operands,
    pinned,
    reached,
    together,
)
from privmigrate.privsep.running import ExecResult

_SEVERAL: Final = 2


@dataclass(frozen=True, slots=True)
class Chmod:
    """Change modes, octal or symbolic.

    As the tool does and `os.chmod` does not: an octal mode leaves set-user-ID and set-group-ID of
    a folder alone unless it names them. Without CAP_FSETID the kernel drops a set-group-ID bit of
    a foreign group's file without an error, whoever calls it.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (
        Capability.CAP_DAC_READ_SEARCH,
        Capability.CAP_FOWNER,
        Capability.CAP_FSETID,
    )
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("octal", ": > f; chmod 600 f", ("chmod", "0644", "f")),
        Same("a folder keeps its set-group-ID bit", "mkdir -m 2750 d", ("chmod", "755", "d")),
        Same("and loses its sticky bit", "mkdir -m 3777 d", ("chmod", "0755", "d")),
        Same("five digits clear it", "mkdir -m 2750 d", ("chmod", "00755", "d")),
        Same("a file loses it", ": > f; chmod 6755 f", ("chmod", "755", "f")),
        Same("set-group-ID of a folder", "mkdir d", ("chmod", "2775", "d")),
        Same("for the group", ": > f; chmod 640 f", ("chmod", "g+w", "f")),
        Same("for all", ": > f; chmod 600 f", ("chmod", "ugo+rw", "f")),
        Same("for nobody in particular", ": > f; chmod 0 f", ("chmod", "+w", "f")),
        Same("several clauses", ": > f; chmod 777 f", ("chmod", "u=rwX,go-w,o=", "f")),
        Same("copied", ": > f; chmod 640 f", ("chmod", "o=g,g+u", "f")),
        Same("X of a file", ": > f; chmod 600 f", ("chmod", "a+X", "f")),
        Same("X of a folder", "mkdir -m 600 d", ("chmod", "a+X", "d")),
        Same("s and t", "mkdir d; : > f", ("chmod", "ug+s,+t", "d", "f")),
        Same("= keeps set-group-ID of a folder", "mkdir -m 2770 d", ("chmod", "g=rx", "d")),
        Same("through a link", ": > f; ln -s f l; chmod 0 f", ("chmod", "640", "l")),
        Same("no such file, and one", ": > f", ("chmod", "600", "nowhere", "f")),
        Same("a link to nowhere", "ln -s nowhere l", ("chmod", "600", "l")),
        Same("below a file", ": > f", ("chmod", "600", "f/x")),
        Same("a file that has no mode to change", "", ("chmod", "600", "/proc/version")),
        Same("a name with a quote", "", ("chmod", "600", "it's")),
        Same("a name with bytes", "", ("chmod", "600", "\udcffx\n")),
        Kept("recursively", ("chmod", "-R", "755", "d"), "its own walk through links"),
        Kept("like another file", ("chmod", "--reference=f", "g"), "two files"),
        Kept("a mode with a minus", ("chmod", "-w", "f"), "it warns where the umask matters"),
        Kept("no mode", ("chmod", "888", "f"), "the tool says what is wrong"),
        Kept("an operator and octal", ("chmod", "u+7", "f"), "not in every version"),
        Kept("what was changed", ("chmod", "-v", "755", "f"), "prints"),
        Kept("no file", ("chmod", "755"), "the tool says what is wrong"),
    )

    mode: Mode
    paths: tuple[str, ...]
    within: str | None = None

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """A mode and files, without options."""
        words = operands(argv)
        mode = Mode.parse(words[0]) if len(words) >= _SEVERAL else None
        return None if mode is None else cls(mode, words[1:])

    def perform(self) -> ExecResult:
        """One file after the other."""
        return together([self._one(path) for path in self.paths])

    def _one(self, path: str) -> ExecResult:
        what = "cannot access"
        try:
            with reached(path, self.within) as place, pinned(place, self.within) as file:
                what = "changing permissions of"
                mode = self.mode.apply(os.stat(file).st_mode)  # noqa: PTH116 - costs 5 ms
                os.chmod(file, mode)  # noqa: PTH101 - as above
        except FileNotFoundError as error:
            if self.within is None and os.path.islink(path):  # noqa: PTH114 - as above
                return failed(f"chmod: cannot operate on dangling symlink {always_quoted(path)}")
            return failure("chmod", f"{what} {always_quoted(path)}", error)
        except OSError as error:
            return failure("chmod", f"{what} {always_quoted(path)}", error)
        return DONE
