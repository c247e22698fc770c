"""What a decision allows to run, and what else a decision may say."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from privmigrate.diagnostics import Span


class Mode(Enum):
    """How filters are read."""

    EXACT = "exact"  # as oslo.rootwrap, its looseness included
    STRICT = "strict"  # as they were meant; never wider than exact


@dataclass(frozen=True, slots=True)
class Command:
    """An allowed thing to execute.

    Attributes:
        executable: the file to execute; after a policy's decision, one that exists.
        argv: the words it gets, `executable` first.
        environment: variables to set on top of the caller's environment, in this order.
        run_as: the user to run it as.
    """

    executable: str
    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    run_as: str = "root"

    def merged(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The whole environment, for a caller whose environment is `environ`."""
        return {**environ, **dict(self.environment)}


@dataclass(frozen=True, slots=True)
class Allowed:
    """`name`, defined at `span`, allows `command`."""

    command: Command
    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Near:
    """A filter for the same command, and why it does not allow the argv."""

    name: str
    span: Span
    why: str


@dataclass(frozen=True, slots=True)
class Denied:
    """Nothing allows the argv (rootwrap: exit code 99); `why` is for a log, not for the caller."""

    why: str
    nearest: tuple[Near, ...] = ()


@dataclass(frozen=True, slots=True)
class NotExecutable:
    """A filter allows the argv, but its `executable` is nowhere (rootwrap: exit code 96)."""

    executable: str
    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Failed:
    """Deciding ended in an exception: with oslo.rootwrap, a traceback. Nothing may run.

    Attributes:
        error: the class of the exception.
        why: its text.
        name: the filter that was asked.
    """

    error: str
    why: str
    name: str
    span: Span


Decision = Allowed | Denied | NotExecutable | Failed
