"""A real daemon is killed at each system call of a request: strace sends SIGKILL on its entry.

Whatever the moment, the caller gets its answer or one clear error, nothing is executed twice, an
error that says that the call did not run is never met by the caller (a new daemon was asked), and
the next call works.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from privmigrate.errors import ChannelClosed
from privmigrate.privsep.priv_context import Method
from tests.privsep.conftest import is_running, wait_until
from tests.root import faulty

pytestmark = [pytest.mark.root, pytest.mark.timeout(100)]

CALLS: Final = ("recvfrom", "openat", "write", "close", "sendto", "epoll_ctl", "epoll_wait")
LARGE: Final = b"x" * 300_000


@contextmanager
def killed_at(pid: int, call: str, number: int) -> Iterator[None]:
    """Have a process killed when one of its threads enters this system call for the nth time."""
    inject = f"inject={call}:signal=SIGKILL:when={number}"
    words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
    strace = subprocess.Popen([*words, "-p", str(pid)])
    try:
        # to be attached to interrupts epoll_wait: the first kills happen here
        wait_until(lambda: not is_running(pid) or is_traced(pid))
        yield
    finally:
        strace.kill()
        strace.wait()


def is_traced(pid: int) -> bool:
    with suppress(OSError):
        statuses = [task / "status" for task in Path(f"/proc/{pid}/task").iterdir()]
        return all("TracerPid:\t0\n" not in status.read_text() for status in statuses)
    return False


def call_and_see(pid: int, path: Path, value: object) -> str:
    """Make a call that leaves the executing pid, in a daemon that may die; how it ended."""
    try:
        given = faulty.note(str(path), value)
    except ChannelClosed as closed:
        assert closed.may_have_run  # noqa: PT017 - it may also not be raised
        assert path.read_text() in {"", f"{pid}\n"}
        return "interrupted"
    assert given == value
    (executed,) = path.read_text().splitlines()
    return "answered" if int(executed) == pid else "repeated"


def try_each_moment(folder: Path, value: object, call: str) -> Iterator[str]:
    """Kill at the first, second, ... of these system calls, until it is too late."""
    for number in range(1, 30):
        faulty.context.start(Method.FORK)
        faulty.note(str(folder / "warm"), value)
        pid = faulty.getpid()
        path = folder / f"{call}-{number}"
        path.touch()
        with killed_at(pid, call, number):
            end = call_and_see(pid, path, value)
        yield end
        assert faulty.echo(number) == number
        faulty.context.stop()
        if end == "answered":
            return
    pytest.fail(f"more of {call} than expected: the last ones were not tried")


@pytest.mark.parametrize("value", ["small", LARGE], ids=["small", "large"])
def test_a_kill_at_any_moment(tmp_path: Path, value: object) -> None:
    ends = {call: list(try_each_moment(tmp_path, value, call)) for call in CALLS}
    # the kills hit what they should: before the request was read, in the call, in the answer
    assert "repeated" in ends["recvfrom"], ends
    assert ends["write"] == ["interrupted", "answered"], ends
    assert "interrupted" in ends["sendto"], ends
