"""Commands through the daemon: what is as without it, who is refused, what happens when it ends."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.linux.credentials import parse_status
from privmigrate.shim import client
from privmigrate.shim.script import render_client
from tests.shim.conftest import WriteConfig, trusted_dir, write_config

__all__ = ["trusted_dir", "write_config"]

pytestmark = pytest.mark.root

PROJECT = Path(__file__).resolve().parent.parent.parent
FILTERS = """
sh: CommandFilter, sh, root
cat: CommandFilter, cat, root
dash: CommandFilter, dash, nobody
env: EnvFilter, env, root, A=, sh
"""
DAEMON = "[privmigrate]\nexecution = daemon\n"
PARENT = "tr '\\0' ' ' < /proc/$PPID/cmdline"


class Shim:
    def __init__(self, folder: Path, config: Path) -> None:
        self.config = config
        slow = folder / "slow"
        slow.write_text(
            f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
            "from privmigrate.shim.rootwrap_main import main; sys.exit(main())\n"
        )
        self.client = folder / "client"
        words = [sys.executable, "-I", str(slow), "--as"]
        self.client.write_text(render_client(os.path.realpath(sys.executable), words, "for a test"))
        self.client.chmod(0o755)
        self.socket = Path(client.socket_path(str(config)))

    def run(self, *argv: str, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            [self.client, self.config, *argv],
            capture_output=True, text=True, check=False, timeout=30, start_new_session=True,
            **options,
        )  # fmt: skip

    def is_served(self, **options: object) -> bool:
        return "--serve" in self.run("sh", "-c", PARENT, **options).stdout

    def up(self) -> int:
        """Have the daemon run; give its pid."""
        wait_until(self.is_served)
        return int(self.run("sh", "-c", "echo $PPID").stdout)

    def down(self) -> None:
        for path in self.socket.parent.glob(f"{self.socket.name}*"):
            path.unlink()
        Path(client.index_path(str(self.config))).unlink(missing_ok=True)
        for status in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = status.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"--serve" in words and os.fsencode(self.config) in words:
                os.kill(int(status.parent.name), signal.SIGKILL)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        os.sched_yield()


def cgroups() -> Path:
    """Where the kernel's control groups are, in their second version."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, path, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(path)
    pytest.skip("no cgroup2 is mounted: no control group can be made")


@pytest.fixture
def shim(trusted_dir: Path, write_config: WriteConfig) -> Iterator[Shim]:
    made = Shim(trusted_dir, write_config(FILTERS, DAEMON))
    yield made
    made.down()


def test_the_first_client_starts_it_and_the_next_ones_use_it(shim: Shim) -> None:
    first = shim.run("sh", "-c", "echo ran")
    assert first.stdout == "ran\n"  # without it, since it was not there yet
    assert shim.up() != os.getpid()
    assert shim.socket.stat().st_mode & 0o777 == 0o600


def test_a_daemon_that_gave_up_the_rest_serves_too(shim: Shim, write_config: WriteConfig) -> None:
    """It may look at clients that hold more than it does; its commands may not."""
    limits = "[capabilities]\nsh = CAP_CHOWN\ncat = none\ndash = none\nenv = none\n"
    write_config(FILTERS, f"{DAEMON}{limits}privsep-helper = none\n")
    daemon = shim.up()
    held = parse_status(Path(f"/proc/{daemon}/status").read_text(), daemon)
    own = CapabilitySet.parse("CAP_CHOWN CAP_SETUID CAP_SETGID CAP_SYS_PTRACE")
    assert held.permitted == held.bounding == own
    script = "cat /proc/$PPID/comm /proc/self/status; chown 1 /proc/self/fd/0"
    done = shim.run("sh", "-c", script)
    status = parse_status(done.stdout.partition("\n")[2], 0)
    assert status.permitted == status.ambient == CapabilitySet.parse("CAP_CHOWN")
    assert status.bounding <= own
    assert status.no_new_privs
    assert shim.run("sh", "-c", "echo $PPID").stdout == f"{daemon}\n"


def test_a_client_in_another_control_group_runs_its_command_there(shim: Shim) -> None:
    shim.up()
    group = cgroups() / f"privmigrate-test-{os.getpid()}"
    group.mkdir()
    try:
        command = f"{shim.client} {shim.config} sh -c 'cat /proc/$PPID/comm; cat /proc/self/cgroup'"
        script = f"echo $$ >{group}/cgroup.procs; {command}"
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        parent, *lines = done.stdout.splitlines()
        assert parent == shim.client.name
        assert f"0::/{group.name}" in lines
    finally:
        group.rmdir()


def test_clients_that_race_get_one_daemon(shim: Shim) -> None:
    words: list[str | Path] = [shim.client, shim.config, "sh", "-c", "echo ran"]
    racing = [subprocess.Popen(words, stdout=subprocess.PIPE) for _ in range(12)]
    assert [process.communicate()[0] for process in racing] == [b"ran\n"] * 12
    pids = {shim.up() for _ in range(3)}
    assert len(pids) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["sh", "-c", "exit 7"],
        ["sh", "-c", "kill -9 $$"],
        ["sh", "-c", "cat; echo err >&2; umask; pwd; ulimit -a; id; env | sort; nice"],
        ["sh", "-c", "grep -E 'Sig|Groups|Gid|Uid' /proc/self/status"],
        ["sh", "-c", "ls /proc/self/fd | wc -l"],
        ["dash", "-c", "id"],
        ["env", "A=5", "sh", "-c", "echo $A"],
        ["unknown"],
    ],
)
def test_it_is_as_without_it(shim: Shim, trusted_dir: Path, words: list[str]) -> None:
    shim.up()
    options = {"input": "in", "cwd": trusted_dir, "umask": 0o026, "env": {"PATH": "/bin", "X": "é"}}
    served = shim.run(*words, **options)
    shim.config.write_text(shim.config.read_text().replace("= daemon", "= child"))
    alone = shim.run(*words, **options)
    assert (served.returncode, served.stdout, served.stderr) == (
        alone.returncode,
        alone.stdout,
        alone.stderr,
    )


def low_priority() -> None:
    os.nice(5)


def low_limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@pytest.mark.parametrize("before", [low_priority, low_limit])
def test_what_it_cannot_give_the_client_does_itself(shim: Shim, before: Callable[[], None]) -> None:
    shim.up()
    assert shim.is_served()
    assert not shim.is_served(preexec_fn=before)


def test_each_mount_namespace_has_its_own(shim: Shim, trusted_dir: Path) -> None:
    shim.up()
    (trusted_dir / "x").mkdir()
    script = (
        f"mount -t tmpfs none {trusted_dir}/x; touch {trusted_dir}/x/seen;"
        f"{shim.client} {shim.config} sh -c 'ls {trusted_dir}/x'"
    )
    inside = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=True
    )
    assert inside.stdout == "seen\n"
    assert shim.run("sh", "-c", f"ls {trusted_dir}/x").stdout == ""


def test_a_daemon_that_dies_is_reported_and_nothing_runs_twice(
    shim: Shim, trusted_dir: Path
) -> None:
    shim.up()
    done = shim.run("sh", "-c", f"echo x >> {trusted_dir}/marker; kill -9 $PPID; sleep 0.2")
    assert done.returncode == 1
    assert "the daemon ended while the command ran" in done.stderr
    assert (trusted_dir / "marker").read_text() == "x\n"
    assert shim.run("sh", "-c", "echo again").stdout == "again\n"  # a stale socket


def test_a_signal_reaches_the_command(shim: Shim) -> None:
    shim.up()
    words: list[str | Path] = [
        shim.client,
        shim.config,
        "sh",
        "-c",
        "trap 'echo got; exit' TERM; echo up; sleep 9 & wait",
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        process.terminate()
        assert process.stdout.readline() == b"got\n"
        assert process.wait(10) == -signal.SIGTERM


def test_an_edit_counts_for_the_next_command(shim: Shim) -> None:
    shim.up()
    filters = shim.config.parent / "rootwrap.d" / "a.filters"
    filters.write_text("[Filters]\n")
    assert shim.run("sh", "-c", "echo").returncode == 99
    filters.write_text("[Filters]\nsh: CommandFilter\n")
    assert shim.run("sh", "-c", "echo").returncode == 97


def test_who_is_not_root_gets_nothing(shim: Shim) -> None:
    shim.up()
    shim.socket.chmod(0o666)  # even if the mode did not keep them out
    source = (
        "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
        f"s.connect({str(shim.socket)!r}); s.send(b'PM1'); print(s.recv(100))"
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-c", source],
        capture_output=True,
        text=True,
        check=False,
        user="nobody",
    )
    hung_up = ("ConnectionResetError", "BrokenPipeError")  # before or after it sent
    assert done.stdout == "b''\n" or any(error in done.stderr for error in hung_up)


@pytest.mark.parametrize(
    "data",
    [b"x", b"PM1\0", b"PM1\0zz\0c\0001\0sh", b"PM1\00022\0c\0009\0sh", b"PM1\00022\0/x\0001\0sh"],
)
def test_malformed_requests_start_nothing(shim: Shim, data: bytes) -> None:
    pid = shim.up()
    for descriptors in ([], [0, 1, 2, 0], [0] * 9):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.connect(str(shim.socket))
            socket.send_fds(sock, [data], descriptors)
            assert sock.recv(1000)[:1] == b"N"
    assert shim.up() == pid


def test_a_socket_may_be_passed_as_systemd_does(shim: Shim) -> None:
    path = client.socket_path(str(shim.config), everywhere=True)
    slow = shim.client.parent / "slow"
    words = ["systemd-socket-activate", "--seqpacket", "-l", path, sys.executable, "-I", str(slow),
             "--serve", str(shim.config), "--as", "x-rootwrap"]  # fmt: skip
    Path(path).parent.mkdir(exist_ok=True)
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as activated:
        wait_until(Path(path).exists)
        wait_until(shim.is_served)
        assert not shim.socket.exists()
        activated.kill()
    Path(path).unlink()
