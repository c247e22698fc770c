"""What the soak calls: every execution leaves a mark in a file that all daemons share."""

import logging
import mmap
import os
from functools import cache
from pathlib import Path

from privmigrate.privsep import ExecResult, Executable, command, run
from privmigrate.privsep.priv_context import PrivContext
from privmigrate.privsep.types import Digits

LOG = logging.getLogger("soaked")
SLEEP = Executable("/bin/sleep")

context = PrivContext(
    "tools.bench",
    cfg_section="soak",
    pypath="tools.bench.soaked.context",
    capabilities=[],
    logger_name="soak.daemon",
)


@cache
def _marks(path: str) -> mmap.mmap:
    with Path(path).open("r+b") as file:
        return mmap.mmap(file.fileno(), 0)


def _mark(path: str, number: int) -> None:
    marks = _marks(path)
    marks[number] += 1


@context.entrypoint
def echo(path: str, number: int, value: object) -> tuple[int, int, object]:
    """Give the number back, and who answered."""
    _mark(path, number)
    return number, os.getpid(), value


@context.entrypoint
def fail(path: str, number: int) -> None:
    """Raise what the caller knows again."""
    _mark(path, number)
    raise ValueError(number)


@context.entrypoint
def log(path: str, number: int) -> tuple[int, int, object]:
    """Say something on the way."""
    _mark(path, number)
    LOG.warning("number %d", number)
    return number, os.getpid(), None


@context.entrypoint_with_timeout(0.2)
@command
def sleep(seconds: Digits) -> ExecResult:
    """A command that takes longer than its caller waits."""
    return run(SLEEP, seconds)
