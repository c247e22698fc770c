"""Runs as root: one run of a command under one set, in a process of its own.

``python -m privmigrate.learn.trial`` reads one line of JSON from standard input, becomes what a
daemon with exactly this set would be (or stays as it is, for the run that others are compared
with), shows itself in the trace, waits for the next line, starts the command, and answers with one
line of JSON. It keeps whatever the command leaves behind as its children until standard input
ends, so that nothing gets away.
"""

import json
import os
import select
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TypedDict

from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.linux.process import Process
from privmigrate.linux.spawn import Program, spawn
from privmigrate.linux.thread import become_subreaper
from privmigrate.privsep.daemon.drop import drop
from privmigrate.privsep.daemon.profile import CannotDropError, Profile


@dataclass(frozen=True, slots=True)
class Request:
    """What to run. `mask` is the set, or None for everything that root has, without confinement.

    `stdin`, `stdout`, `stderr` and `marker` are descriptors; `marker` is -1 where nothing is
    traced. `token` is what to write there.
    """

    argv: list[str]
    environment: dict[str, str]
    mask: int | None
    uid: int
    gid: int
    stdin: int
    stdout: int
    stderr: int
    marker: int
    token: str

    def encode(self) -> bytes:
        """One line."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Answer(TypedDict, total=False):
    """Exactly one of: how the command ended, why it did not start, why nothing could."""

    code: int
    not_started: str
    not_confined: str


def _confine(request: Request) -> None:
    if request.mask is not None:
        drop(Profile(CapabilitySet(request.mask), request.uid, request.gid, name="learn"))


def _ends(process: Process) -> bool:
    """Wait for the command; False if standard input ended first."""
    return process.ends_before(0, select.POLLHUP)


def _run(request: Request) -> Answer:
    program = Program(
        request.argv[0],
        request.argv,
        request.environment,
        stdin=request.stdin,
        stdout=request.stdout,
        stderr=request.stderr,
    )
    try:
        with spawn(program) as process:
            if not _ends(process):
                # whoever asked is gone: nobody will end what was started
                with suppress(PermissionError):
                    process.kill_group()
            code = process.wait()
    except (OSError, ValueError) as error:
        return {"not_started": str(getattr(error, "strerror", None) or error)}
    return {"code": -1 if code is None else code}


def _reap() -> None:
    """Reap what was killed meanwhile: not every container has an init that would."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _say(answer: Answer) -> None:
    with suppress(BrokenPipeError):  # nobody wants to know any more
        os.write(1, json.dumps(answer).encode() + b"\n")


def main() -> int:
    """Do it once."""
    inlet = sys.stdin.buffer
    request = Request(**json.loads(inlet.readline()))
    become_subreaper()
    try:
        _confine(request)
    except CannotDropError as error:
        _say({"not_confined": str(error)})
        return 1
    if request.marker >= 0:
        os.write(request.marker, request.token.encode())
        # an open marker says that its instance is in use
        os.close(request.marker)
    _say({})
    if inlet.readline():
        _say(_run(request))
        inlet.read()
        _reap()
    return 0


if __name__ == "__main__":
    sys.exit(main())
