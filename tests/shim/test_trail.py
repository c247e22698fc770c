"""The audit trail of a daemon: nothing gets lost, and the order is that of the commands' ends."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from privmigrate.shim import client, manager
from privmigrate.shim.client_api import Client
from tests.shim.conftest import WriteConfig
from tests.shim.test_hostile import OURS, call, connect, daemon
from tests.shim.test_log import DEV_LOG, OPTIONS, no_syslog, syslog

__all__ = ["no_syslog", "syslog"]

pytestmark = pytest.mark.root

FILTERS = """
echo: CommandFilter, echo, root
head: CommandFilter, head, root
sh: CommandFilter, sh, root
"""
OURS_COMMAND = [sys.executable, "-c", OURS]
SECONDS = 20


class Records:
    """What syslog has got of the commands, in its order."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.found: list[dict[str, object]] = []
        self.lost: list[int] = []

    def wait_for(self, number: int) -> list[str]:
        """Wait for so many records; give the last word of each command."""
        while len(self.found) < number:
            self._receive()
        return [str(record["argv"][-1]) for record in self.found]  # type: ignore[index]

    def wait_for_lost(self) -> int:
        """Wait until the trail says how many records it lacks."""
        while not self.lost:
            self._receive()
        return self.lost[-1]

    def empty(self) -> bool:
        """Read one line, if there is one."""
        if not select.select([self._sock], [], [], 0)[0]:
            return False
        self._receive()
        return True

    def _receive(self) -> None:
        assert select.select([self._sock], [], [], SECONDS)[0], self.found
        line = self._sock.recv(1 << 18).decode().rstrip("\0")
        _, mark, text = line.partition(" privmigrate {")
        if mark:
            record = json.loads("{" + text)
            if "lost" in record:
                self.lost.append(record["lost"])
            else:
                self.found.append(record)


@pytest.fixture
def records(syslog: socket.socket) -> Records:
    return Records(syslog)


@pytest.fixture
def config(write_config: WriteConfig) -> Path:
    # those that say what starts would fill the socket of a syslog daemon that does not read
    return write_config(FILTERS, OPTIONS.replace("INFO", "ERROR"))


def fill(path: Path) -> None:
    """Let the syslog daemon hang: nothing more finds room in its queue."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full:
        full.connect(str(path))
        full.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                full.send(b"<13>rootwrap: filling")


def test_whoever_does_not_read_an_answer_holds_back_no_record(
    records: Records, config: Path
) -> None:
    with daemon(OURS, config) as (path, key), connect(path, key) as slow, connect(path, key) as one:
        for sock in (slow, one):
            call(sock, None, "accept_connection", ["me"], {})
        words = ["head", "-c", "9000000", "/dev/zero"]
        manager.send(slow, ["", "run_one_command", [words], {}])
        assert slow.recv(8, socket.MSG_WAITALL)  # it has ended, and the answer has begun
        assert call(one, "", "run_one_command", [["echo", "second"]], {})[0] == manager.RETURN
        assert records.wait_for(2) == ["/dev/zero", "second"]
        assert records.found[0]["status"] == 0
        slow.close()


def test_its_own_record_is_written_though_nobody_else_comes(records: Records, config: Path) -> None:
    with daemon(OURS, config) as (path, key), connect(path, key) as slow:
        call(slow, None, "accept_connection", ["me"], {})
        words = ["head", "-c", "9000000", "/dev/zero"]
        manager.send(slow, ["", "run_one_command", [words], {}])
        assert records.wait_for(1) == ["/dev/zero"]
        slow.close()


def test_a_daemon_that_is_told_to_end_writes_what_it_owes(records: Records, config: Path) -> None:
    """It is told while the command runs: that ends, is answered, and recorded."""
    with daemon(OURS, config) as (path, key), connect(path, key) as sock:
        call(sock, None, "accept_connection", ["me"], {})
        words = ["sh", "-c", "kill -TERM $PPID; sleep 1; exec echo", "owed"]
        assert call(sock, "", "run_one_command", [words], {}) == (manager.RETURN, [0, "\n", ""])
    assert records.wait_for(1) == ["owed"]


def test_a_daemon_that_is_killed_behind_an_answer_owes_nothing(
    syslog: socket.socket, config: Path
) -> None:
    records = Records(syslog)
    for round_ in range(10):
        ours = Client([*OURS_COMMAND, str(config)])
        pid = int(ours.execute(["sh", "-c", "echo $PPID", "first"])[1])
        assert ours.execute(["echo", str(round_)])[0] == 0
        os.kill(pid, signal.SIGKILL)
        assert records.wait_for(2 * round_ + 2)[-1] == str(round_)


def test_nobody_waits_for_a_syslog_daemon_that_hangs_and_the_order_is_kept(
    syslog: socket.socket, config: Path
) -> None:
    """Each record is of the command that was answered before, though none was taken meanwhile."""
    with daemon(OURS, config) as (path, key):
        socks = [connect(path, key) for _ in range(4)]
        for sock in socks:
            call(sock, None, "accept_connection", ["me"], {})
        fill(DEV_LOG)
        for number in range(100):
            answer = call(socks[number % 4], "", "run_one_command", [["echo", str(number)]], {})
            assert answer == (manager.RETURN, [0, f"{number}\n", ""])
        records = Records(syslog)
        assert records.wait_for(100) == [str(number) for number in range(100)]
        for sock in socks:
            sock.close()


def test_a_syslog_daemon_that_is_started_anew_gets_the_next_record(
    syslog: socket.socket, config: Path
) -> None:
    ours = Client([*OURS_COMMAND, str(config)])
    assert ours.execute(["echo", "before"])[0] == 0
    assert Records(syslog).wait_for(1) == ["before"]
    DEV_LOG.unlink()
    syslog.close()
    assert ours.execute(["echo", "nobody listens"])[1] == "nobody listens\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as again:
        again.bind(str(DEV_LOG))
        assert ours.execute(["echo", "after"])[1] == "after\n"
        records, number = Records(again), 1
        while records.wait_for(number)[-1] != "after":  # the one before may have been as late
            number += 1
    ours.close()


def test_long_words_hide_no_command(records: Records, config: Path) -> None:
    """A datagram has a limit of its own; what says who ran what with which rights is kept."""
    ours = Client([*OURS_COMMAND, str(config)])
    for words in (["x" * 100_000] * 3, [""] * 50_000, ["\U0001f600" * 20_000] * 4):
        assert ours.execute(["echo", *words])[0] == 0
    last = records.wait_for(3)
    assert all(word.endswith("more words") for word in last)
    assert [record["filter"] for record in records.found] == ["echo"] * 3
    assert "... and 2 more words" in last[0]
    ours.close()


def test_a_daemon_that_ends_waits_for_syslog(syslog: socket.socket, config: Path) -> None:
    ours = Client([*OURS_COMMAND, str(config)])
    pid = int(ours.execute(["sh", "-c", "echo $PPID"])[1])
    Records(syslog).wait_for(1)
    fill(DEV_LOG)
    assert ours.execute(["echo", "answered"])[1] == "answered\n"
    os.kill(pid, signal.SIGTERM)  # it must not end before the record is delivered
    subprocess.run(["sleep", "2.5"], check=True)  # longer than a look at what waits takes
    assert "answered" in Records(syslog).wait_for(1)[-1]


def test_the_words_of_a_record_are_those_of_the_command() -> None:
    for words in ([], ["a"], ["é", '"', "\udcff"]):
        assert json.loads(client.listed(words)) == words
    assert len(client.listed(["\U0001f600" * 9000] * 9)) <= client.LONGEST_ARGV + 100
