"""``privmigrate learn``: what it says, what it asks, and what it leaves."""

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from privmigrate.convert.needs import read_needs
from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.observe.tracefs import Tracefs
from tests.cli.conftest import Run, Subcommand
from tools.modules import PROJECT

PROGRAM = (sys.executable, "-m", "privmigrate", "learn")
NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PROJECT)}


@pytest.fixture
def run(subcommand: Subcommand) -> Run:
    return subcommand("learn")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody can get at."""
    with tempfile.TemporaryDirectory(prefix="privmigrate-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def file(folder: Path) -> Path:
    path = folder / "f"
    path.touch()
    path.chmod(0o644)
    return path


# -- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give a command after --, or a log"),
        (("--filters", "x", "--", "true"), "--filters and --from belong together"),
        (("--from", "x"), "--filters and --from belong together"),
        (("--filters", "x", "--from", "y", "--", "true"), "give a command after --, or a log"),
        (("--filters", "x", "--from", "y", "--check", "z"), "--check is for one command"),
        (("--filters", "x", "--from", "y", "--set-up", "z"), "--set-up is for one command"),
        (("--list", "--", "true"), "--list and --all are for commands out of a log"),
        (("--timeout", "0", "--", "true"), "--timeout must be more than 0"),
        (("--timeout", "nan", "--", "true"), "--timeout must be more than 0"),
        (("--once", "--source", "search", "--", "true"), "--once observes, and"),
        (("--", "no-such-command"), "no-such-command: error: there is no such executable"),
        (("--", "/no/such"), "/no/such: error: there is no such executable"),
        (("--", "./true"), "./true: error: give an absolute path, or a name alone"),
        (("--filters", "/no/such", "--from", "y"), "/no/such: error: cannot be read"),
    ],
)
def test_bad_input_is_one_clear_message(run: Run, words: tuple[str, ...], message: str) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"privmigrate: {message}")
    assert err.count("\n") == 1


@pytest.mark.root
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--user", "no-such-user"), "--user no-such-user: error: there is no such user"),
        (("--user", "99999999999999999999"), "--user 99999999999999999999: error"),
        (("--user", "root"), "--user: error: root is tried anyway"),
        (("--stdin", "/no/such"), "--stdin /no/such: error: there is no such file"),
        (("--output", "/no/such/x"), "/no/such/x: error: there is no folder /no/such"),
        (("--form", "a|b"), "'a|b' cannot stand in a row"),
        (("--check", "date +%N", "--user", "2000x"), "--user 2000x: error"),
    ],
)
def test_bad_input_is_found_before_anything_runs(
    run: Run, folder: Path, words: tuple[str, ...], message: str
) -> None:
    code, out, err = run("--repeatable", *words, "--", "touch", str(folder / "ran"))
    assert (code, out) == (2, "")
    assert err.startswith(f"privmigrate: {message}")
    assert err.count("\n") == 1
    assert list(folder.iterdir()) == []


# What is needed is imported first: others may not be able to read where we are.
AS_NOBODY = """
import os, sys
import privmigrate.cli.learn, privmigrate.learn.log, privmigrate.learn.table
import privmigrate.privsep.execute
from privmigrate.cli import main
if os.geteuid() == 0:
    os.setuid(65534)
sys.exit(main(["learn", "--repeatable", "--", "true"]))
"""


def test_without_root_it_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("privmigrate: learn needs root: ")


@pytest.mark.root
def test_with_too_few_capabilities_it_says_which() -> None:
    words = ("setpriv", "--bounding-set=-sys_admin", *PROGRAM, "--repeatable", "--", "true")
    done = subprocess.run(words, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("privmigrate: learn needs CAP_SYS_ADMIN, which this root")


# -- questions ------------------------------------------------------------------------------


@pytest.mark.root
def test_without_a_terminal_nothing_is_run_twice_unasked(folder: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "--", "touch", folder / "ran"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 2
    assert "there is no terminal to ask at" in done.stderr
    assert "--repeatable" in done.stderr
    assert list(folder.iterdir()) == []


def at_a_terminal(answer: str, *words: str) -> tuple[int, str]:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, *words], env=ENVIRONMENT, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        text = b""
        while b"[y/N]" not in text:
            text += os.read(ours, 1000)
        os.write(ours, answer.encode())
        try:
            while data := os.read(ours, 1000):
                text += data
        except OSError:  # the other end was closed
            pass
        code = process.wait(60)
    os.close(ours)
    return code, text.decode()


@pytest.mark.root
def test_whoever_says_no_is_heard(folder: Path) -> None:
    code, text = at_a_terminal("n\n", "--", "touch", str(folder / "ran"))
    assert code == 3
    assert "would be run some ten times, as root and as nobody" in text
    assert list(folder.iterdir()) == []


@pytest.mark.root
def test_whoever_says_yes_gets_it_and_the_answer_is_recorded(folder: Path) -> None:
    output = folder / "x.toml"
    code, text = at_a_terminal("y\n", "--output", str(output), "--", "uname")
    assert code == 0
    assert "uname: none" in text
    assert 'repeatable = "answered"\n' in output.read_text()


# -- learning -------------------------------------------------------------------------------


@pytest.mark.root
def test_a_command_is_learned_recorded_and_read_by_convert(run: Run, file: Path) -> None:
    output = file.with_name("x.toml")
    code, out, err = run(
        *("--repeatable", "--output", str(output), "--user", "2000" if _has("2000") else "nobody"),
        *("--set-up", f"chown 3000:3000 {file}", "--check", f"stat -c %u {file}"),
        *("--", "chown", "1:1", str(file)),
    )
    assert code == 0
    assert out.startswith(f"chown 1:1 {file}: CAP_CHOWN\n")
    assert "  in a daemon of uid 0        CAP_CHOWN (verified, " in out
    assert "compared: exit status, output, effect\n" in out
    assert err == f"privmigrate: recorded in {output}\n"
    (row,) = read_needs(str(output)).learned["chown"]
    assert row.verified
    assert row.root == row.service == CapabilitySet.parse("CAP_CHOWN")


def _has(user: str) -> bool:
    import pwd

    return any(str(entry.pw_uid) == user for entry in pwd.getpwall())


@pytest.mark.root
def test_json_is_for_machines(run: Run) -> None:
    code, out, err = run("--yes", "--json", "--verbose", "--form", "", "--", "uname", "-s")
    (entry,) = json.loads(out)
    assert code == 0
    assert entry["argv"] == ["uname", "-s"]
    assert entry["words"] == []
    assert (entry["root_status"], entry["service_status"]) == ("verified", "verified")
    assert entry["repeatable"] == "answered with --yes"
    assert err.startswith("privmigrate: root without limits\n")
    assert "privmigrate: root with none: works\n" in err


@pytest.mark.root
def test_by_trial_alone_is_said_in_the_evidence(run: Run) -> None:
    code, out, _ = run("--repeatable", "--source", "search", "--", "uname")
    assert code == 0
    assert "search; compared: exit status, output\n" in out


@pytest.mark.root
def test_once_runs_once(run: Run, folder: Path) -> None:
    count = folder / "count"
    code, out, _ = run("--once", "--", "sh", "-c", f"echo x >>{count}; chown 1 {count}")
    assert code == 0
    assert ": asked for CAP_CHOWN, once; not verified\n" in out
    assert count.read_text() == "x\n"


@pytest.mark.root
def test_standard_input_and_a_difference_in_output(run: Run, file: Path) -> None:
    file.write_text("some text")
    _, out, _ = run("--repeatable", "--stdin", str(file), "--ignore-output", "--", "cat")
    assert "compared: exit status\n" in out


@pytest.mark.root
def test_what_cannot_be_verified_is_exit_code_1(run: Run) -> None:
    """A program that tells being confined by no_new_privs, which no capability mends."""
    code, out, _ = run("--repeatable", "--", "grep", "-q", "NoNewPrivs:.0", "/proc/self/status")
    assert code == 1
    assert ": not verified\n" in out
    assert "cannot work" in out


# -- logs -----------------------------------------------------------------------------------


@pytest.fixture
def conf(folder: Path) -> Path:
    filters = folder / "rootwrap.d"
    filters.mkdir()
    (filters / "x.filters").write_text(
        "[Filters]\ncat: CommandFilter, cat, root\nuname: CommandFilter, uname, root\n"
        "no: CommandFilter, mkdir, root\n"
    )
    path = folder / "rootwrap.conf"
    path.write_text(f"[DEFAULT]\nfilters_path={filters}\nexec_dirs=/usr/bin,/bin\n")
    return path


def test_what_a_log_would_teach_is_listed_without_running_anything(
    run: Run, conf: Path, folder: Path
) -> None:
    log = folder / "log"
    log.write_text('["uname", "-m"]\n["cat", "/x"]\nnoise\n["rm", "/x"]\n["uname", "-m"]\n')
    code, out, err = run("--filters", str(conf), "--from", str(log), "--list")
    assert (code, out) == (0, "uname -m\n")
    assert "cat /x: known already (--all learns it anew)" in err
    assert "rm /x: passed over: no filter is about 'rm'" in err
    _, out, _ = run("--filters", str(conf), "--from", str(log), "--list", "--all", "--json")
    assert json.loads(out) == [["uname", "-m"], ["cat", "/x"]]
    filters = folder / "some.filters"
    filters.write_text("[Filters]\nuname: CommandFilter, uname, root\n")
    _, out, _ = run("--filters", str(filters), "--from", str(log), "--list")
    assert out == "uname -m\n"


def test_a_log_without_commands_is_said(run: Run, conf: Path, folder: Path) -> None:
    log = folder / "log"
    log.write_text("noise\n")
    code, _, err = run("--filters", str(conf), "--from", str(log))
    assert code == 2
    assert err == f"privmigrate: {log}: error: there is no command line in it\n"
    code, _, err = run("--filters", str(conf), "--from", "/no/such")
    assert code == 2
    assert err == "privmigrate: /no/such: error: cannot be read: No such file or directory\n"


@pytest.mark.root
def test_a_log_is_learned_and_one_failure_does_not_stop_it(
    run: Run, conf: Path, folder: Path
) -> None:
    log, output = folder / "log", folder / "x.toml"
    log.write_text(f'["mkdir", "{folder}/new"]\n["uname", "-m"]\n')
    words = ("--filters", str(conf), "--from", str(log), "--repeatable", "--output", str(output))
    code, out, err = run(*words, "--all")
    assert code == 1
    assert "the first time and with 1 the second" in err
    assert out.startswith("uname -m: none\n")
    assert set(read_needs(str(output)).learned) == {"uname"}


# -- what is left ---------------------------------------------------------------------------


def ours() -> set[str]:
    with Tracefs.open() as tracefs:
        return {name for name in tracefs.instances() if name.startswith("privmigrate_")}


def instance_of(process: "subprocess.Popen[bytes]") -> set[str]:
    return {name for name in ours() if name.startswith(f"privmigrate_{process.pid}_")}


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        os.sched_yield()


def started(mark: Path) -> "subprocess.Popen[bytes]":
    """A learn that is in the middle of a run."""
    script = f"echo $$ >{mark}; exec sleep 1000"
    process = subprocess.Popen(
        [*PROGRAM, "--repeatable", "--", "sh", "-c", script], env=ENVIRONMENT
    )
    wait_until(lambda: mark.exists() and mark.read_text().endswith("\n"))
    return process


@pytest.mark.root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_behind(folder: Path, number: signal.Signals) -> None:
    with started(folder / "pid") as process:
        assert len(instance_of(process)) == 1
        process.send_signal(number)
        assert process.wait(30) == 128 + number
        assert instance_of(process) == set()
    assert not Path("/proc", (folder / "pid").read_text().strip()).exists()


@pytest.mark.root
def test_what_a_killed_one_leaves_the_next_one_removes(run: Run, folder: Path) -> None:
    with started(folder / "pid") as process:
        process.kill()
        process.wait(30)
        command = Path("/proc", (folder / "pid").read_text().strip())
        wait_until(lambda: not command.exists() or " Z " in (command / "stat").read_text())
        assert len(instance_of(process)) == 1
        assert run("--once", "--", "true")[0] == 0
        assert instance_of(process) == set()


@pytest.mark.root
def test_in_a_pid_namespace_it_is_not_blind(file: Path) -> None:
    """There the kernel's tracing knows other pids than we do."""
    done = subprocess.run(
        [*NAMESPACE, *PROGRAM, "--once", "--json", "--", "chown", "1", str(file)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    (entry,) = json.loads(done.stdout)
    assert entry["root"] == ["CAP_CHOWN"]
