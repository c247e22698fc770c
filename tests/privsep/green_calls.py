"""What the service under eventlet calls; its daemon imports this, and not eventlet."""

import os
import socket
import time
from typing import Annotated

from privmigrate.argv.spec import Matches
from privmigrate.privsep import ExecResult, Executable, command, run
from privmigrate.privsep.priv_context import PrivContext

ECHO = Executable("/bin/echo")

context = PrivContext(
    "tests.privsep",
    cfg_section="green",
    pypath="tests.privsep.green_calls.context",
    capabilities=[],
)


@context.entrypoint
def getpid() -> int:
    return os.getpid()


@context.entrypoint
def echo(value: object) -> object:
    return value


@context.entrypoint
def sleep_and_give(seconds: float, value: object) -> object:
    time.sleep(seconds)
    return value


@context.entrypoint
def fail() -> None:
    raise FileNotFoundError(2, "No such file or directory", "/nowhere")


@context.entrypoint
def module_of_socket() -> str:
    return socket.socket.__module__


@context.entrypoint
@command
def say(text: Annotated[str, Matches("[a-z]+")]) -> ExecResult:
    """Run ``echo TEXT``."""
    return run(ECHO, text)
