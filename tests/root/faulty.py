"""A context whose entrypoints do what breaks daemons."""

import logging
import os
import signal
import sys
from pathlib import Path

from privmigrate.privsep import ExecResult, Executable, command, run
from privmigrate.privsep.priv_context import PrivContext
from privmigrate.privsep.types import Digits

SH = Executable("/bin/sh")

context = PrivContext(
    "tests.root",
    cfg_section="faulty",
    pypath="tests.root.faulty.context",
    capabilities=[],
)


@context.entrypoint
def getpid() -> int:
    return os.getpid()


@context.entrypoint
def echo(value: object) -> object:
    return value


@context.entrypoint
def note(path: str, value: object) -> object:
    """Leave a line for every execution."""
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    return value


@context.entrypoint
def fork_and_end(code: int) -> int:
    """As neutron makes network namespaces: in a child that ends by itself."""
    pid = os.fork()
    if not pid:
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@context.entrypoint
def fork_and_return(how: str) -> tuple[str, int]:
    """A child that comes back from the entrypoint as well."""
    pid = os.fork()
    if not pid:
        logging.getLogger("tests.root").warning("said by the child")
        if how == "raise":
            raise RuntimeError("the child")
        if how == "exit":
            sys.exit(0)
        return "the child", 0
    return "the daemon", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@context.entrypoint
def fork_and_terminate(number: int) -> int:
    """As pyroute2 ends its children: by a signal that they have not heard of."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(theirs, b"ready")
        while True:
            signal.pause()
    os.read(ours, 5)
    os.close(ours)
    os.close(theirs)
    os.kill(pid, number)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@context.entrypoint
def leave_child() -> int:
    """Start something that outlives the call, and the daemon."""
    pid = os.fork()
    if not pid:
        while True:
            signal.pause()
    return pid


@context.entrypoint
@command
def nap(seconds: Digits) -> ExecResult:
    """Run ``sh``, which starts ``sleep SECONDS`` and waits for it."""
    return run(SH, "-c", f"sleep {seconds} & wait")
