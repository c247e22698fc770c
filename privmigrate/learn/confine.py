"""Runs a command once: as root without limits, or confined to exactly one set as one user.

The work is done by a process of its own (`trial`); here it is started, watched, timed, and cleared
away with everything that it left behind.
"""

import fcntl
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from privmigrate.errors import InternalError, PrivmigrateError
from privmigrate.learn.trial import Answer, Request
from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.linux.process import Process
from privmigrate.linux.spawn import Program, spawn
from privmigrate.observe.candidate import Observed
from privmigrate.observe.watch import Watch

MAX_OUTPUT: Final = 32 << 20
_STEP_SECONDS: Final = 0.2
_END_SECONDS: Final = 5.0
_PACKAGES: Final = str(Path(__file__).resolve().parents[2])
_SHELL: Final = "/bin/sh"
_ZOMBIE: Final = b"Z"


class CannotConfine(PrivmigrateError):  # noqa: N818 - names the outcome
    """This process cannot run anything under the asked set."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """Who a command is to be: `capabilities` and no others, as `uid` and `gid`."""

    capabilities: CapabilitySet
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `argv` begins with the path of the executable."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    stdin: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """How one run went.

    Attributes:
        code: the exit code, or None where the command did not start; `why` says why not.
        timed_out: it was killed because it took too long, or wrote too much.
        observed: what the kernel was asked for; None where nothing was watched.
    """

    code: int | None
    stdout: bytes
    stderr: bytes
    why: str = ""
    timed_out: bool = False
    observed: Observed | None = None


@contextmanager
def running(
    command: Command,
    confinement: Confinement | None,
    watch: Watch | None,
    timeout: float,
) -> Iterator[Run]:
    """Run a command to its end; inside, what it left behind still runs, afterwards it does not."""
    with ExitStack() as stack:
        out = _memory(stack, "stdout")
        err = _memory(stack, "stderr")
        inlet = os.open(command.stdin or os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, inlet)
        token = f"privmigrate-{os.urandom(8).hex()}"
        request = Request(
            argv=list(command.argv),
            environment=dict(command.environment),
            mask=None if confinement is None else confinement.capabilities.mask,
            uid=0 if confinement is None else confinement.uid,
            gid=0 if confinement is None else confinement.gid,
            stdin=inlet,
            stdout=out,
            stderr=err,
            marker=-1 if watch is None else watch.marker,
            token=token,
        )
        trial = stack.enter_context(_started(request))
        trial.send(request.encode())
        ready = trial.read(time.monotonic() + _END_SECONDS + timeout, ())
        if ready is None:
            raise InternalError(f"the trial did not start: {trial.complaint()}")
        if "not_confined" in ready:
            raise CannotConfine(ready["not_confined"])
        watched = None if watch is None else watch.begin(token)
        trial.send(b"go\n")
        answer = trial.read(time.monotonic() + timeout, (out, err))
        killed = answer is None
        if answer is None:
            trial.kill_descendants()
            answer = trial.read(time.monotonic() + _END_SECONDS, ())
        if answer is None:
            raise InternalError(f"the trial ended without an answer: {trial.complaint()}")
        observed = None if watch is None or watched is None else watch.end(watched)
        yield Run(
            code=answer.get("code"),
            stdout=_content(out),
            stderr=_content(err),
            why=answer.get("not_started", ""),
            timed_out=killed,
            observed=observed,
        )


def run_shell(
    text: str, environment: Mapping[str, str], timeout: float
) -> tuple[int, bytes] | None:
    """Run a shell command as we are; its exit code and what it wrote, or None if it takes longer.

    What it leaves in the background goes on: to start a daemon may be what it is for.
    """
    words = (_SHELL, "-c", text)
    with ExitStack() as stack:
        out = _memory(stack, "shell")
        program = Program(_SHELL, words, environment, stdout=out, stderr=out)
        process = stack.enter_context(spawn(program))
        code = process.wait(timeout)
        if code is None:
            process.kill_group()
            process.wait()
            return None
        return code, _content(out)


class _Trial:
    """Our end of the process that runs a command."""

    def __init__(self, process: Process, outlet: int, inlet: int, err: int) -> None:
        self._process: Final = process
        self._outlet: Final = outlet
        self._inlet: Final = inlet
        self._err: Final = err
        self._rest = b""

    def send(self, data: bytes) -> None:
        with suppress(BrokenPipeError):  # then there is no answer, and that is said
            os.write(self._outlet, data)

    def read(self, deadline: float, outputs: tuple[int, ...]) -> Answer | None:
        """The next answer; None if it ends, takes too long, or one of `outputs` grows too large."""
        poller = select.poll()
        poller.register(self._inlet, select.POLLIN)
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or any(os.fstat(fd).st_size > MAX_OUTPUT for fd in outputs):
                return None
            if not poller.poll(min(left, _STEP_SECONDS) * 1000):
                continue
            data = os.read(self._inlet, 4096)
            if not data:
                return None
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return cast("Answer", json.loads(line))

    def complaint(self) -> str:
        """The last line that the trial itself wrote to its standard error."""
        lines = _content(self._err).decode(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"

    def kill_descendants(self) -> None:
        """Kill everything below the trial, which itself goes on."""
        deadline = time.monotonic() + _END_SECONDS
        while time.monotonic() < deadline:
            found = find_descendants(self._process.pid)
            if not found:
                return
            for pid in found:
                _kill(pid)
            # killed, but perhaps not gone yet
            self._process.wait(0.005)

    def end(self) -> None:
        """Clear everything away."""
        self.kill_descendants()
        os.close(self._outlet)
        if self._process.wait(_END_SECONDS) is None:
            self._process.send(signal.SIGKILL)
            self._process.wait()
        self._process.close()


@contextmanager
def _started(request: Request) -> Iterator[_Trial]:
    with ExitStack() as stack:
        err = _memory(stack, "trial")
        theirs_in, outlet = os.pipe2(os.O_CLOEXEC)
        inlet, theirs_out = os.pipe2(os.O_CLOEXEC)
        stack.callback(os.close, inlet)
        passed = (request.stdin, request.stdout, request.stderr, request.marker)
        try:
            process = spawn(
                Program(
                    sys.executable,
                    (sys.executable, "-P", "-s", "-m", "privmigrate.learn.trial"),
                    {**os.environ, "PYTHONPATH": _PACKAGES},
                    stdin=theirs_in,
                    stdout=theirs_out,
                    stderr=err,
                    pass_fds=tuple(fd for fd in passed if fd >= 0),
                )
            )
        except BaseException:
            os.close(outlet)
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        trial = _Trial(process, outlet, inlet, err)
        stack.callback(trial.end)
        yield trial


def _memory(stack: ExitStack, name: str) -> int:
    """A file in memory: unlike a pipe, nobody waits for its end that a daemon never brings."""
    fd = os.memfd_create(f"privmigrate {name}")
    # as a pipe or a terminal, nothing that was written is written over
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
    stack.callback(os.close, fd)
    return fd


def _content(fd: int) -> bytes:
    return os.pread(fd, MAX_OUTPUT, 0)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)


def find_descendants(ancestor: int) -> list[int]:
    """Every living process below one, the youngest generation last."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        name = folder.name
        if not name.isdigit():
            continue
        try:
            stat = (folder / "stat").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # the name in parentheses may hold anything
        state, parent, *_ = stat.rpartition(b")")[2].split()
        parents.setdefault(int(parent), []).append(-int(name) if state == _ZOMBIE else int(name))
    found: list[int] = []
    generation = [ancestor]
    while generation:
        generation = [pid for parent in generation for pid in parents.get(parent, ()) if pid > 0]
        found += generation
    return found
