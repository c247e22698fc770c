"""What a command sees, what comes back, and that it ends when nobody waits."""

import importlib
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from privmigrate.errors import Refused
from privmigrate.linux.capabilities import Capability, CapabilitySet
from privmigrate.linux.credentials import parse_status
from privmigrate.linux.process import Process
from privmigrate.privsep import execute, running
from privmigrate.privsep.execute import (
    Cancellation,
    Executable,
    ExecutableNotFound,
    PrivilegeDenied,
    ProcessExecutionError,
    environment,
    limited_to,
    run,
)
from tests.privsep.conftest import count_descriptors

DIRS = ("/usr/bin", "/bin")
SH = Executable("sh", dirs=DIRS)
CAT = Executable("cat", dirs=DIRS)


def sh(script: str, *args: str, **options: str) -> execute.ExecResult:
    return run(SH, "-c", script, "sh", *args, **options)  # type: ignore[arg-type]


# -- executables


def program(path: Path, mode: int = 0o755) -> str:
    path.write_text("#!/bin/sh\necho $0\n")
    path.chmod(mode)
    return str(path)


def test_the_first_candidate_that_exists_is_meant(tmp_path: Path) -> None:
    second = program(tmp_path / "second")
    assert Executable(str(tmp_path / "first"), second).resolve() == second
    first = program(tmp_path / "first")
    assert Executable(str(tmp_path / "first"), second).resolve() == first


def test_bare_names_are_looked_up_in_the_folders_in_order(tmp_path: Path) -> None:
    for folder in "abc":
        (tmp_path / folder).mkdir()
    (tmp_path / "a/tool").mkdir()  # a folder is no program, though access(2) says it is
    program(tmp_path / "b/tool", mode=0o644)
    found = program(tmp_path / "c/tool")
    dirs = tuple(f"{tmp_path}/{folder}" for folder in "abc")
    assert Executable("tool", dirs=dirs).resolve() == found


def test_path_is_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "tool")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExecutableNotFound, match=r"^Executable not found: tool, /x/tool$"):
        Executable("tool", "/x/tool", dirs=DIRS).resolve()


def test_what_was_found_is_kept_and_what_was_not_is_looked_for_again(tmp_path: Path) -> None:
    executable = Executable(str(tmp_path / "tool"))
    assert run(executable).exit_code == 96
    path = program(tmp_path / "tool")
    assert run(executable).stdout == f"{path}\n".encode()
    Path(path).unlink()
    assert executable.resolve() == path
    result = run(executable)
    assert result == (96, b"", f"privmigrate: {path}: No such file or directory\n".encode())


def test_repr_names_the_candidates() -> None:
    assert repr(Executable("a", dirs=("/b",))) == "Executable('a', dirs=('/b',))"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("#!/nowhere/sh\n", 96),  # the interpreter is what is missing
        ("no program", 96),
    ],
)
def test_what_cannot_be_executed(tmp_path: Path, content: str, code: int) -> None:
    path = tmp_path / "tool"
    path.write_text(content)
    path.chmod(0o755)
    result = run(Executable(str(path)))
    assert result.exit_code == code
    assert result.stderr.startswith(f"privmigrate: {path}: ".encode())


def test_words_that_the_kernel_does_not_take() -> None:
    assert run(CAT, "x" * 200_000)[:2] == (126, b"")
    assert run(CAT, "a\0b")[:2] == (126, b"")


# -- what a command sees


def test_the_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "IFS", "BASH_ENV", "OS_PASSWORD"):
        monkeypatch.setenv(name, "/tmp/evil")
    for name in ("LANG", "LC_ALL", "TZ", "HOME"):
        monkeypatch.setenv(name, "C")
    execute._own_environment.cache_clear()
    try:
        lines = run(Executable("env", dirs=DIRS), env={"LVM_SYSTEM_DIR": "/x"}).stdout.split(b"\n")
    finally:
        execute._own_environment.cache_clear()
    seen = dict(line.decode().split("=", 1) for line in lines if line)
    assert (
        seen.items()
        >= {
            "LANG": "C",
            "LC_ALL": "C",
            "TZ": "C",
            "HOME": "C",
            "PATH": execute.PATH,
            "LVM_SYSTEM_DIR": "/x",
        }.items()
    )
    assert seen.keys() <= {*execute._KEPT, "LC_ALL", "PATH", "LVM_SYSTEM_DIR", "LC_CTYPE"}


def test_folder_umask_input_descriptors_and_group(tmp_path: Path) -> None:
    with Path(tmp_path / "open").open("w"):
        out = sh(
            "umask; pwd; readlink /proc/self/fd/0; ls /proc/self/fd; ps -o pgid= -p $$; echo $$"
        )
    umask, cwd, stdin, *descriptors, group, pid = out.stdout.decode().split()
    assert (umask, cwd, stdin) == ("0022", "/", "/dev/null")
    assert descriptors == ["0", "1", "2", "3"]  # 3 is ls's own
    assert group == pid


def test_signals_are_as_a_program_expects_them() -> None:
    """Python ignores SIGPIPE; what it starts must not."""
    masks = sh("grep -E 'Sig(Blk|Ign)' /proc/self/status").stdout.decode().split()
    assert int(masks[1], 16) == 0
    assert not int(masks[3], 16) & 1 << signal.SIGPIPE - 1


def test_words_arrive_as_they_are() -> None:
    words = ("", " ", "a b", "*", "$HOME", "--", "f\udcff", "é", "\n")
    out = run(Executable("printf", dirs=DIRS), "%s\\0", *words, 7)
    assert out.stdout == b"".join(os.fsencode(word) + b"\0" for word in (*words, "7"))


def test_a_prefix_stands_in_front(tmp_path: Path) -> None:
    class Nice(NamedTuple):
        level: str

        def words(self) -> tuple[str, ...]:
            return (Executable("nice", dirs=DIRS).resolve(), "-n", self.level)

    assert run(Executable("nice", dirs=DIRS), under=Nice("7")).stdout == b"%d\n" % (os.nice(0) + 7)

    class Missing(NamedTuple):
        def words(self) -> tuple[str, ...]:
            return (Executable("nowhere", dirs=DIRS).resolve(),)

    assert run(SH, under=Missing()).exit_code == 96


@pytest.mark.root
def test_another_user_has_his_groups_and_nothing_else() -> None:
    out = sh("id -u; id -g; id -G; grep Cap /proc/self/status", user="nobody").stdout.decode()
    uid, gid, groups, *lines = out.splitlines()
    assert (uid, gid, groups) == ("65534", "65534", "65534")
    held = {line.split()[0]: int(line.split()[1], 16) for line in lines}
    assert held["CapEff:"] == held["CapPrm:"] == held["CapAmb:"] == held["CapInh:"] == 0


def test_an_unknown_user_is_no_traceback() -> None:
    result = sh("id", user="no-such-user")
    assert result == (126, b"", b"privmigrate: there is no user 'no-such-user'\n")


@pytest.mark.root
def test_a_command_gets_at_most_the_capabilities_of_its_entrypoint() -> None:
    """Also as root, where an exec would give all of them back."""
    net = CapabilitySet.of(Capability.CAP_NET_ADMIN)
    with limited_to(net):
        status = run(CAT, "/proc/self/status").stdout.decode()
    held = parse_status(status, 0)
    assert held.effective == held.permitted == net
    with limited_to(CapabilitySet()):
        status = run(CAT, "/proc/self/status").stdout.decode()
    assert parse_status(status, 0).effective == CapabilitySet()
    # and this thread is as it was
    assert parse_status(run(CAT, "/proc/self/status").stdout.decode(), 0).effective >= net


# -- what comes back


@pytest.mark.parametrize(
    ("script", "result"),
    [
        ("exit 3", (3, b"", b"")),
        ("echo out; echo err >&2", (0, b"out\n", b"err\n")),
        ("kill -9 $$", (137, b"", b"")),
        ("kill -TERM $$", (143, b"", b"")),
        ("printf '\\377\\000'", (0, b"\xff\0", b"")),
        ("exec >&- 2>&-; exit 5", (5, b"", b"")),
        ("sleep 0.2 & exec >&-; exit 4", (4, b"", b"")),
        ("(sleep 0.1; echo late) & exit 0", (0, b"late\n", b"")),
    ],
)
def test_results(script: str, result: tuple[int, bytes, bytes]) -> None:
    assert sh(script) == result


@pytest.mark.parametrize("data", [b"", b"x", "text é\udcff", b"\0" * 3_000_000])
def test_input_is_fed_while_output_is_read(data: str | bytes) -> None:
    """Both pipes are far too small for it: whoever does one after the other never ends."""
    result = run(CAT, stdin=data)
    expected = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    assert result == (0, expected, b"")


def test_a_command_need_not_read_its_input() -> None:
    assert sh("exec <&-; echo done", stdin="x" * 1_000_000) == (0, b"done\n", b"")


def test_output_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MAX_OUTPUT", 100_000)
    result = sh("sleep 1000 & while :; do echo 0123456789; done")
    assert result.exit_code == 137
    assert result.stderr.endswith(b"privmigrate: killed: it wrote more than 100000 bytes")
    assert 100_000 < len(result.stdout) < 300_000


@pytest.mark.parametrize(
    ("script", "code", "out"),
    [
        ("echo a; exec sleep 1000", 143, b"a\n"),
        ("trap 'echo b; exit 5' TERM; while :; do sleep 0.05; done", 5, b"b\n"),
        ("exec >&- 2>&-; exec sleep 1000", 143, b""),
    ],
)
def test_a_command_whose_time_is_up_is_asked_to_end(script: str, code: int, out: bytes) -> None:
    with running.stopping_after(0.3), pytest.raises(running.TimedOut) as caught:
        sh(script)
    assert caught.value.result == (code, out, b"")
    assert caught.value.pid > 1
    assert sh("sleep 0.4; echo c").stdout == b"c\n"


def test_one_that_does_not_end_is_killed_with_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "GRACE", 0.3)
    script = "trap '' TERM; sleep 1000 & echo $!; while :; do sleep 0.05; done"
    with running.stopping_after(0.3), pytest.raises(running.TimedOut) as caught:
        sh(script)
    assert caught.value.result.exit_code == 137
    child = int(caught.value.result.stdout)
    deadline = time.monotonic() + 20
    while is_alive(child) and time.monotonic() < deadline:
        select.select([], [], [], 0.02)
    assert not is_alive(child)


def is_alive(pid: int) -> bool:
    try:
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False


def test_one_that_is_in_time_is_left_alone() -> None:
    with running.stopping_after(60):
        assert sh("echo a; exit 3") == (3, b"a\n", b"")


@pytest.mark.parametrize(
    "seconds", [0, -1, True, None, "5", float("nan"), float("inf"), 1e300, [1], b"1"]
)
def test_a_limit_is_a_number_of_seconds(seconds: object) -> None:
    with pytest.raises(Refused), running.stopping_after(seconds):
        pass


def test_no_descriptor_is_lost() -> None:
    before = count_descriptors()
    for _ in range(3):
        run(CAT, stdin="x")
        run(Executable("/nowhere"))
        run(CAT, "a\0b")
        run(CAT, "x" * 200_000)
    assert count_descriptors() == before


def test_descriptors_are_returned_where_they_run_out() -> None:
    """In a process of its own, with every limit that is too low for three pipes."""
    script = (
        "import os, resource\n"
        "from privmigrate.privsep.execute import Executable, run\n"
        "cat = Executable('/bin/cat')\n"
        "run(cat, stdin='x')\n"
        "used = len(os.listdir('/proc/self/fd')) - 1\n"
        "for more in range(12):\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (used + more, 4096))\n"
        "    code = run(cat, stdin='x').exit_code\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))\n"
        "    print(more, code, len(os.listdir('/proc/self/fd')) - 1 - used)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    rows = [line.split() for line in out.splitlines()]
    assert {row[1] for row in rows} == {"126", "0"}
    assert {row[2] for row in rows} == {"0"}


# -- cancelled calls


def is_running(name: str) -> bool:
    out = subprocess.run(["pgrep", "-f", name], capture_output=True, text=True, check=False)
    return bool(out.stdout.strip())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    event = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        event.wait(0.01)


@pytest.mark.parametrize(
    "script",
    [
        "exec sleep 3331",
        "sleep 3331 & sleep 3332 | cat & wait",
        "trap '' TERM INT; sleep 3331; sleep 3331",
        "sleep 3331 & exit 0",  # the leader has ended; its child holds the pipe
    ],
)
def test_a_cancelled_call_kills_its_command_and_all_of_its_group(script: str) -> None:
    results: list[execute.ExecResult] = []
    call = Cancellation()

    def work() -> None:
        with call:
            results.append(sh(script))

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: is_running("sleep 3331"))
    call.cancel()
    thread.join(20)
    assert results[0].exit_code == 137
    assert results[0].stderr.endswith(b"the call was cancelled")
    wait_until(lambda: not is_running("sleep 333[12]"))


def test_no_command_follows_in_a_cancelled_call() -> None:
    call = Cancellation()
    with call:
        assert run(CAT).exit_code == 0
        call.cancel()
        call.cancel()
        with pytest.raises(Refused, match=r"^the call was cancelled$"):
            run(CAT)
    assert run(CAT).exit_code == 0


def test_orphans_that_cannot_be_killed_do_not_hold_a_cancelled_call() -> None:
    """One in a session of its own holds the pipe for long; the call ends all the same."""
    call = Cancellation()
    results: list[execute.ExecResult] = []

    def work() -> None:
        with call:
            results.append(sh("setsid sleep 3334 & exit 0"))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        wait_until(lambda: is_running("sleep 3334"))
        call.cancel()
        thread.join(20)
        assert results
    finally:
        pids = subprocess.run(["pgrep", "-f", "sleep 3334"], capture_output=True, check=False)
        for pid in pids.stdout.split():
            os.kill(int(pid), signal.SIGKILL)


def test_a_command_is_killed_where_reading_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Process] = []

    def interrupt(_self: object, process: Process, _call: object, _limit: object) -> None:
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(running._Pipes, "collect", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(Executable("sleep", dirs=DIRS), "1000")
    assert started[0].exit_code == 137


# -- environment variables


def test_environments() -> None:
    assert environment({"A": "1"}, B=None, C="2") == {"A": "1", "C": "2"}
    combinations = (("B",), ("B", "C"))
    assert environment({}, *combinations, B="1", C=None) == {"B": "1"}
    assert environment({}, *combinations, B="1", C="2") == {"B": "1", "C": "2"}
    with pytest.raises(Refused, match=r"no permitted combination: C$"):
        environment({}, *combinations, B=None, C="2")
    with pytest.raises(Refused, match=r"no permitted combination: none$"):
        environment({}, *combinations)


# -- errors


def test_errors_read_as_those_of_processutils() -> None:
    processutils = importlib.import_module("oslo_concurrency.processutils")
    arguments = ("out", "err", 3, "lvs -x", None)
    ours, theirs = ProcessExecutionError(*arguments), processutils.ProcessExecutionError(*arguments)
    assert str(ours) == str(theirs)
    assert ours.args == theirs.args
    assert vars(ours) == vars(theirs)
    assert str(ProcessExecutionError()) == str(processutils.ProcessExecutionError())


def test_services_catch_ours_as_theirs() -> None:
    processutils = importlib.import_module("oslo_concurrency.processutils")
    with pytest.raises(processutils.ProcessExecutionError):
        raise ProcessExecutionError(exit_code=3)
    with pytest.raises(processutils.ProcessExecutionError) as caught:
        raise PrivilegeDenied.because("name is not digits", "lvs")
    assert isinstance(caught.value, PrivilegeDenied)
    assert isinstance(caught.value, ProcessExecutionError)
    assert caught.value.exit_code == 99
    assert caught.value.stderr == "lvs: name is not digits"


@pytest.mark.parametrize("kind", [ProcessExecutionError, PrivilegeDenied])
def test_errors_are_made_again_by_name_and_arguments(kind: type[ProcessExecutionError]) -> None:
    """As oslo.privsep's channel, ours, and pickle do it."""
    error = kind("out", "err", 3, "lvs", "why")
    found = getattr(importlib.import_module(type(error).__module__), type(error).__qualname__)
    for again in (found(*error.args), pickle.loads(pickle.dumps(error))):
        assert type(again) is type(error)
        assert again.args == error.args
        assert vars(again) == vars(error)


def test_processutils_is_not_loaded_by_us() -> None:
    script = (
        "import sys\n"
        "from privmigrate.privsep.execute import ProcessExecutionError\n"
        "error = ProcessExecutionError('o', 'e', 1, 'c')\n"
        "assert type(error) is ProcessExecutionError\n"
        "assert not [name for name in sys.modules if name.startswith('oslo')]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


UNKILLABLE = """
import threading
from privmigrate.linux.capabilities import Capability, CapabilitySet, limit
from privmigrate.privsep.execute import Cancellation, Executable, run

limit(CapabilitySet.of(Capability.CAP_SETUID, Capability.CAP_SETGID))
call = Cancellation()
with call:
    timer = threading.Timer(0.3, call.cancel)
    timer.start()
    print(run(Executable("/bin/sleep"), "1.5", user="nobody").exit_code)
    timer.join()
"""


@pytest.mark.root
def test_a_command_that_may_not_be_killed_runs_to_its_end_without_an_error() -> None:
    """Another user's, and we without CAP_KILL; it is not waited for by its outputs any more."""
    done = subprocess.run(
        [sys.executable, "-c", UNKILLABLE], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("137\n", "")


def test_a_relative_folder_is_no_place_to_look_for_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be one of whoever starts the service; ``exec_dirs=/sbin, bin`` has two of them."""
    program = tmp_path / " bin" / "pm-evil"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExecutableNotFound):
        Executable("pm-evil", dirs=(" bin", "bin", ".", "")).resolve()
    assert Executable("pm-evil", dirs=(" bin", str(program.parent))).resolve() == str(program)
