"""``truncate -s SIZE FILE...``: give files a size; those that there are not are made."""

import os
import re
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.natives.base import (
    DONE,
    LeftToTool,
    always_quoted,
    created_mode,
    expect_plain,
    failure,
    reached,
    split,
    together,
)
from privmigrate.privsep.running import ExecResult

_SIZE: Final = re.compile(r"([-+<>/%]?)([0-9]{1,19})(?:([KkMmGgTtPE])(B|iB)?)?", re.ASCII)
_POWERS: Final = "KMGTPE"
_LARGEST: Final = 2**63 - 1
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Truncate:
    """Set the size to `size`, or to what it and the present size make by `operator`.

    K is 1024, KB is 1000. Unlike truncate(2) it makes the file.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (Capability.CAP_DAC_OVERRIDE,)
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a new file", "", ("truncate", "-s", "5", "f")),
        Same("smaller, and one more", "echo hello > f", ("truncate", "-s", "2", "f", "g")),
        Same("to nothing", "echo hello > f", ("truncate", "-s0", "f")),
        Same("in long", "echo hello > f", ("truncate", "--size=0", "f")),
        Same("in long with two words", "", ("truncate", "--size", "1K", "f")),
        Same("a thousand", "", ("truncate", "-s", "1KB", "f")),
        Same("k", "", ("truncate", "-s", "2k", "f")),
        Same("KiB", "", ("truncate", "-s", "1KiB", "f")),
        Same("M", "", ("truncate", "-s", "1M", "f")),
        Same("larger by", "echo hello > f", ("truncate", "-s", "+3", "f")),
        Same("smaller by", "echo hello > f", ("truncate", "-s", "-3", "f")),
        Same("smaller by more than there is", "echo hello > f", ("truncate", "-s", "-9", "f")),
        Same("at most", "echo hello > f; : > g", ("truncate", "-s", "<3", "f", "g")),
        Same("at least", "echo hello > f; : > g", ("truncate", "-s", ">3", "f", "g")),
        Same("rounded down", "echo hello > f", ("truncate", "-s", "/4", "f")),
        Same("rounded up", "echo hello > f; : > g", ("truncate", "-s", "%4", "f", "g")),
        Same("-c", ": > f", ("truncate", "-c", "-s", "1", "nowhere", "f")),
        Same("a folder", "mkdir d", ("truncate", "-s", "1", "d")),
        Same("below nothing", "", ("truncate", "-s", "1", "a/b")),
        Same("through a link", "ln -s f l", ("truncate", "-s", "1", "l")),
        Same("too large", ": > f", ("truncate", "-s", "7E", "f")),
        Kept("no size", ("truncate", "-s", "5x", "f"), "the tool says what is wrong"),
        Kept("more than there can be", ("truncate", "-s", "8E", "f"), "the tool says so"),
        Kept("a division by nothing", ("truncate", "-s", "/0", "f"), "the tool says so"),
        Kept("like another file", ("truncate", "-r", "f", "g"), "two files"),
        Kept("blocks", ("truncate", "-o", "-s", "1", "f"), "seldom seen"),
        Kept("nothing", ("truncate", "-s", "1"), "the tool says what is wrong"),
    )

    operator: str
    size: int
    paths: tuple[str, ...]
    only: bool = False
    within: str | None = None

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """-s and files; -c."""
        words = split(argv, "c", "s", size="s", no_create="c")
        found = _SIZE.fullmatch(words.options.get("s", "")) if words is not None else None
        if words is None or found is None or not words.operands:
            return None
        operator, digits, letter, unit = found.groups()
        base = 1000 if unit == "B" else 1024
        size = int(digits) * base ** (_POWERS.index(letter.upper()) + 1 if letter else 0)
        if size > _LARGEST or (operator in {"/", "%"} and not size):
            return None
        return cls(operator, size, words.operands, "c" in words.options)

    def perform(self) -> ExecResult:
        """One after the other."""
        return together([self._one(path) for path in self.paths])

    def _one(self, path: str) -> ExecResult:
        problem = f"cannot open {always_quoted(path)} for writing"
        flags = _FLAGS & ~os.O_CREAT if self.only else _FLAGS
        try:
            with reached(path, self.within) as place:
                nofollow = 0 if self.within is None else os.O_NOFOLLOW
                file = os.open(place, flags | nofollow, created_mode(place, 0o666))
            try:
                expect_plain(file)
                size = self._of(os.fstat(file).st_size)
                problem = f"failed to truncate {always_quoted(path)} at {size} bytes"
                os.ftruncate(file, size)
            finally:
                os.close(file)
        except OSError as error:
            if self.only and isinstance(error, FileNotFoundError):
                return DONE
            return failure("truncate", problem, error)
        return DONE

    def _of(self, present: int) -> int:
        match self.operator:
            case "+":
                size = present + self.size
            case "-":
                size = max(present - self.size, 0)
            case "<":
                size = min(present, self.size)
            case ">":
                size = max(present, self.size)
            case "/":
                size = present - present % self.size
            case "%":
                size = present + -present % self.size
            case _:
                size = self.size
        if size > _LARGEST:
            raise LeftToTool("more than a size can be")
        return size
