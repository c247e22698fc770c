"""What a rule says about one place, and how bad that is."""

import hashlib
import os
from dataclasses import dataclass
from enum import IntEnum

from privmigrate.diagnostics import Span


class Level(IntEnum):
    """How bad a finding is, by what an attacker who owns the service has to do to gain from it."""

    NOTE = 0  # good to know; never changes the exit code
    LOW = 1  # needs something else to go wrong first
    MEDIUM = 2  # power over part of the machine, or an entry that does not do what it says
    HIGH = 3  # root by a command that the filters allow
    CRITICAL = 4  # root whatever the filters say

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule yields: where, what is wrong and why it matters, and what to do.

    `level` replaces the rule's own level where this place is better or worse than most.
    """

    span: Span
    message: str
    advice: str
    level: Level | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found, with the rule's code; sorts worst first."""

    code: str
    level: Level
    span: Span
    message: str
    advice: str

    @property
    def order(self) -> tuple[int, Span, str, str]:
        """Worst first, then by place."""
        return -self.level, self.span, self.code, self.message

    @property
    def fingerprint(self) -> str:
        """The same after lines were added above: made of code, file name and message."""
        name = os.path.basename(self.span.file)  # noqa: PTH119 - the folder may move
        text = f"{self.code}\0{name}\0{self.message}"
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def as_json(self) -> dict[str, str | int]:
        """Plain values."""
        return {
            "code": self.code,
            "level": str(self.level),
            "file": self.span.file,
            "line": self.span.line,
            "column": self.span.column,
            "message": self.message,
            "advice": self.advice,
            "fingerprint": self.fingerprint,
        }
