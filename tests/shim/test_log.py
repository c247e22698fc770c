"""What is logged: rootwrap's own lines, and one record of every command."""

import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.shim import client
from privmigrate.shim.client_api import Client
from tests.shim.conftest import WriteConfig

PROJECT = Path(__file__).resolve().parent.parent.parent
DEV_LOG = Path("/dev/log")
OPTIONS = "use_syslog=True\nsyslog_log_level=INFO\nsyslog_log_facility=local1\n"
FILTERS = "echo: CommandFilter, echo, root\nodd: NoSuchFilter, x, root\n[capabilities]"
OSLO = [sys.executable, "-c", "import sys; sys.argv[0] = 'x-rootwrap'; from oslo_rootwrap.cmd import main; main()"]  # fmt: skip # noqa: E501
OURS = [sys.executable, "-c", "import sys; sys.argv[0] = 'x-rootwrap'; from privmigrate.shim.rootwrap_main import main; sys.exit(main())"]  # fmt: skip # noqa: E501
DAEMON = [sys.executable, "-c", "import sys; sys.argv[0] = 'x-rootwrap-daemon'; from privmigrate.shim.rootwrap_daemon_main import main; sys.exit(main())"]  # fmt: skip # noqa: E501

pytestmark = pytest.mark.root


@pytest.fixture
def no_syslog() -> Iterator[None]:
    """No syslog daemon, and nobody else who plays one."""
    with Path("/run/lock/privmigrate-dev-log").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if DEV_LOG.exists():
            pytest.skip("a syslog daemon runs here")
        yield


@pytest.fixture
def syslog(no_syslog: None) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(DEV_LOG))
        sock.settimeout(5)
        sock.setblocking(False)
        yield sock
    DEV_LOG.unlink()


def lines(sock: socket.socket) -> list[str]:
    found: list[str] = []
    while True:
        try:
            line = sock.recv(1 << 16).decode()
        except BlockingIOError:
            return found
        if "rootwrap" in line:  # others on this machine may have something to say too
            found.append(line)


def run(wrapper: list[str], config: Path, *words: str) -> None:
    environ = {**os.environ, "USER": "somebody"}
    subprocess.run(
        [*wrapper, config, *words], capture_output=True, check=False, env=environ, cwd=PROJECT
    )


@pytest.mark.parametrize("words", [["echo", "a b"], ["other", "x"], ["privsep-helper"]])
def test_rootwraps_lines(
    syslog: socket.socket, write_config: WriteConfig, words: list[str]
) -> None:
    config = write_config(FILTERS.partition("[")[0], OPTIONS)
    run(OSLO, config, *words)
    theirs = lines(syslog)
    run(OURS, config, *words)
    ours = lines(syslog)
    extra = ("privmigrate {", "run with everything")
    assert [line for line in ours if not any(word in line for word in extra)] == theirs
    assert theirs


def test_filters_without_limits_are_named_whenever_something_changed(
    syslog: socket.socket, write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    filters = FILTERS.partition("[")[0]
    limited = "[capabilities]\necho = none\n"
    for section, expected in (
        ("", "2 of 2 filters run with everything: echo privsep-helper"),
        ("[privmigrate]\ncapabilities = all\n", "2 of 2 filters run with everything"),
        (limited, "1 of 2 filters run with everything: privsep-helper"),
        (f"{limited}privsep-helper = none\n", ""),
    ):
        config = write_config(filters, OPTIONS + section)
        index = Path(client.index_path(str(config)))
        made = index.stat().st_ino if index.exists() else 0
        while not index.exists() or index.stat().st_ino == made:  # until its files have settled
            run(OURS, config, "echo")
        found = [line for line in lines(syslog) if "everything" in line]
        assert len(found) == bool(expected)
        assert all(line.startswith(f"<{17 << 3 | 4}>x-rootwrap: {expected}") for line in found)
    daemon = Client([*DAEMON, str(write_config(filters, OPTIONS))])
    assert daemon.execute(["echo", "a"])[0] == 0
    daemon.close()
    assert "2 of 2 filters run with everything" in "".join(lines(syslog))


def test_the_record_of_a_command(syslog: socket.socket, write_config: WriteConfig) -> None:
    config = write_config(FILTERS.partition("[")[0], OPTIONS)
    run(OURS, config, "echo", "--password", "hidden", "é")
    (line,) = [line for line in lines(syslog) if "privmigrate {" in line]
    head, _, text = line.partition(" privmigrate ")
    assert head == f"<{17 << 3 | 5}>x-rootwrap:"
    record = json.loads(text.rstrip("\0"))
    assert record.pop("seconds") >= 0
    assert record == {
        "by": record["by"],
        "uid": 0,
        "run_as": "root",
        "filter": "echo",
        "argv": ["/bin/echo", "--password", "***", "é"],
        "capabilities": "all",
        "status": 0,
    }


def test_the_daemon_logs_the_same(
    syslog: socket.socket, write_config: WriteConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(FILTERS.partition("[")[0], OPTIONS)
    monkeypatch.chdir(PROJECT)
    daemon = Client([*DAEMON, str(config)])
    daemon.execute(["echo", "a"])
    daemon.execute(["other"])
    daemon.close()
    text = "".join(lines(syslog))
    assert "Executing ['/bin/echo', 'a'] (filter match = echo)" in text
    assert '"filter": "echo"' in text
    assert "Unauthorized command: other (no filter matched)" in text


@pytest.mark.parametrize("wrapper", [OURS, DAEMON], ids=["wrapper", "daemon"])
def test_a_caller_writes_no_lines_of_its_own(
    syslog: socket.socket,
    write_config: WriteConfig,
    monkeypatch: pytest.MonkeyPatch,
    wrapper: list[str],
) -> None:
    """oslo.rootwrap sends the words as they are; some syslog daemons make lines of that."""
    config = write_config(FILTERS.partition("[")[0], OPTIONS)
    monkeypatch.chdir(PROJECT)
    words = ["no\nNov 29 10:00:00 host sudo: root : TTY=pts/0", "\x1b[2J", "\u2028", "é", "\udcff"]
    if wrapper is OURS:
        run(OURS, config, *words)
    else:
        daemon = Client([*DAEMON, str(config)])
        daemon.execute(words)
        daemon.close()
    (line,) = [line for line in lines(syslog) if "Unauthorized" in line]
    assert line.rstrip("\0").isprintable()
    assert "no\\nNov 29" in line
    assert "é" in line


def test_audit_can_be_turned_off(syslog: socket.socket, write_config: WriteConfig) -> None:
    config = write_config(FILTERS.partition("[")[0], f"{OPTIONS}[privmigrate]\naudit = no")
    run(OURS, config, "echo")
    assert [line for line in lines(syslog) if "privmigrate {" in line] == []
