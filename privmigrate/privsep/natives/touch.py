"""``touch FILE...``: make files, and set the times of those that there are to now."""

import errno
import os
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.natives.base import (
    DONE,
    always_quoted,
    created_mode,
    failure,
    reached,
    split,
    together,
)
from privmigrate.privsep.running import ExecResult

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Touch:
    """Open or make the file, and set its times by the descriptor; with `only` make none.

    The order matters on network file systems: a file whose times alone are set may be made by
    somebody else in between.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (
        Capability.CAP_DAC_OVERRIDE,
        Capability.CAP_FOWNER,
    )
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a new file", "", ("touch", "f")),
        Same("several, one that cannot be", ": > f", ("touch", "f/x", "g")),
        Same("one that there is", "echo x > f", ("touch", "f")),
        Same("a folder", "mkdir d", ("touch", "d")),
        Same("through a link", "ln -s f l", ("touch", "l")),
        Same("below nothing", "", ("touch", "a/b")),
        Same("no name", "", ("touch", "")),
        Same("a loop", "ln -s l l", ("touch", "l")),
        Same("a folder that there is not", "", ("touch", "d/")),
        Same("a pipe", "mkfifo f", ("touch", "f")),
        Same("-c", "", ("touch", "-c", "f")),
        Same("-c: below a file", ": > f", ("touch", "--no-create", "f/x")),
        Same("-c: one that there is", ": > f", ("touch", "-c", "f")),
        Kept("another time", ("touch", "-d", "yesterday", "f"), "reads dates"),
        Kept("like another file", ("touch", "-r", "f", "g"), "two files"),
        Kept("one of the times", ("touch", "-a", "f"), "seldom seen"),
        Kept("standard output", ("touch", "-"), "is the daemon's"),
        Kept("nothing", ("touch",), "the tool says what is wrong"),
    )

    paths: tuple[str, ...]
    only: bool = False
    within: str | None = None

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """Files; -c."""
        words = split(argv, "c", no_create="c")
        if words is None or not words.operands:
            return None
        return cls(words.operands, "c" in words.options)

    def perform(self) -> ExecResult:
        """One after the other."""
        return together([self._one(path) for path in self.paths])

    def _one(self, path: str) -> ExecResult:
        problem = f"setting times of {always_quoted(path)}"
        try:
            with reached(path, self.within) as place:
                first = None if self.only else self._try_to_make(place)
                if first is None and not self.only:
                    return DONE
                # what cannot be opened may still be given times: a folder, a pipe; but no link
                try:
                    if first is not None and first.errno == errno.ELOOP:
                        raise first
                    os.utime(place, follow_symlinks=self.within is None)
                except OSError as error:
                    if first is None or first.errno == errno.EISDIR:
                        raise
                    problem = f"cannot touch {always_quoted(path)}"
                    raise first from error
        except OSError as error:
            if self.only and isinstance(error, FileNotFoundError):
                return DONE
            return failure("touch", problem, error)
        return DONE

    def _try_to_make(self, place: str) -> OSError | None:
        try:
            self._make(place)
        except OSError as error:
            return error
        return None

    def _make(self, place: str) -> None:
        flags = _FLAGS if self.within is None else _FLAGS | os.O_NOFOLLOW
        file = os.open(place, flags, created_mode(place, 0o666))
        try:
            os.utime(file)
        finally:
            os.close(file)
