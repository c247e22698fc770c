"""Commands that the daemon checks and executes."""

from typing import Annotated, Literal

from privmigrate.argv.spec import AbsolutePath
from privmigrate.privsep import ExecResult, Executable, command, run
from tests.privsep.service import context

CAT = Executable("cat", dirs=("/usr/bin", "/bin"))
SLEEP = Executable("sleep", dirs=("/usr/bin", "/bin"))
SH = Executable("sh", dirs=("/usr/bin", "/bin"))


@context.entrypoint
@command
def cat(path: Annotated[str, AbsolutePath()]) -> ExecResult:
    """Run ``cat PATH``."""
    return run(CAT, path)


@context.entrypoint
@command
def sleep(seconds: Literal["600"]) -> ExecResult:
    """Run ``sleep`` with a child of its own, whose pid is in the process's name."""
    return run(SH, "-c", f"sleep {seconds} & wait")


@context.entrypoint
@command
def nap(seconds: Literal["600"]) -> ExecResult:
    """Run ``sleep`` alone, which ends as soon as it is asked to."""
    return run(SLEEP, seconds)


@context.entrypoint
@command
def announce_and_sleep(path: Annotated[str, AbsolutePath()]) -> ExecResult:
    """Write the pids of a shell and its child to a file, and stay."""
    return run(SH, "-c", 'sleep 600 & echo "$$ $!" > "$0.new"; mv "$0.new" "$0"; wait', path)
