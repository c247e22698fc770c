"""What every native is: a command that the daemon does itself, by system calls."""

import os
import re
from typing import ClassVar, Final, Protocol, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.running import ExecResult

# What coreutils prints as it is; everything else it puts in quotes.
_PLAIN: Final = re.compile(r"[\w%+,./:@^-]+", re.ASCII)


class Native(Protocol):
    """One form of a command line, and the system calls that do the same.

    `recognise` and `perform` stand in one class because they must agree: what is not recognised
    is left to the tool.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]]
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]]

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """Read a command line; None for every form that is left to the tool."""

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line that this does the work of."""

    def perform(self) -> ExecResult:
        """Do it, with the exit code and the messages of the tool."""


def failure(tool: str, subject: str, error: OSError, exit_code: int = 1) -> ExecResult:
    """Make the result of a system call's error as coreutils words it."""
    text = f"{tool}: {subject}: {os.strerror(error.errno or 0)}\n"
    return ExecResult(exit_code, b"", os.fsencode(text))


def quoted(name: str) -> str:
    """A file name as coreutils puts it into messages."""
    if _PLAIN.fullmatch(name):
        return name
    return "'" + name.replace("'", "'\\''") + "'"
