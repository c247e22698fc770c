"""What killed daemons leave behind goes away, and nothing else does."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.cli import main
from privmigrate.linux.process import read_start_time
from privmigrate.linux.spawn import Program, spawn
from privmigrate.shim import client
from privmigrate.shim.report import Report, read_reports, remove_dead

pytestmark = pytest.mark.root
FOLDER = Path(client.INDEX_DIR)


def gone() -> int:
    """The pid of a process that has ended."""
    with spawn(Program("/bin/true", ("true",), {})) as process:
        process.wait()
        return process.pid


@pytest.fixture
def report() -> Iterator[tuple[Path, dict[str, object]]]:
    """The report of this process, and what is in it."""
    FOLDER.mkdir(mode=0o755, exist_ok=True)
    own = Report("/etc/x.conf", "none")
    own.write()
    path = FOLDER / f"daemon.{os.getpid()}.json"
    yield path, json.loads(path.read_text())
    own.remove()
    assert not path.exists()


def test_a_report_without_its_daemon_is_removed(
    report: tuple[Path, dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    path, value = report
    pid = gone()
    left = FOLDER / f"daemon.{pid}.json"
    left.write_text(json.dumps({**value, "pid": pid}))
    assert [each["pid"] for each in read_reports("/etc/x.conf")] == [os.getpid()]
    main(["shim", "status", "--config", "/etc/x.conf"])
    capsys.readouterr()
    assert not left.exists()
    assert path.exists()


def test_a_pid_that_was_given_again_is_not_the_daemon(
    report: tuple[Path, dict[str, object]],
) -> None:
    _, value = report
    parent = os.getppid()
    left = FOLDER / f"daemon.{parent}.json"
    left.write_text(json.dumps({**value, "pid": parent, "started": read_start_time(parent) - 1}))
    assert [each["pid"] for each in read_reports("/etc/x.conf")] == [os.getpid()]
    remove_dead()
    assert not left.exists()


@pytest.mark.parametrize("what", ["namespace", "owner", "content", "name", "link", "running"])
def test_what_is_not_certainly_ours_stays(
    report: tuple[Path, dict[str, object]], what: str, tmp_path: Path
) -> None:
    _, value = report
    pid = gone()
    dead = {**value, "pid": pid}
    path = FOLDER / f"daemon.{pid}.json"
    match what:
        case "namespace":
            path.write_text(json.dumps({**dead, "pid_namespace": 1}))
        case "owner":
            path.write_text(json.dumps(dead))
            os.chown(path, 65534, 65534)
        case "content":
            path.write_text("[1")
        case "name":
            path = FOLDER / "daemon.other.json"
            path.write_text(json.dumps(dead))
        case "link":
            (tmp_path / "other").write_text(json.dumps(dead))
            path.symlink_to(tmp_path / "other")
        case _:
            parent = os.getppid()
            path = FOLDER / f"daemon.{parent}.json"
            text = {**value, "pid": parent, "started": read_start_time(parent)}
            path.write_text(json.dumps(text))
    try:
        remove_dead()
        assert path.is_symlink() or path.exists()
    finally:
        path.unlink()
