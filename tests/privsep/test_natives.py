"""Natives act on exactly the process or file that was checked."""

import errno
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from privmigrate.errors import Refused
from privmigrate.privsep.natives import cat, find, kill
from privmigrate.privsep.natives import cat as cat_function
from privmigrate.privsep.natives.kill import read_program
from privmigrate.privsep.running import MAX_OUTPUT

SLEEP = os.path.realpath(shutil.which("sleep") or "")

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program that says when it is there; nothing of it is left behind."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*argv: str, executable: str | None = None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(argv, executable=executable)
        started.append(process)
        # Popen returns while the exec goes on: the command line is the last to be there
        while not Path(f"/proc/{process.pid}/cmdline").read_bytes():
            if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
                break
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """A program of our own that may be replaced: a copy of sleep."""
    path = tmp_path.resolve() / "tool"
    shutil.copy(SLEEP, path)
    return path


@pytest.mark.parametrize(
    ("name", "number"),
    [("HUP", 1), ("SIGHUP", 1), ("KILL", 9), (9, 9), ("15", 15), ("term", 15), ("USR1", 10)],
)
def test_signals_by_name_and_number(name: str | int, number: int, start: Start) -> None:
    process = start(SLEEP, "100")
    assert kill(process.pid, name, SLEEP) == (0, b"", b"")
    assert process.wait(10) == -number


def test_one_of_several_programs(start: Start) -> None:
    process = start(SLEEP, "100")
    assert kill(str(process.pid), "KILL", "/nowhere", SLEEP).exit_code == 0


def test_another_program_is_refused(start: Start) -> None:
    process = start(SLEEP, "100")
    with pytest.raises(Refused, match=rf"^process {process.pid} executes none of /bin/x, y$"):
        kill(process.pid, "KILL", "/bin/x", "y")
    assert process.poll() is None


def test_a_bare_name_is_one_of_path(start: Start, tool: Path) -> None:
    process, ours = start(SLEEP, "100"), start(str(tool), "100")
    with pytest.raises(Refused):
        kill(ours.pid, "KILL", "tool")  # of that name, but anybody's
    with pytest.raises(Refused):
        kill(process.pid, "KILL", "leep")
    assert kill(process.pid, "KILL", "sleep").exit_code == 0


def test_a_name_that_the_process_gives_itself_does_not_count(start: Start, tool: Path) -> None:
    process = start(SLEEP, "100", executable=str(tool))
    with pytest.raises(Refused):
        kill(process.pid, "KILL", SLEEP)


def test_a_program_that_was_deleted_is_still_it(start: Start, tool: Path) -> None:
    process = start(str(tool), "100")
    tool.unlink()
    assert read_program(process.pid) == str(tool)
    assert kill(process.pid, "KILL", str(tool)).exit_code == 0


def test_a_program_that_was_upgraded_is_still_it(start: Start, tool: Path) -> None:
    process = start(str(tool), "100")
    other = tool.with_name("new")
    shutil.copy(SLEEP, other)
    other.replace(tool)
    assert kill(process.pid, "KILL", str(tool)).exit_code == 0


def test_a_program_that_was_renamed_is_known_by_its_command_line(start: Start, tool: Path) -> None:
    """As a package manager does: the old file gets another name and is deleted later."""
    process = start(str(tool), "100")
    moved = tool.rename(tool.with_name("tool;5f3a"))
    moved.unlink()
    shutil.copy(SLEEP, tool)
    assert read_program(process.pid) == str(tool)
    named = start("sleep", "100", executable=str(tool))
    tool.unlink()
    assert read_program(named.pid) in {SLEEP, "/usr/bin/sleep", "/bin/sleep"}


def test_it_sees_what_rootwraps_filter_sees(start: Start, tool: Path) -> None:
    from oslo_rootwrap.filters import KillFilter

    theirs = KillFilter("root", "x")
    processes = [start(SLEEP, "100"), start(str(tool), "100")]
    assert [read_program(p.pid) for p in processes] == [theirs._program(p.pid) for p in processes]
    tool.unlink()
    assert [read_program(p.pid) for p in processes] == [theirs._program(p.pid) for p in processes]


@pytest.mark.parametrize(
    "pid", [0, -1, "-1", "", "self", "1x", "\u0661", " 1", 2**22 + 1, "9" * 99]
)
def test_what_is_no_process_is_refused(pid: int | str) -> None:
    with pytest.raises(Refused, match="not given by a number above 0"):
        kill(pid, "KILL", "/bin/sleep")


@pytest.mark.parametrize("name", [0, 65, "NOSUCH", "", "-9", "SIG", "9x", "SIGSIGHUP"])
def test_unknown_signals_are_refused(name: int | str) -> None:
    with pytest.raises(Refused, match="no such signal"):
        kill(os.getpid(), name, sys.executable)


def test_any_program_is_never_meant_by_leaving_it_out() -> None:
    with pytest.raises(Refused, match="no program is named"):
        kill(os.getpid(), "TERM")


def test_a_process_that_has_ended(start: Start) -> None:
    process = start("/bin/true")
    process.wait()
    expected = f"kill: ({process.pid}): No such process\n".encode()
    assert kill(process.pid, "KILL", "/bin/true") == (1, b"", expected)
    waiting = start("/bin/true")
    os.waitid(os.P_PID, waiting.pid, os.WEXITED | os.WNOWAIT)  # a zombie executes nothing
    assert kill(waiting.pid, "KILL", "/bin/true").exit_code == 1


class _TakenError(Exception):
    """Somebody else's process got the pid, and keeps it."""


@pytest.mark.root
def test_a_pid_that_was_given_again_is_not_hit(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends, and another of the same program gets its number, while we look."""
    others: list[subprocess.Popen[bytes]] = []
    real_open = os.pidfd_open

    def open_then_reuse(pid: int) -> int:
        pidfd = real_open(pid)
        first.kill()
        first.wait()
        for _ in range(20):  # others start processes too
            Path("/proc/sys/kernel/ns_last_pid").write_text(f"{pid - 1}")
            others.append(start(SLEEP, "100"))
            if others[-1].pid == pid:
                return pidfd
        os.close(pidfd)
        raise _TakenError

    monkeypatch.setattr(os, "pidfd_open", open_then_reuse)
    result = None
    for _ in range(10):
        first = start(SLEEP, "100")
        with suppress(_TakenError):
            result = kill(first.pid, "KILL", SLEEP)
            break
    assert result == (1, b"", f"kill: ({first.pid}): No such process\n".encode())
    assert others[-1].pid == first.pid
    assert others[-1].poll() is None


@pytest.mark.root
def test_what_may_not_be_seen_or_signalled() -> None:
    """Another user's process, from a process without CAP_SYS_PTRACE and CAP_KILL."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.setresuid(65534, 65534, 65534)
        try:
            kill(1, "TERM", SLEEP)
        except Refused as refused:
            os.write(writer, f"{refused}\n".encode())
        kind = find("kill")
        native = kind.recognise(("kill", "-TERM", "1")) if kind else None
        os.write(writer, native.perform().stderr if native else b"")
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    assert os.read(reader, 1000).decode().splitlines() == [
        "what process 1 executes: Permission denied",
        "kill: (1): Operation not permitted",
    ]
    os.close(reader)


def test_no_descriptor_is_left_open(start: Start, tmp_path: Path) -> None:
    process = start(SLEEP, "100")
    (tmp_path / "f").touch()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(Refused):
        kill(process.pid, "KILL", "/bin/x")
    kill(process.pid, "KILL", SLEEP)
    for path in ("f", "nowhere", ".", "f/x"):
        cat(f"{tmp_path}/{path}")
        cat(f"{tmp_path}/{path}", within=str(tmp_path))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# -- cat


def test_a_relative_path_is_refused() -> None:
    with pytest.raises(Refused, match="must be absolute"):
        cat("etc/passwd")


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    """A pipe without a writer would block for ever, and opening a device may act on it."""
    os.mkfifo(tmp_path / "fifo")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "socket"))
    for path in (f"{tmp_path}/fifo", f"{tmp_path}/socket", "/dev/zero"):
        assert cat(path) == (1, b"", f"cat: {path}: Not a regular file\n".encode())
    sock.close()


def test_a_file_that_is_too_large_is_no_half_result(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, MAX_OUTPUT)
    assert len(cat(str(path)).stdout) == MAX_OUTPUT
    os.truncate(path, MAX_OUTPUT + 1)
    strerror = os.strerror(errno.EFBIG)
    assert cat(str(path)) == (1, b"", f"cat: {path}: {strerror}\n".encode())


def test_undecodable_names_and_quotes(tmp_path: Path) -> None:
    name = os.fsdecode(b"a'\xff")
    Path(tmp_path, name).write_text("x")
    assert cat(f"{tmp_path}/{name}").stdout == b"x"
    missing = cat(f"{tmp_path}/it's")
    assert missing.stderr == f'cat: "{tmp_path}/it\'s": No such file or directory\n'.encode()


def test_no_link_is_followed_below_the_folder_that_was_checked(tmp_path: Path) -> None:
    """One that an attacker puts there after the check does not lead out."""
    base = tmp_path.resolve() / "base"
    base.mkdir()
    (base / "f").write_text("x")
    (base / "out").symlink_to("/etc")
    (base / "same").symlink_to("f")
    assert cat(f"{base}/f", within=str(base)).stdout == b"x"
    for path in ("out/passwd", "same"):
        result = cat(f"{base}/{path}", within=str(base))
        assert result.stdout == b""
        assert result.stderr.endswith(b": Too many levels of symbolic links\n")
    for path in ("../x", "../../etc/passwd"):
        assert cat(f"{base}/{path}", within=str(base)).exit_code == 1
    assert cat(f"{base}", within=str(base)).stderr.endswith(b"Is a directory\n")
    assert cat(f"{base}/f", within="/nowhere").exit_code == 1


def test_the_names_are_the_functions() -> None:
    assert cat_function is cat
    assert callable(cat)
