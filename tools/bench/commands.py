"""A daemon of ours that executes commands: what generated modules import, and one entrypoint."""

import os

from privmigrate.privsep import ExecResult, Executable, command, run
from privmigrate.privsep.priv_context import PrivContext

TRUE = Executable("/bin/true")

context = PrivContext(
    "tools.bench",
    cfg_section="bench_commands",
    pypath="tools.bench.commands.context",
    capabilities=[],
)


@context.entrypoint
@command
def noop() -> ExecResult:
    """Do nothing, with no command."""
    return ExecResult(0, b"", b"")


@context.entrypoint
@command
def true() -> ExecResult:
    """Run a command that does nothing."""
    return run(TRUE)


@context.entrypoint
def getpid() -> int:
    """Tell which process the daemon is."""
    return os.getpid()
