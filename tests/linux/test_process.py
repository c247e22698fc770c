"""Children and peers by handles that cannot come to mean another process."""

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

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
