"""A syslog daemon that hangs, is away, or comes back: what waits, what is lost, what is said."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from privmigrate.cli import main
from privmigrate.errors import ChannelClosed
from privmigrate.shim import client
from privmigrate.shim.client_api import Client
from privmigrate.shim.report import read_reports, remove_dead
from privmigrate.shim.trail import DaemonLog
from tests.root.test_shim_oneshot import wait_until
from tests.shim.conftest import WriteConfig
from tests.shim.test_hostile import OURS
from tests.shim.test_log import DEV_LOG, OPTIONS, PROJECT, no_syslog, run, syslog
from tests.shim.test_log import OURS as ONE_SHOT
from tests.shim.test_trail import FILTERS, Records, fill

__all__ = ["no_syslog", "syslog"]

pytestmark = pytest.mark.root

QUIET = OPTIONS.replace("INFO", "ERROR")
REQUIRED = f"{QUIET}[privmigrate]\naudit = required\n"
DAEMON = [sys.executable, "-c", OURS]


@pytest.fixture(autouse=True)
def _nothing_lost_before() -> Iterator[None]:
    yield
    for path in Path(client.INDEX_DIR).glob("*.lost"):
        path.unlink()


def execute(config: Path, *words: str) -> tuple[int, str, str, float]:
    """Run a command by the one-shot client: status, output, errors, seconds."""
    begin = time.monotonic()
    done = subprocess.run(
        [*ONE_SHOT, config, *words], capture_output=True, text=True, check=False, cwd=PROJECT
    )
    return done.returncode, done.stdout, done.stderr, time.monotonic() - begin


def test_a_command_waits_for_syslog_once_and_the_trail_says_what_it_lacks(
    syslog: socket.socket, write_config: WriteConfig
) -> None:
    """Seven lines each, of which none is taken: a second of waiting, not seven."""
    odd = "".join(f"odd{number}: NoSuchFilter, x, root\n" for number in range(5))
    config = write_config(FILTERS + odd, OPTIONS)
    fill(DEV_LOG)
    for number in range(2):
        status, out, err, seconds = execute(config, "echo", str(number))
        assert (status, out) == (0, f"{number}\n")
        assert "not logged: timed out: " in err  # rootwrap's own line
        assert client.PATIENCE < seconds < 4 * client.PATIENCE
    assert client.read_lost(str(config)) == 2
    records = Records(syslog)
    while records.empty():
        pass
    assert execute(config, "echo", "again")[0] == 0
    assert records.wait_for(1) == ["again"]
    assert records.wait_for_lost() == 2
    assert client.read_lost(str(config)) == 0
    assert execute(config, "echo", "last")[0] == 0
    assert records.wait_for(2)[-1] == "last"  # and it says so once
    assert records.lost == [2]


@pytest.mark.usefixtures("no_syslog")
def test_records_without_a_syslog_daemon_are_counted(
    write_config: WriteConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(FILTERS, QUIET)
    for _ in range(3):
        assert execute(config, "echo")[:3] == (0, "\n", "")
    ours = Client([*DAEMON, str(config)])
    assert ours.execute(["echo"])[0] == 0
    ours.close()
    wait_until(lambda: client.read_lost(str(config)) == 4)
    main(["shim", "status", "--config", str(config)])
    assert "4 audit records got lost, since syslog took none" in capsys.readouterr().out


@pytest.mark.usefixtures("no_syslog")
def test_a_record_that_can_be_counted_nowhere_is_said(
    write_config: WriteConfig, trusted_dir: Path
) -> None:
    """On a full file system, or by a link in the place of the count."""
    config = write_config(FILTERS, QUIET)
    place = Path(client.lost_path(str(config)))
    place.symlink_to(trusted_dir / "elsewhere")
    status, out, err, _ = execute(config, "echo", "ran")
    assert (status, out) == (0, "ran\n")
    assert err == "x-rootwrap: an audit record is lost, and is counted nowhere\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(DEV_LOG))
        ours = Client([*DAEMON, str(config)])
        fill(DEV_LOG)
        for number in range(200):
            assert ours.execute(["echo", "x" * 30_000, str(number)])[0] == 0
        records = Records(sock)
        assert records.wait_for_lost() == 200 - len(records.found)
        ours.close()
    DEV_LOG.unlink()
    assert not (trusted_dir / "elsewhere").exists()


@pytest.mark.usefixtures("no_syslog")
def test_many_processes_count_what_each_has_lost(write_config: WriteConfig) -> None:
    config = str(write_config(FILTERS, QUIET))

    def lose() -> None:
        run(ONE_SHOT, Path(config), "echo")

    threads = [threading.Thread(target=lose) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.read_lost(config) == 20


def unrecorded(config: Path) -> int:
    """How many records are lost or wait, as its one daemon says."""
    (report,) = read_reports(str(config))
    waiting = report["unrecorded"]
    assert isinstance(waiting, int)
    return waiting + client.read_lost(str(config))


def test_a_daemon_keeps_what_has_room_and_counts_the_rest(
    syslog: socket.socket, write_config: WriteConfig
) -> None:
    config = write_config(FILTERS, QUIET)
    ours = Client([*DAEMON, str(config)])
    fill(DEV_LOG)
    for number in range(200):
        assert ours.execute(["echo", "x" * 30_000, str(number)])[0] == 0
    wait_until(lambda: unrecorded(config) == 200)
    lost = client.read_lost(str(config))
    records = Records(syslog)
    assert lost > 10
    assert records.wait_for(200 - lost) == [str(number) for number in range(200 - lost)]
    assert records.wait_for_lost() == lost
    assert ours.execute(["echo", "after"])[0] == 0
    assert records.wait_for(201 - lost)[-1] == "after"
    ours.close()


def test_without_a_record_no_command_where_it_is_required(
    syslog: socket.socket, write_config: WriteConfig, trusted_dir: Path
) -> None:
    config, mark = write_config(FILTERS, REQUIRED), trusted_dir / "mark"
    words = ("sh", "-c", f"echo ran >> {mark}")
    ours = Client([*DAEMON, str(config)])
    records = Records(syslog)
    assert ours.execute(words)[0] == 0
    assert records.wait_for(2) == [words[-1]] * 2
    assert ["status" in record for record in records.found] == [False, True]
    assert execute(config, *words)[0] == 0
    records.wait_for(4)
    assert ["status" in record for record in records.found] == [False, True] * 2
    assert mark.read_text() == "ran\n" * 2
    fill(DEV_LOG)
    begin = time.monotonic()
    found: list[tuple[int, str, str]] = []
    threads = [threading.Thread(target=lambda: found.append(ours.execute(words))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begin < 3 * client.PATIENCE  # beside each other
    assert found == [(client.EXIT_FAILED, "", client.UNRECORDED)] * 8
    status, out, err, _ = execute(config, *words)
    assert (status, out) == (client.EXIT_FAILED, "")
    assert err.splitlines()[0] == f"x-rootwrap: {client.UNRECORDED}"
    assert mark.read_text() == "ran\n" * 2
    while records.empty():
        pass
    assert ours.execute(words)[0] == 0
    assert execute(config, *words)[0] == 0
    assert mark.read_text() == "ran\n" * 4
    ours.close()


@pytest.mark.usefixtures("no_syslog")
def test_where_there_is_no_syslog_nothing_runs_that_has_to_be_recorded(
    write_config: WriteConfig,
) -> None:
    config = write_config(FILTERS, REQUIRED)
    assert execute(config, "echo", "ran")[:2] == (client.EXIT_FAILED, "")
    ours = Client([*DAEMON, str(config)])
    assert ours.execute(["echo", "ran"]) == (client.EXIT_FAILED, "", client.UNRECORDED)
    ours.close()
    config.write_text(config.read_text().replace("use_syslog=True", "use_syslog=False"))
    status, out, err, _ = execute(config, "echo", "ran")
    assert (status, out) == (client.EXIT_BAD_CONFIG, "")
    assert f"{config}:8:1: error: audit cannot be 'required' without" in err


def test_a_killed_daemons_records_are_counted(
    syslog: socket.socket, write_config: WriteConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(FILTERS, QUIET)
    ours = Client([*DAEMON, str(config)])
    pid = int(ours.execute(["sh", "-c", "echo $PPID"])[1])
    Records(syslog).wait_for(1)
    fill(DEV_LOG)
    for _ in range(3):
        assert ours.execute(["echo"])[0] == 0

    def said() -> bool:
        main(["shim", "status", "--config", str(config)])
        return "3 records wait for syslog" in capsys.readouterr().out

    wait_until(said)
    os.kill(pid, signal.SIGKILL)
    with suppress(ChannelClosed):  # it may be told before the daemon is gone
        wait_until(lambda: not Path(f"/proc/{pid}").exists())
    remove_dead()
    assert client.read_lost(str(config)) == 3


def test_a_daemons_configuration_of_syslog_counts_for_the_next_command(
    syslog: socket.socket, write_config: WriteConfig
) -> None:
    config = write_config(FILTERS, QUIET.replace("True", "False"))
    ours = Client([*DAEMON, str(config)])
    assert ours.execute(["echo", "unseen"])[0] == 0
    write_config(FILTERS, QUIET)
    assert ours.execute(["echo", "seen"])[0] == 0
    assert Records(syslog).wait_for(1) == ["seen"]
    ours.close()


@pytest.mark.usefixtures("no_syslog")
def test_half_a_line_in_a_stream_is_completed(write_config: WriteConfig) -> None:
    """Some syslog daemons listen for streams, which take what has room."""
    config = str(write_config(FILTERS, QUIET))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(DEV_LOG))
        listener.listen()
        log = DaemonLog("x", f"{17 << 3} 20", config)
        for number in range(100):
            assert log.send(client.NOTICE, f"{number} {'x' * 20_000}")
        assert log.unrecorded
        with listener.accept()[0] as stream:
            received = b""
            while received.count(b"\0") < 100:
                received += stream.recv(1 << 16)
                log.drain(0)
        assert [line.split()[1] for line in received.split(b"\0")[:-1]] == [
            str(number).encode() for number in range(100)
        ]
        assert log.unrecorded == 0
    DEV_LOG.unlink()
