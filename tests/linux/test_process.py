"""Children and peers by handles that cannot come to mean another process."""

import os
import resource
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from privmigrate.linux import disposable
from privmigrate.linux.process import read_peer, read_start_time
from privmigrate.linux.spawn import Program, spawn


def shell(script: str) -> Program:
    return Program("/bin/sh", ("sh", "-c", script), {"PATH": "/usr/bin:/bin"})


def test_exit_codes_are_a_shells() -> None:
    for script, code in (("exit 0", 0), ("exit 96", 96), ("kill -TERM $$", 128 + signal.SIGTERM)):
        with spawn(shell(script)) as process:
            assert process.exit_code is None
            assert process.wait() == code
            assert process.wait() == process.poll() == process.exit_code == code


def test_a_wait_with_a_timeout_gives_none_and_leaves_the_child() -> None:
    out, inlet = os.pipe()
    with spawn(Program("/bin/cat", ("cat",), {}, stdin=out)) as process:
        assert process.wait(timeout=0.02) is None
        assert process.poll() is None
        os.close(inlet)
        assert process.wait(timeout=10) == 0
    os.close(out)


# INV-8
def test_the_group_is_killed_with_its_leader_and_never_after_it() -> None:
    out, inlet = os.pipe()
    with spawn(
        Program("/bin/sh", ("sh", "-c", "sleep 60 & echo ready; wait"), {}, stdout=inlet)
    ) as process:
        os.close(inlet)
        assert os.read(out, 10)
        process.kill_group()
        assert process.wait() == 128 + signal.SIGKILL
        # the grandchild held the pipe: end of file says that it is gone too
        assert os.read(out, 10) == b""
        process.kill_group()
        process.send(signal.SIGKILL)
    os.close(out)


def test_signals_reach_the_child() -> None:
    with spawn(shell("trap 'exit 7' USR1; kill -USR1 $$; sleep 60")) as process:
        assert process.wait() == 7
    with spawn(Program("/bin/sleep", ("sleep", "60"), {})) as process:
        process.send(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM


def test_many_threads_may_wait_for_one_child() -> None:
    with spawn(shell("exit 3")) as process:
        codes: list[int | None] = []
        threads = [threading.Thread(target=lambda: codes.append(process.wait())) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert codes == [3, 3, 3, 3]


def test_no_descriptor_is_left() -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    for _ in range(3):
        with spawn(shell("exit 0")) as process:
            process.wait()
        with pytest.raises(FileNotFoundError):
            spawn(Program("/no/such/program", ("x",), {}))
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_the_peer_of_a_socket() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        peer = read_peer(ours)
        assert (peer.pid, peer.uid, peer.gid) == (os.getpid(), os.geteuid(), os.getegid())
        assert peer.pidfd is not None
        os.close(peer.pidfd)


def test_the_start_time_tells_processes_apart() -> None:
    pid = os.getpid()
    assert read_start_time(pid) >= read_start_time(os.getppid()) > 0


def in_a_child(work: Callable[[], int]) -> int:
    """Let another process do it, which may spoil itself; give its exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(work())
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def without_descriptors() -> int:
    null = os.open("/dev/null", os.O_RDWR)
    program = Program("/bin/sh", ("sh", "-c", "sleep 0.05; exit 7"), {}, "/", -1, null, null, null)
    sleeping = program._replace(argv=("sh", "-c", "exec sleep 60"))
    silent, other = os.pipe()
    resource.setrlimit(resource.RLIMIT_NOFILE, (other + 1, other + 1))
    with suppress(OSError):
        while True:
            os.dup(null)
    with spawn(program) as process:
        if process.pidfd >= 0 or process.wait(timeout=0.001) is not None:
            return 1
        if not process.ends_before(silent) or not process.wait_unreaped():
            return 2
        if process.wait() != 7:
            return 3
    with spawn(sleeping) as process:
        os.write(other, b"x")
        if process.ends_before(silent):
            return 4
        process.send(signal.SIGTERM)
        if process.wait(timeout=10) != 128 + signal.SIGTERM:
            return 5
        process.send(signal.SIGTERM)
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return 0
    return 6


def test_a_child_is_not_lost_where_no_descriptor_is_left() -> None:
    """It runs already: to kill it half-way would be worse than to go by its pid."""
    assert in_a_child(without_descriptors) == 0


def test_no_more_threads_is_an_error_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was started, so whoever asked may be told as of every other failure."""

    def refuse(*_arguments: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(disposable, "start_new_thread", refuse)
    with pytest.raises(BlockingIOError, match="can't start new thread"):
        disposable.call_in_thread(os.getpid)
