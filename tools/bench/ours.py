"""What the benchmark calls in our daemon, which imports this: so it imports little."""

import os
import time

from privmigrate.privsep.priv_context import PrivContext

context = PrivContext(
    "tools.bench",
    cfg_section="bench_ours",
    pypath="tools.bench.ours.context",
    capabilities=[],
)


@context.entrypoint
def noop() -> None:
    """Do nothing."""


@context.entrypoint
def echo(data: bytes) -> bytes:
    """Give back what came."""
    return data


@context.entrypoint
def getpid() -> int:
    """Tell which process the daemon is."""
    return os.getpid()


@context.entrypoint
def sleep(seconds: float) -> None:
    """Keep a worker for so long."""
    time.sleep(seconds)
