"""Where something stands in a file, and what is to be said about it."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

_LONGEST: Final = 60


def printable(text: str) -> str:
    """What files and processes say is other people's: none of its control characters are shown."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shortened(text: str) -> str:
    """What of a text is shown in a message about it: files may have lines of any length."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def counted(number: int, one: str, many: str = "") -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a file: lines and columns count from 1; line 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0
    end_line: int = 0

    def __str__(self) -> str:
        """`file:line:column`, as compilers write it, as far as it is known."""
        text = self.file
        if self.line:
            text += f":{self.line}"
            if self.column:
                text += f":{self.column}"
        return text


class Severity(Enum):
    """How bad a diagnostic is: only an ERROR stops the command that found it."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing to tell a person: where, how bad, what is wrong, and what to do about it.

    `code` is a stable kebab-case word for machines, such as ``unknown-filter-class``.
    """

    span: Span
    severity: Severity
    code: str
    message: str
    advice: str = ""

    def __str__(self) -> str:
        """One line: place, severity, message, advice."""
        advice = f" ({self.advice})" if self.advice else ""
        return f"{self.span}: {self.severity.value}: {self.message}{advice}"

    def as_json(self) -> dict[str, str | int]:
        """Plain values for ``--json``."""
        return {
            "file": self.span.file,
            "line": self.span.line,
            "column": self.span.column,
            "severity": self.severity.value,
            "code": self.code,
            "message": self.message,
            "advice": self.advice,
        }
