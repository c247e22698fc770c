"""``privmigrate caps``: what it prints, and what it says when it cannot."""

import json
import os
import signal
from pathlib import Path

import pytest

from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.linux.thread import SecureBits
from privmigrate.privsep.daemon.drop import drop
from privmigrate.privsep.daemon.profile import Profile
from privmigrate.privsep.daemon.record import Record, parse_record, read_record, write_record
from tests.cli.conftest import Run, Subcommand


@pytest.fixture
def run(subcommand: Subcommand) -> Run:
    return subcommand("caps")


def test_our_own_process_is_shown_with_its_securebits(run: Run) -> None:
    code, out, err = run("show", str(os.getpid()))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith(f"{os.getpid()} ")
    assert "  securebits    none" in lines
    assert "  at exec:" in lines
    for name in ("effective", "permitted", "inheritable", "ambient", "bounding"):
        assert sum(line.startswith(f"  {name} ") for line in lines) == 1


def test_of_another_process_nothing_is_guessed(run: Run) -> None:
    _, out, _ = run("show", str(os.getppid()))
    said = "  as good as root: uid 0, which owns root's files whatever it holds\n"
    assert (said in out) is (os.getuid() == 0)
    assert "securebits    only the process itself can read them" in out
    assert "at exec, if its securebits are none:" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "abc"), "'abc' is no process id"),
        (("show", "0"), "'0' is no process id"),
        (("show", "99999999999"), "'99999999999' is no process id"),
        (("show", "²"), "'²' is no process id"),
        (("show", "2147483647"), "there is no process 2147483647"),
        (("show", "--service", "no-such"), "no process belongs to 'no-such'"),
    ],
)
def test_a_wrong_process_is_one_clear_message(
    run: Run, words: tuple[str, ...], message: str
) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"privmigrate: {message}")
    assert err.count("\n") == 1


def test_json_is_for_machines(run: Run) -> None:
    code, out, _ = run("show", "--json", str(os.getpid()))
    (shown,) = json.loads(out)
    assert code == 0
    assert shown["pid"] == os.getpid()
    assert shown["securebits"] == []
    assert shown["threads"][0]["tid"] == os.getpid()
    assert shown["at_exec"]["assumes_no_securebits"] is False


@pytest.mark.root
def test_a_daemon_is_found_by_its_context_and_shown_with_its_record(run: Run) -> None:
    kept = CapabilitySet.parse("CAP_NET_ADMIN")
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            drop(Profile(kept, uid=2000, gid=2000, name="privileged.caps_test"))
            os.write(tell, b"x")
            signal.pause()
        finally:
            os._exit(1)
    os.close(tell)
    try:
        assert os.read(ready, 1) == b"x"
        for name in ("privileged.caps_test", "privileged"):
            code, out, _ = run("show", "--service", name)
            assert code == 0
            assert "  context       privileged.caps_test\n" in out
            assert "  securebits    NOROOT NOROOT_LOCKED (recorded at its start)\n" in out
            assert "    a command                          CAP_NET_ADMIN\n" in out
            assert "  no_new_privs  yes\n" in out
            assert "  dumpable      no\n" in out
            assert "as good as root" not in out
        assert run("show", "--service", "privileged.caps")[0] == 2
        assert f"{pid} " in run("show")[1]
        (shown,) = json.loads(run("show", "--json", str(pid))[1])
        assert shown["context"] == "privileged.caps_test"
        assert shown["securebits"] == ["NOROOT", "NOROOT_LOCKED"]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)


def test_a_record_is_sealed_and_read_back() -> None:
    fd = write_record(Record("a b\n", SecureBits.NOROOT))
    try:
        assert read_record(os.getpid()) == Record("a b\n", SecureBits.NOROOT)
        with pytest.raises(PermissionError):
            os.pwrite(fd, b"9", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 0)
    finally:
        os.close(fd)
    assert read_record(os.getpid()) is None
    assert read_record(2**31 - 1) is None


@pytest.mark.parametrize("data", [b"", b" x", b"-1 x", b"x", b"1.5 x", b"\xff", "² x".encode()])
def test_what_is_no_record(data: bytes) -> None:
    assert parse_record(data) is None


def test_names_that_processes_choose_do_not_reach_the_terminal_as_they_are(run: Run) -> None:
    fd = write_record(Record("\x1b[2Jevil\n", SecureBits(0)))
    try:
        _, out, _ = run("show", str(os.getpid()))
    finally:
        os.close(fd)
    assert "\x1b" not in out
    assert "  context       \\x1b[2Jevil\\n\n" in out


def test_explain_says_what_and_why(run: Run) -> None:
    code, out, _ = run("explain", "chown", "-R", "42:42", "/srv")
    assert "  as good as root: CAP_CHOWN, for whoever chooses what the command does\n" in out
    assert code == 0
    assert out.startswith("chown -R 42:42 /srv: CAP_CHOWN CAP_DAC_READ_SEARCH\n")
    assert "  CAP_CHOWN              give any file to any owner\n" in out
    assert "evidence, all observed:\n" in out
    assert "  verified: chown -R tree (chown -R 3000:3000 /w/d)\n" in out


def test_explain_marks_what_is_only_read_somewhere(run: Run) -> None:
    _, out, _ = run("explain", "lvs", "--noheadings")
    assert "evidence, not all observed:\n" in out
    assert "  documented: report, with device-mapper\n" in out
    assert "derived from vgs" in out


def test_explain_of_what_is_not_known(run: Run) -> None:
    code, out, err = run("explain", "vgc-cluster", "x")
    assert (code, err) == (1, "")
    assert (
        out == "vgc-cluster: nothing is known; observe it (privmigrate learn), or read its manual\n"
    )
    code, out, _ = run("explain", "--json", "vgc-cluster")
    assert (code, json.loads(out)) == (1, {"command": ["vgc-cluster"], "known": False})


def test_explain_as_json(run: Run) -> None:
    code, out, _ = run("explain", "--json", "mkfs.ext3", "/dev/x")
    found = json.loads(out)
    assert code == 0
    assert found["capabilities"] == ["CAP_DAC_OVERRIDE"]
    assert found["derived_from"] == ["mkfs.ext4"]
    assert {row["program"] for row in found["evidence"]} == {"mkfs.ext4"}


LEARNED = """\
[[learned]]
argv = ["vgc-cluster", "list"]
words = ["list"]
root_status = "verified"
root = ["CAP_SYS_RAWIO"]
service_status = "cannot work"
service = []
kernel = "6.18"
source = "tracepoint"
remarks = ["a remark"]
"""


def test_explain_what_was_learned(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "learned.toml"
    path.write_text(LEARNED)
    code, out, _ = run("explain", "--learned", str(path), "vgc-cluster", "list", "x")
    assert code == 0
    assert out.startswith("vgc-cluster list x: CAP_SYS_RAWIO\n")
    assert "evidence, all observed:\n" in out
    assert "  verified, as another uid cannot work: with list (vgc-cluster list)\n" in out
    assert "    Linux 6.18, learned, tracepoint, run again\n    a remark\n" in out


@pytest.mark.parametrize("text", [None, "x = [", "\xff", "learned = 1"])
def test_explain_from_a_file_that_cannot_be_used(
    run: Run, tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "learned.toml"
    if text is not None:
        path.write_text(text, encoding="latin-1")
    code, out, err = run("explain", "--learned", str(path), "x")
    assert (code, out) == (2, "")
    assert err.startswith(f"privmigrate: {path}: error: ")
    assert err.count("\n") == 1


def test_explain_of_a_command_that_no_set_bounds(run: Run) -> None:
    """An empty set would be the most dangerous answer."""
    code, out, _ = run("explain", "sh", "-c", "id")
    assert code == 0
    assert out.startswith("sh -c id: no set bounds what it needs\nevidence, not all observed:\n")
    assert "none" not in out.partition("by itself")[0]
    found = json.loads(run("explain", "--json", "mmcrfileset")[1])
    assert (found["bounded"], found["verified"]) == (False, False)
