"""Commands run as under oslo-rootwrap: status, output, signals, circumstances."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from privmigrate.shim import client
from privmigrate.shim.index import Source, build
from privmigrate.shim.script import render_client, render_daemon
from tests.linux.test_paths import give_access
from tests.shim.conftest import WriteConfig

PROJECT = Path(__file__).resolve().parent.parent.parent
OSLO = [sys.executable, "-c", "from oslo_rootwrap.cmd import main; main()"]
FILTERS = """
echo: CommandFilter, echo, root
sh: CommandFilter, sh, root
sleep: CommandFilter, sleep, root
missing: CommandFilter, /nowhere/missing, root
odd: NoSuchFilter, x, root
env: EnvFilter, env, root, A=, sh
"""


@pytest.fixture
def installed(trusted_dir: Path) -> Path:
    """The client as it is installed, beside a program that knows where we are."""
    slow = trusted_dir / "slow"
    slow.write_text(
        f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
        "from privmigrate.shim.rootwrap_main import main; sys.exit(main())\n"
    )
    path = trusted_dir / "x-rootwrap"
    words = [sys.executable, "-I", str(slow), "--as"]
    path.write_text(render_client(os.path.realpath(sys.executable), words, "for a test"))
    path.chmod(0o755)
    return path


def run(words: list[str | Path], **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(words, capture_output=True, check=False, timeout=30, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["echo", "a", "b c"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -9 $$"], 137),
        (["sh", "-c", "kill -15 $$"], 143),
        (["sh", "-c", "echo err >&2; cat; umask; pwd; ulimit -n"], 0),
        (["env", "A=5", "sh", "-c", "echo $A; env | sort"], 0),
        (["missing", "x"], 96),
        (["unknown", "x", "\n"], 99),
        (["env", "unknown"], 99),
        ([], 98),
    ],
)
def test_statuses_and_output_are_rootwraps(
    installed: Path, write_config: WriteConfig, words: list[str], status: int
) -> None:
    config = write_config(FILTERS, "rlimit_nofile=99")
    theirs = run([*OSLO, config, *words], input=b"in")
    for _ in range(2):  # without an index, and with one
        ours = run([installed, config, *words], input=b"in")
        assert ours.returncode == theirs.returncode == status
        assert ours.stdout == theirs.stdout
        assert ours.stderr.replace(os.fsencode(installed), b"-c") == theirs.stderr


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ("use_syslog=maybe", "4:12: error: use_syslog cannot be 'maybe'"),
        ("rlimit_nofile=x", "4:15: error: rlimit_nofile cannot be 'x'"),
        ("[x]\n[x]", "5:1: error: the section [x] stands here and in line 4"),
        ("x", "4:1: error: 'x' is neither a section nor"),
    ],
)
def test_a_bad_configuration_is_refused_in_rootwraps_words_and_with_its_line(
    installed: Path, write_config: WriteConfig, options: str, place: str
) -> None:
    config = write_config(FILTERS, options)
    theirs, ours = (run([*wrapper, config, "echo"]) for wrapper in (OSLO, [installed]))
    assert ours.returncode == theirs.returncode == 97
    assert ours.stderr.replace(os.fsencode(installed), b"-c").startswith(theirs.stderr)
    assert f"\n{installed}: {config}:{place}".encode() in ours.stderr


def settle(config: Path) -> None:
    """Let the files be so old that an index of them may be kept."""
    newest = max(path.stat().st_ctime_ns for path in (config, config.parent / "rootwrap.d"))
    while time.time_ns() < newest + 100_000_000:
        os.sched_yield()


@pytest.mark.root
def test_the_index_is_kept_and_used(installed: Path, write_config: WriteConfig) -> None:
    config = write_config(FILTERS)
    settle(config)
    assert run([installed, config, "echo"]).returncode == 0
    kept = Path(client.index_path(str(config)))
    assert kept.stat().st_mode & 0o777 == 0o644
    slow = installed.parent / "slow"
    slow.rename(slow.with_suffix(".away"))  # what the index answers needs nothing else
    assert run([installed, config, "echo"]).returncode == 0
    kept.unlink()


@pytest.mark.root
@pytest.mark.parametrize("change", ["edit", "add", "remove", "replace", "mode"])
def test_an_edit_counts_at_once(installed: Path, write_config: WriteConfig, change: str) -> None:
    config = write_config(FILTERS)
    settle(config)
    assert run([installed, config, "unknown"]).returncode == 99
    assert run([installed, config, "sleep", "0"]).returncode == 0
    folder = config.parent / "rootwrap.d"
    filters = folder / "a.filters"
    expected = 99
    match change:
        case "edit":
            filters.write_text(filters.read_text().replace("sleep:", "#sleep:"))
        case "add":
            (folder / "0.filters").write_text("[Filters]\nx: CommandFilter, /nowhere/sleep, root\n")
            filters.write_text("[Filters]\n")
            expected = 96
        case "remove":
            filters.unlink()
        case "replace":
            other = config.parent / "other"
            other.write_text("[Filters]\n")
            other.rename(filters)
        case _:
            folder.chmod(0o777)
            expected = 97
    assert run([installed, config, "sleep", "0"]).returncode == expected


@pytest.mark.root
def test_a_broken_file_denies_and_does_not_fall_back(
    installed: Path, write_config: WriteConfig
) -> None:
    config = write_config(FILTERS)
    settle(config)
    assert run([installed, config, "echo"]).returncode == 0
    (config.parent / "rootwrap.d" / "a.filters").write_text("[Filters]\necho: CommandFilter\n")
    ours = run([installed, config, "echo"])
    assert ours.returncode == 97
    assert b"Traceback" not in ours.stderr


@pytest.mark.root
@pytest.mark.parametrize("what", ["rootwrap.conf", "rootwrap.d", "rootwrap.d/a.filters", "."])
@pytest.mark.parametrize("how", ["owner", "mode", "access list"])
def test_what_others_can_write_is_refused(
    installed: Path, write_config: WriteConfig, what: str, how: str
) -> None:
    config = write_config(FILTERS)
    path = config.parent / what
    path.chmod(0o775)
    assert run([installed, config, "echo"]).returncode == 0  # from here on there is an index
    if how == "owner":
        os.chown(path, 65534, -1)
    elif how == "mode":
        path.chmod(0o777)
    else:
        give_access(path, 65534)
    ours = run([installed, config, "echo"])
    assert ours.returncode == 97
    assert b"will not be used: " in ours.stderr


@pytest.mark.root
def test_a_program_that_others_can_write_is_not_run(
    installed: Path, write_config: WriteConfig, trusted_dir: Path
) -> None:
    program = trusted_dir / "program"
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o777)
    config = write_config(f"p: CommandFilter, {program}, root")
    ours = run([installed, config, "program"])
    assert (ours.returncode, ours.stdout) == (97, b"")
    program.chmod(0o755)
    assert run([installed, config, "program"]).stdout == b"ran\n"
    give_access(program, 65534)
    ours = run([installed, config, "program"])
    assert (ours.returncode, ours.stdout) == (97, b"")


ENTRY = "from privmigrate.shim.{} import command; import sys; sys.exit(command())"


@pytest.mark.root
def test_what_is_accepted_is_not_the_callers_to_say(
    installed: Path, write_config: WriteConfig, trusted_dir: Path
) -> None:
    config = write_config(FILTERS)
    config.parent.chmod(0o777)
    daemon = trusted_dir / "x-rootwrap-daemon"
    daemon.write_text(render_daemon(sys.executable, ()))
    starts: list[list[str | Path]] = [
        [installed],
        [sys.executable, "-I", str(daemon)],
        [sys.executable, "-c", ENTRY.format("rootwrap_main")],
        [sys.executable, "-c", ENTRY.format("rootwrap_daemon_main")],
    ]
    accept: list[str | Path] = ["--accept", config.parent]
    for start in starts:
        for words in (accept, ["--as", "x", *accept], ["--serve"], [*accept, "--serve"]):
            for command in ([], ["echo", "ran"]):
                whole: list[str | Path] = [*start, *words, config, *command]
                ours = run(whole, env={"PYTHONPATH": str(PROJECT)})
                assert ours.returncode in {97, 98}, ours
                assert ours.stdout == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_ends_the_command_and_then_the_client(
    installed: Path, write_config: WriteConfig, number: int
) -> None:
    config = write_config(FILTERS)
    words: list[str | Path] = [installed, config, "sh", "-c", "echo $$; exec sleep 60"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        process.send_signal(number)
        assert process.wait(10) == -number
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("ignored", [signal.SIGHUP, signal.SIGINT, signal.SIGCHLD])
def test_ignored_signals_stay_ignored(
    installed: Path, write_config: WriteConfig, ignored: int
) -> None:
    def ignore() -> None:
        signal.signal(ignored, signal.SIG_IGN)

    config = write_config(FILTERS)
    words = ["sh", "-c", "grep SigIgn /proc/self/status; exit 4"]
    theirs, ours = (
        run([*wrapper, config, *words], preexec_fn=ignore) for wrapper in (OSLO, [installed])
    )
    assert ours.stdout == theirs.stdout
    assert ours.returncode == 4


def test_the_client_loads_what_is_built_in() -> None:
    source = (
        f"import sys; sys.path.insert(0, {str(Path(client.__file__).parent)!r})\n"
        "before = set(sys.modules); import client; print(*set(sys.modules) - before)"
    )
    loaded = run([os.path.realpath(sys.executable), "-I", "-S", "-c", source]).stdout.split()
    assert set(loaded) <= {b"client", b"_sre", b"_signal"}


def test_an_index_of_another_interpreter_is_used_by_its_texts(write_config: WriteConfig) -> None:
    config = write_config("r: RegExpFilter, echo, root, echo, [a-c]+")
    index = client.Index(build(Source(str(config), dict(os.environ))).data)
    assert index.compiled
    for compiled in (True, False):
        index.compiled, index.patterns = compiled, {}
        caller = client.Caller(dict(os.environb))
        assert client.decide(index, ["echo", "abc"], caller).name == "r"
        with pytest.raises(client.Quit, match="no filter matched"):
            client.decide(index, ["echo", "abd"], caller)


def test_secrets_are_not_logged() -> None:
    masked = client.mask_secrets(
        ["x", "--password", "p1", "--chap-secret=p2", "PASSWORD:p3", "-t", "--token", "p4", "p5"]
    )
    assert [w for w in masked if w.startswith("p")] == ["p5"]


@pytest.mark.parametrize("text", ['a"b\\c', "é\n", "\U0001f600", "\udcff", ""])
def test_audit_strings_are_json(text: str) -> None:
    assert json.loads(client.quote(text)) == text


@pytest.mark.parametrize(
    ("words", "exact", "strict"),
    [
        (["echo", "5"], 0, 0),
        (["echo", "5\n"], 0, 99),
        (["echo", "٣"], 0, 99),
        (["cat", "/etc/hostname-not"], 1, 99),
        (["missing"], 96, 96),
        (["unknown"], 99, 99),
    ],
)
def test_strict_mode_is_narrower(
    installed: Path, write_config: WriteConfig, words: list[str], exact: int, strict: int
) -> None:
    filters = (
        "echo: RegExpFilter, echo, root, echo, \\d+\ncat: RegExpFilter, cat, root, cat, "
        "/etc/hostname|x\nmissing: CommandFilter, /nowhere/missing, root"
    )
    config = write_config(filters)
    assert run([installed, config, *words]).returncode == exact
    config = write_config(filters, "[privmigrate]\nstrict = yes")
    assert run([installed, config, *words]).returncode == strict
