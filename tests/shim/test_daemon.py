"""The daemon in rootwrap-daemon's place: many at once, edits, ends, and strangers."""

import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from privmigrate.cli import main
from privmigrate.errors import ChannelClosed, InputError, Refused
from privmigrate.rootwrap.settings import parse_settings
from privmigrate.shim import manager
from privmigrate.shim.client_api import Client
from tests.shim.conftest import WriteConfig

PROJECT = Path(__file__).resolve().parent.parent.parent
FILTERS = """
echo: CommandFilter, echo, root
sh: CommandFilter, sh, root
cat: CommandFilter, cat, root
missing: CommandFilter, /nowhere/missing, root
"""
PYENV = Path.home() / ".pyenv" / "versions"
# and whatever else somebody wants to try
PYTHONS = [
    Path(sys.executable),
    *(sorted(PYENV.glob("3.1[0-9].*/bin/python")) if os.access(PYENV, os.R_OK | os.X_OK) else ()),
    *(Path(path) for path in os.environ.get("PRIVMIGRATE_PYTHONS", "").split(":") if path),
]


@pytest.fixture
def command(trusted_dir: Path) -> list[str]:
    path = trusted_dir / "daemon"
    path.write_text(
        f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
        "from privmigrate.shim.rootwrap_daemon_main import main; sys.exit(main())\n"
    )
    return [sys.executable, "-I", str(path)]


@pytest.fixture
def connect(command: list[str]) -> Iterator[Callable[[Path], Client]]:
    clients = []

    def start(config: Path) -> Client:
        clients.append(Client([*command, str(config)]))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


Connect = Callable[[Path], Client]


def test_streams_and_statuses(connect: Connect, write_config: WriteConfig) -> None:
    client = connect(write_config(FILTERS))
    assert client.execute(["sh", "-c", "cat; echo err >&2; exit 3"], "é") == (3, "é", "err\n")
    assert client.execute(["sh", "-c", "kill -9 $$"]) == (-9, "", "")
    assert client.execute(["missing"]) == (96, "", "")
    assert client.execute(["other"]) == (99, "", "")
    data = os.urandom(1 << 20)
    status, out, _ = client.execute(["cat"], data)
    assert (status, os.fsencode(out)) == (0, data)
    assert client.execute(["sh", "-c", "exec <&-; exec >&-; exec 2>&-; exit 2"], data)[0] == 2


def test_commands_run_side_by_side(connect: Connect, write_config: WriteConfig) -> None:
    config = write_config(FILTERS)
    client = connect(config)
    fifo = config.parent / "fifo"
    os.mkfifo(fifo)
    results = []

    def read() -> None:
        results.append(client.execute(["sh", "-c", f"read x < {fifo}; echo $x"]))

    # each waits for a line, and the one that writes them comes last
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert client.execute(["sh", "-c", f"echo line > {fifo}"])[0] == 0
        for thread in threads:
            thread.join(0.05)
        if len(results) == 4:
            break
    assert [status for status, _, _ in results] == [0] * 4


def test_no_more_at_once_than_configured(connect: Connect, write_config: WriteConfig) -> None:
    config = write_config(FILTERS, "[privmigrate]\nmax_commands = 2")
    client = connect(config)
    count = "ls | wc -l; touch $$; ls | wc -l; sleep 0.2; rm $$"
    folder = config.parent / "count"
    folder.mkdir()
    found = []

    def run() -> None:
        found.append(client.execute(["sh", "-c", f"cd {folder}; {count}"])[1])

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert max(int(line) for out in found for line in out.split()) <= 2


def test_an_edit_counts_for_the_next_command(connect: Connect, write_config: WriteConfig) -> None:
    config = write_config(FILTERS)
    client = connect(config)
    assert client.execute(["echo"])[0] == 0
    filters = config.parent / "rootwrap.d" / "a.filters"
    filters.write_text("[Filters]\n")
    assert client.execute(["echo"])[0] == 99
    filters.write_text("[Filters]\nbroken: CommandFilter\n")
    status, _, message = client.execute(["echo"])
    assert status == 97
    assert "a.filters:2" in message
    filters.write_text(f"[Filters]\n{FILTERS}")
    assert client.execute(["echo"])[0] == 0


@pytest.mark.root
def test_the_daemon_keeps_what_its_filters_need(
    connect: Connect, write_config: WriteConfig
) -> None:
    table = (
        "[capabilities]\ncat = CAP_NET_ADMIN\nsh = CAP_CHOWN CAP_KILL\necho = none\n"
        "missing = none\nprivsep-helper = none"
    )
    config = write_config(FILTERS, table)
    client = connect(config)

    def held(*argv: str) -> set[str]:
        out = client.execute(list(argv))[1]
        lines = dict(line.split(":\t") for line in out.splitlines() if ":\t" in line)
        return {lines[name] for name in ("CapPrm", "CapEff")}

    assert held("cat", "/proc/self/status") == {f"{1 << 12:016x}"}
    assert held("sh", "-c", "cat /proc/self/status") == {f"{1 << 0 | 1 << 5:016x}"}
    # the daemon itself: all of them, and no more
    assert held("sh", "-c", "cat /proc/$PPID/status") == {f"{1 << 12 | 1 << 0 | 1 << 5:016x}"}
    # what a later edit adds is held by its successor
    config.write_text(config.read_text().replace("cat = CAP_NET_ADMIN", "cat = CAP_SYS_NICE"))
    assert held("cat", "/proc/self/status") == {f"{1 << 23:016x}"}


def test_a_killed_daemon_is_reported_and_nothing_runs_twice(
    connect: Connect, write_config: WriteConfig
) -> None:
    config = write_config(FILTERS)
    client = connect(config)
    marker = config.parent / "marker"
    with pytest.raises(ChannelClosed) as closed:
        client.execute(["sh", "-c", f"echo x >> {marker}; kill -9 $PPID; sleep 0.2"])
    assert closed.value.may_have_run
    assert marker.read_text() == "x\n"
    assert client.execute(["echo", "again"])[1] == "again\n"


def test_an_idle_daemon_ends_and_is_started_again(
    connect: Connect, write_config: WriteConfig
) -> None:
    client = connect(write_config(FILTERS, "daemon_timeout=0"))
    pid = client.execute(["sh", "-c", "echo $PPID"])[1].strip()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        os.sched_yield()
    assert client.execute(["sh", "-c", "echo $PPID"])[1].strip() != pid


def test_a_daemon_that_cannot_start_says_why(connect: Connect, write_config: WriteConfig) -> None:
    with pytest.raises(InputError, match="Incorrect value in"):
        connect(write_config(FILTERS, "use_syslog=maybe")).execute(["echo"])


def address(command: list[str], config: Path) -> tuple[subprocess.Popen[bytes], str, bytes]:
    process = subprocess.Popen([*command, str(config)], stdout=subprocess.PIPE)
    assert process.stdout
    path = process.stdout.readline()[:-1].decode()
    return process, path, process.stdout.read(32)


def test_whoever_has_not_the_key_gets_nothing(
    command: list[str], write_config: WriteConfig
) -> None:
    process, path, key = address(command, write_config(FILTERS))
    with process:
        for payload in (b"", b"x", b"{sha256}" + bytes(32), b"{md4}" + bytes(16), bytes(16),
                        b"x" * 256):  # fmt: skip
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(path)
                assert manager.receive_bytes(sock).startswith(manager.CHALLENGE)
                manager.send_bytes(sock, payload)
                try:
                    assert manager.receive_bytes(sock) == manager.FAILURE
                except EOFError:
                    continue
        for junk in (b"[", b"{}", b'["", "run_one_command", ["echo"], {}]', b"[" * 10_000, b"\xff"):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(path)
                manager.answer_challenge(sock, key)
                manager.challenge(sock, key)
                manager.send_bytes(sock, junk)
                try:
                    assert b"TRACEBACK" in manager.receive_bytes(sock)
                except EOFError:
                    continue
        process.terminate()
        assert process.wait(10) == 0
    assert not Path(path).parent.exists()


@pytest.mark.parametrize("unnamed", [True, False])
def test_both_forms_of_the_challenge_are_answered(unnamed: bool) -> None:  # noqa: FBT001
    key = os.urandom(32)
    ours, theirs = socket.socketpair()
    # a random message of 20 bytes may begin like one with a name
    message = b"{md5}" + bytes(15) if unnamed else b"{sha384}" + bytes(40)
    manager.send_bytes(theirs, manager.CHALLENGE + message)
    manager.send_bytes(theirs, manager.WELCOME)
    manager.answer_challenge(ours, key)
    expected = hmac.new(key, message, "md5" if unnamed else "sha384").digest()
    answer = manager.receive_bytes(theirs)
    assert answer == (expected if unnamed else b"{sha384}" + expected)


@pytest.mark.parametrize("name", ["", "md5", "sha256", "sha384", "sha3_256", "sha3_384"])
def test_every_form_of_an_answer_is_judged(name: str) -> None:
    """Python up to 3.11 answers by MD5 without its name; a later one names what it was asked."""
    key = os.urandom(32)
    prefix = f"{{{name}}}".encode() if name else b""
    for right in (True, False):
        ours, theirs = socket.socketpair()
        refused: list[Refused] = []

        def ask(sock: socket.socket = ours, found: list[Refused] = refused) -> None:
            try:
                manager.challenge(sock, key)
            except Refused as error:
                found.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        message = manager.receive_bytes(theirs).removeprefix(manager.CHALLENGE)
        assert message.startswith(b"{sha256}")
        mac = hmac.new(key if right else bytes(32), message, name or "md5").digest()
        manager.send_bytes(theirs, prefix + mac)
        assert manager.receive_bytes(theirs) == (manager.WELCOME if right else manager.FAILURE)
        asking.join()
        assert bool(refused) != right


@pytest.mark.parametrize("python", PYTHONS, ids=str)
def test_oslo_rootwraps_client_of_any_python(
    command: list[str], write_config: WriteConfig, python: Path
) -> None:
    import oslo_rootwrap

    packages = str(Path(oslo_rootwrap.__file__).parent.parent)
    source = (
        f"import sys; sys.path.append({packages!r}); from oslo_rootwrap.client import Client\n"
        f"c = Client({[*command, str(write_config(FILTERS))]!r})\n"
        "print(c.execute(['echo', 'a']), c.execute(['x']))"
    )
    done = subprocess.run([python, "-c", source], capture_output=True, check=False, timeout=60)
    assert done.stdout == b"[0, 'a\\n', ''] [99, '', '']\n", done.stderr


def test_sigterm_lets_the_command_finish(connect: Connect, write_config: WriteConfig) -> None:
    client = connect(write_config(FILTERS))
    found = client.execute(["sh", "-c", f"kill -{signal.SIGTERM} $PPID; sleep 0.3; echo done"])
    assert found == (0, "done\n", "")


@pytest.mark.root
def test_status_shows_the_daemon(
    connect: Connect, write_config: WriteConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(FILTERS)
    client = connect(config)
    client.execute(["echo"])
    client.execute(["nothing"])
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert main(["shim", "status", "--config", str(config), "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)
        if found["daemons"] and found["daemons"][0]["refused"]:
            break
    (daemon,) = found["daemons"]
    assert (daemon["run"], daemon["refused"], daemon["failed"]) == (1, 1, 0)
    assert daemon["last_errors"] == ["Unauthorized command: nothing (no filter matched)"]
    assert [entry["name"] for entry in found["filters"]] == [
        "echo", "sh", "cat", "missing", "privsep-helper"
    ]  # fmt: skip


def test_a_daemon_of_an_older_package_makes_way(
    trusted_dir: Path, write_config: WriteConfig
) -> None:
    package = trusted_dir / "site" / "privmigrate"
    shutil.copytree(PROJECT / "privmigrate", package)
    program = trusted_dir / "daemon"
    program.write_text(
        f"import sys; sys.path.insert(0, {str(package.parent)!r})\n"
        "from privmigrate.shim.rootwrap_daemon_main import main; sys.exit(main())\n"
    )
    client = Client([sys.executable, "-I", str(program), str(write_config(FILTERS))])
    first = client.execute(["sh", "-c", "echo $PPID"])[1]
    assert client.execute(["sh", "-c", "echo $PPID"])[1] == first
    (package / "shim" / "plan.py").touch()
    deadline = time.monotonic() + 10  # it looks ten times a second
    while client.execute(["sh", "-c", "echo $PPID"])[1] == first:
        assert time.monotonic() < deadline
    client.close()


def test_what_a_daemon_cannot_give_is_refused(connect: Connect, write_config: WriteConfig) -> None:
    section = "[privmigrate]\nsetuid_programs = yes\n"
    with pytest.raises(InputError, match="setuid_programs cannot be yes for a daemon"):
        connect(write_config(FILTERS, section)).execute(["echo"])
    config = write_config(FILTERS, section + "capabilities = all\n")
    client = connect(config)
    assert client.execute(["echo"])[0] == 0
    # the same edit of a configuration that is being served denies
    config.write_text(config.read_text().replace("capabilities = all\n", ""))
    status, _, message = client.execute(["echo"])
    assert status == 97
    assert "setuid_programs" in message


@pytest.mark.parametrize(
    "section", ["execution = daemon\n", "[execution]\necho = daemon\n"], ids=["all", "one"]
)
def test_setuid_programs_and_a_daemon_exclude_each_other(section: str) -> None:
    text = f"[privmigrate]\nsetuid_programs = yes\n{section}".encode()
    with pytest.raises(
        InputError, match=r"x:2:1: error: setuid_programs cannot be 'yes' \(no, where"
    ):
        parse_settings(text, "x")
    assert parse_settings(b"[privmigrate]\ncapabilities = all\n" + text[14:], "x").setuid_programs
