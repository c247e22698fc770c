"""The runtime: what services import, and what generated modules are written in.

In the service, `context` starts a daemon and calls it (`client`); in the daemon (`daemon`), the
same context says what may be called. The two halves do not import each other.

Names are loaded when they are asked for: a daemon of plain functions needs no commands.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from privmigrate.privsep.commands import command
    from privmigrate.privsep.execute import (
        ExecResult,
        Executable,
        Output,
        PrivilegeDenied,
        ProcessExecutionError,
        environment,
        run,
    )

_OF_EXECUTE: Final = frozenset(
    (
        "ExecResult",
        "Executable",
        "Output",
        "PrivilegeDenied",
        "ProcessExecutionError",
        "environment",
        "run",
    )
)

__all__ = [
    "ExecResult",
    "Executable",
    "Output",
    "PrivilegeDenied",
    "ProcessExecutionError",
    "command",
    "environment",
    "run",
]


def __getattr__(name: str) -> object:
    if name == "command":
        from privmigrate.privsep import commands

        return commands.command
    if name in _OF_EXECUTE:
        from privmigrate.privsep import execute

        return getattr(execute, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
