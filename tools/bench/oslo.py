"""What the benchmark calls in oslo.privsep's daemon: the functions of `tools.bench.ours`."""

import os
import subprocess
import time

from oslo_privsep import priv_context

context = priv_context.PrivContext(
    "tools.bench",
    cfg_section="bench_oslo",
    pypath="tools.bench.oslo.context",
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


@context.entrypoint
def true() -> tuple[int, bytes, bytes]:
    """Run a command that does nothing."""
    done = subprocess.run(["/bin/true"], capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr
