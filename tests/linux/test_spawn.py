"""A program starts with what it was given, and with nothing else."""

import os
import signal
import stat
from pathlib import Path

import pytest

from privmigrate.linux.capabilities import NONE
from privmigrate.linux.credentials import Identity, read_own
from privmigrate.linux.spawn import Program, spawn

INHERITED = -1  # a umask that the C library's posix_spawn can do


def output_of(script: str, **given: object) -> str:
    out, inlet = os.pipe()
    base: dict[str, object] = {"environment": {"PATH": "/usr/bin:/bin"}, "stdout": inlet}
    program = Program("/bin/sh", ("sh", "-c", script), **{**base, **given})  # type: ignore[arg-type]
    with spawn(program) as process:
        os.close(inlet)
        with os.fdopen(out) as stream:
            text = stream.read()
        assert process.wait() == 0
    return text.strip()


def test_folder_umask_and_environment_are_as_given(tmp_path: Path) -> None:
    script = "pwd; umask; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= | sort"
    os.environ["LD_PRELOAD_TEST"] = "must not arrive"
    assert output_of(script) == "/\n0022\nPATH=/usr/bin:/bin"
    given = {"cwd": str(tmp_path), "umask": 0o077, "environment": {"PATH": "/bin", "A": "1"}}
    assert output_of(script, **given) == f"{tmp_path}\n0077\nA=1\nPATH=/bin"


def test_the_standard_streams_are_null_unless_given() -> None:
    assert output_of("readlink /proc/self/fd/0 /proc/self/fd/2") == "/dev/null\n/dev/null"


def test_no_other_descriptor_arrives() -> None:
    out, inlet = os.pipe()
    os.set_inheritable(out, True)
    try:
        assert output_of("ls /proc/self/fd").split() == ["0", "1", "2", "3"]  # 3 is the folder's
        assert str(inlet) in output_of("ls /proc/self/fd", pass_fds=(inlet,)).split()
    finally:
        os.close(out)
        os.close(inlet)


def test_groups_and_sessions() -> None:
    script = "ps -o pid=,pgid=,sid= -p $$"
    pid, group, session = output_of(script).split()
    assert pid == group != session == str(os.getsid(0))
    pid, group, session = output_of(script, new_session=True).split()
    assert pid == group == session
    pid, group, _ = output_of(script, new_group=False).split()
    assert int(group) == os.getpgid(0) != int(pid)


def test_blocked_signals_are_not_inherited() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    try:
        assert output_of("grep SigBlk /proc/self/status").split()[1] == "0" * 16
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == {signal.SIGTERM, signal.SIGUSR1}
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGUSR1})


def test_sigpipe_kills_as_usual() -> None:
    """Other signals may be ignored: whoever started the tests in the background did that."""
    ignored = int(output_of("awk '/SigIgn/ {print $2}' /proc/self/status"), 16)
    assert not ignored & (1 << (signal.SIGPIPE - 1))


@pytest.mark.parametrize("limit", [None, NONE])
def test_errors_are_the_kernels(tmp_path: Path, limit: None) -> None:
    plain = tmp_path / "plain"
    plain.write_text("x")
    for path, error in ((str(plain), PermissionError), (f"{plain}/x", NotADirectoryError)):
        with pytest.raises(error) as caught:
            spawn(Program(path, (path,), {}), capabilities=limit)
        assert caught.value.filename == path
    with pytest.raises(FileNotFoundError) as caught2:
        spawn(Program("/bin/true", ("true",), {}, cwd="/no/such"), capabilities=limit)
    assert caught2.value.filename == "/no/such"


def test_what_needs_no_umask_is_started_alike(tmp_path: Path) -> None:
    """By the C library, without Python's lock; nothing of it may differ for the program."""
    script = (
        "pwd; umask; cat /proc/self/environ | tr '\\0' ' '; echo; ls /proc/self/fd | tr '\\n' ' ';"
        " grep 'Sig[^Q]' /proc/self/status; ps -o pgid=,sid= -p $$ | tr -d ' '; cat"
    )
    found = []
    umask = os.umask(0o027)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        for mask in (INHERITED, 0o027):
            read, write = os.pipe()
            os.close(write)
            errors = os.open("/dev/null", os.O_WRONLY)
            given = {"cwd": str(tmp_path), "stdin": read, "stderr": errors, "new_group": False}
            found.append(output_of(script, umask=mask, **given))
            os.close(read)
            os.close(errors)
    finally:
        os.umask(umask)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    assert found[0] == found[1]
    assert found[0].startswith(f"{tmp_path}\n0027\n")


def test_texts_that_the_kernel_would_cut_are_refused() -> None:
    null = os.open("/dev/null", os.O_RDWR)
    streams = {"umask": INHERITED, "stdin": null, "stdout": null, "stderr": null}
    for argv, environ in ((("true", "a\0b"), {}), (("true",), {"A": "1\0B=2"})):
        with pytest.raises(ValueError, match="null byte"):
            spawn(Program("/bin/true", argv, environ, **streams))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="illegal environment variable name"):
        spawn(Program("/bin/true", ("true",), {"A=B": "1"}, **streams))  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError) as caught:
        spawn(Program("/bin/true", ("true",), {}, cwd="/no/such", **streams))  # type: ignore[arg-type]
    assert caught.value.filename == "/no/such"
    os.close(null)


def test_a_user_and_capabilities_do_not_go_together() -> None:
    own = read_own()
    with pytest.raises(ValueError, match="gets no capabilities"):
        spawn(
            Program("/bin/true", ("true",), {}),
            user=Identity(54321, 54321, ()),
            capabilities=own.bounding,
        )


def test_a_user_that_we_are_already_needs_no_change() -> None:
    own = read_own()
    same = Identity(own.uids.real, own.gids.real, own.groups)
    with spawn(Program("/bin/true", ("true",), {}), user=same) as process:
        assert process.wait() == 0


@pytest.mark.root
def test_a_script_is_limited_too(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\ngrep Cap /proc/self/status >&2\n")
    script.chmod(stat.S_IRWXU)
    out, inlet = os.pipe()
    with spawn(Program(str(script), ("s",), {}, stderr=inlet), capabilities=NONE) as process:
        os.close(inlet)
        with os.fdopen(out) as stream:
            lines = dict(line.split() for line in stream)
        assert process.wait() == 0
    assert int(lines["CapEff:"], 16) == int(lines["CapPrm:"], 16) == 0
    own = read_own()
    assert own.effective
    assert not own.no_new_privs


@pytest.mark.root
def test_a_process_without_noroot_does_not_start_commands_of_root() -> None:
    pid = os.fork()
    if pid == 0:
        try:
            os.setresuid(2000, 2000, 0)
            spawn(Program("/bin/true", ("true",), {}), user=Identity(0, 0, ()))
        except PermissionError as error:
            os._exit(7 if "NOROOT" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
