"""A command at a terminal: job control, size, loss; as under oslo-rootwrap, with sudo too."""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.root.test_shim_oneshot import Shim
from tests.shim.conftest import WriteConfig, trusted_dir, write_config
from tests.shim.test_log import OSLO

__all__ = ["trusted_dir", "write_config"]

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]

FILTERS = "python3: CommandFilter, /usr/bin/python3, root\n"
SECONDS = 10
# What a shell does with a job: a group of its own in the foreground; says what becomes of it.
LEADER = """
import json, os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
events, *words = sys.argv[1:]
events = os.open(events, os.O_WRONLY | os.O_APPEND)
job = os.fork()
if not job:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execvp(words[0], words)
def say(what):
    os.write(events, (what + "\\n").encode())
while True:
    _, status = os.waitpid(job, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        break
    os.tcsetpgrp(0, os.getpgrp())
    say("stopped")
    os.tcsetpgrp(0, job)
    os.killpg(job, signal.SIGCONT)
say(f"ended {os.waitstatus_to_exitcode(status)}")
"""
PROBE = """
import os, signal, sys
events = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
def say(what):
    os.write(events, (what + "\\n").encode())
def size(*_):
    say("size {0.columns}x{0.lines}".format(os.get_terminal_size(0)))
signal.signal(signal.SIGWINCH, size)
signal.signal(signal.SIGCONT, lambda *_: say("continued"))
if len(sys.argv) > 2:
    def hangup(*_):
        say("hangup")
        os._exit(3)
    signal.signal(signal.SIGHUP, hangup)
say(f"up {os.isatty(0)} {os.isatty(1)} {os.tcgetpgrp(0) == os.getpgrp()}")
try:
    for line in iter(sys.stdin.readline, ""):
        say("read " + line.strip())
except OSError:
    pass  # the terminal has gone
if len(sys.argv) > 2:
    signal.pause()  # the end of the input may come before the signal
"""


@dataclass
class Job:
    """A command in the foreground of a terminal."""

    master: int
    leader: int
    events: Path

    def seen(self) -> list[str]:
        return self.events.read_text().splitlines()

    def wait_for(self, event: str) -> None:
        """Wait for an event, and take what the terminal shows meanwhile."""
        deadline = time.monotonic() + SECONDS
        while not any(line.startswith(event) for line in self.seen()):
            assert time.monotonic() < deadline, (event, self.seen())
            self.show(0.02)

    def show(self, seconds: float) -> None:
        if select.select([self.master], [], [], seconds)[0]:
            try:
                os.read(self.master, 4096)
            except OSError:  # the other side has gone
                select.select([], [], [], seconds)

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def end(self) -> list[str]:
        os.close(self.master)
        os.waitpid(self.leader, 0)
        return self.seen()


def start(folder: Path, words: list[str], *options: str) -> Job:
    events = folder / "events"
    events.write_text("")
    for name, source in (("leader", LEADER), ("probe", PROBE)):
        (folder / name).write_text(source)
    command = ["python3", str(folder / "probe"), str(events), *options]
    leader, master = pty.fork()
    if not leader:
        os.execv(
            sys.executable,
            [sys.executable, str(folder / "leader"), str(events), *words, *command],
        )
    resize(master, 80, 24)
    job = Job(master, leader, events)
    job.wait_for("up")
    return job


def resize(master: int, columns: int, lines: int) -> None:
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def stop_and_go_on(job: Job) -> None:
    job.type(b"\x1a")
    job.wait_for("stopped")
    job.wait_for("continued")
    job.type(b"on\n")
    job.wait_for("read on")
    job.type(b"\x04")
    job.wait_for("ended")


def resized(job: Job) -> None:
    resize(job.master, 100, 50)
    job.wait_for("size 100x50")
    job.type(b"\x04")
    job.wait_for("ended")


def interrupted(job: Job) -> None:
    job.type(b"\x03")
    job.wait_for("ended")


def quit_(job: Job) -> None:
    job.type(b"\x1c")
    job.wait_for("ended")


def lost(job: Job) -> None:
    os.kill(job.leader, signal.SIGKILL)  # as a terminal's window that is closed ends its shell
    os.close(job.master)
    os.waitpid(job.leader, 0)
    deadline = time.monotonic() + SECONDS
    while "hangup" not in job.seen():
        assert time.monotonic() < deadline, job.seen()
        os.sched_yield()


@pytest.mark.parametrize("through", ["bare", "sudo"])
@pytest.mark.parametrize("execution", ["child", "exec", "daemon"])
@pytest.mark.parametrize("act", [stop_and_go_on, resized, interrupted, quit_, lost])
def test_it_is_as_under_oslo_rootwrap(
    trusted_dir: Path, write_config: WriteConfig, act: object, execution: str, through: str
) -> None:
    """A daemon declines: the client runs it."""
    assert callable(act)
    shim = Shim(trusted_dir, write_config(FILTERS, f"[privmigrate]\nexecution = {execution}\n"))
    found = []
    prefix = ["sudo", "-n"] if through == "sudo" else []
    for wrapper in (OSLO, [str(shim.client)]):
        options = ("hangup",) if act is lost else ()
        job = start(trusted_dir, [*prefix, *wrapper, str(shim.config)], *options)
        act(job)
        found.append(job.seen() if act is lost else job.end())
    shim.down()
    theirs, ours = found
    assert ours == theirs, json.dumps(found)
