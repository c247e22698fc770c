"""Too many, too slow, and no process to be had: bounded, nothing lost silently or run twice."""

import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.shim import client, manager
from privmigrate.shim.client_api import Client
from tests.root.test_shim_oneshot import DAEMON, FILTERS, PROJECT, Shim
from tests.shim.conftest import WriteConfig, trusted_dir, write_config

__all__ = ["trusted_dir", "write_config"]

pytestmark = [pytest.mark.root, pytest.mark.timeout(60)]

CLIENTS = 1000
ANOTHER_UID = 61234  # nobody's: RLIMIT_NPROC says nothing to root, and counts a user's processes
PROGRAM = """
import sys; sys.path.insert(0, {project!r})
from privmigrate.shim.rootwrap_daemon_main import main
import os, pwd; os.setresuid({uid}, {uid}, {uid})
sys.exit(main())
"""
# Under the limits of the daemon, and without a terminal: all connect, all ask, then all listen.
CROWD = """
import os, resource, socket, sys
path, config, folder, number = *sys.argv[1:4], int(sys.argv[4])
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (number + 100, max(hard, number + 100)))
rights = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (0, 1, 2, os.open("/", os.O_PATH)))
socks = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(number)]
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
def ask(sock, place):
    words = ["sh", "-c", f"echo {place} >> {folder}/marks"]
    data = "\\0".join(["PM1", "22", config, "3", *words, "PATH=/usr/bin:/bin"]).encode()
    sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
for place, sock in enumerate(socks):
    sock.connect(path)
    ask(sock, place)
for sock in socks:
    sock.settimeout(30)
    begun = sock.recv(65536)[:1].decode()
    print(begun or "-", sock.recv(65536).decode() if begun == "B" else "-")
"""


def marks(folder: Path) -> Counter[str]:
    path = folder / "marks"
    return Counter(path.read_text().split()) if path.exists() else Counter()


def daemon_words(folder: Path, config: Path, uid: int = 0) -> list[str]:
    program = folder / "daemon"
    program.write_text(PROGRAM.format(project=str(PROJECT), uid=uid))
    return [sys.executable, "-I", str(program), str(config)]


def test_a_thousand_clients_of_the_one_shot_daemon(
    trusted_dir: Path, write_config: WriteConfig
) -> None:
    """Each is told that its command has begun, and then how it ended, or may run it itself."""
    shim = Shim(trusted_dir, write_config(FILTERS, DAEMON + "max_commands = 8\n"))

    def as_there() -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))

    deadline = time.monotonic() + 20
    while not shim.is_served(preexec_fn=as_there) and time.monotonic() < deadline:
        pass
    words = [
        sys.executable,
        "-c",
        CROWD,
        str(shim.socket),
        str(shim.config),
        str(trusted_dir),
        str(CLIENTS),
    ]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, start_new_session=True,
        preexec_fn=as_there,
    )  # fmt: skip
    answers = [line.split() for line in done.stdout.splitlines()]
    assert len(answers) == CLIENTS, done.stderr
    begun = {str(place) for place, (first, _) in enumerate(answers) if first == "B"}
    assert {last for first, last in answers if first == "B"} == {"E0"}
    assert len(begun) > 100
    assert marks(trusted_dir) == Counter(begun)
    assert shim.is_served(preexec_fn=as_there)
    shim.down()


def test_a_thousand_threads_of_our_client(trusted_dir: Path, write_config: WriteConfig) -> None:
    caller = Client(daemon_words(trusted_dir, write_config(FILTERS)))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    found: list[tuple[int, str, str]] = []

    def work(number: int) -> None:
        script = f"echo {number} >> {trusted_dir}/marks; echo {number}"
        found.append(caller.execute(["sh", "-c", script]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pid = caller.execute(["sh", "-c", "echo $PPID"])[1].strip()
    assert len(list(Path(f"/proc/{pid}/task").iterdir())) < 150
    caller.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert sorted(found) == sorted((0, f"{number}\n", "") for number in range(CLIENTS))
    assert marks(trusted_dir) == Counter(str(number) for number in range(CLIENTS))


def test_who_does_not_read_keeps_nobody_waiting(
    trusted_dir: Path, write_config: WriteConfig
) -> None:
    """With one command at a time: its output is taken, and kept for whoever reads it late."""
    options = "[privmigrate]\nmax_commands = 1\n"
    words = daemon_words(trusted_dir, write_config(FILTERS, options))
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout
        path, key = process.stdout.readline()[:-1].decode(), process.stdout.read(32)

        def connect() -> socket.socket:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(path)
            manager.answer_challenge(sock, key)
            manager.challenge(sock, key)
            manager.send(sock, [None, "accept_connection", ["x"], {}])
            assert manager.receive(sock) == ["#RETURN", None]
            return sock

        def ask(sock: socket.socket, script: str) -> None:
            manager.send(sock, ["x", "run_one_command", [["sh", "-c", script]], {}])

        slow, quick = connect(), connect()
        ask(slow, "head -c 4000000 /dev/zero | tr '\\0' x")
        quick.settimeout(10)
        for _ in range(3):
            ask(quick, "echo quick")
            assert manager.receive(quick) == ["#RETURN", [0, "quick\n", ""]]
        assert manager.receive(slow) == ["#RETURN", [0, "x" * 4_000_000, ""]]
        slow.close()
        quick.close()
        process.terminate()
        assert process.wait(10) == 0


@pytest.fixture
def open_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="privmigrate-crowd-", dir="/opt"))
    folder.chmod(0o777)
    (folder / "rootwrap.d").mkdir()
    (folder / "rootwrap.d" / "a.filters").write_text(f"[Filters]\n{FILTERS}")
    (folder / "rootwrap.conf").write_text(
        f"[DEFAULT]\nfilters_path={folder}/rootwrap.d\nexec_dirs=/usr/bin,/bin\n"
    )
    yield folder
    shutil.rmtree(folder)


def test_a_daemon_without_processes_says_so_and_goes_on(open_folder: Path) -> None:
    caller = Client(daemon_words(open_folder, open_folder / "rootwrap.conf", ANOTHER_UID))
    pid = int(caller.execute(["sh", "-c", "echo $PPID"])[1])

    def allow(processes: str) -> None:
        words = ["prlimit", "--pid", str(pid), f"--nproc={processes}:"]
        subprocess.run(words, check=True, user=ANOTHER_UID)

    allow("1")
    status, out, why = caller.execute(["sh", "-c", f"echo x >> {open_folder}/marks"])
    assert (status, out) == (1, "")
    assert "Resource temporarily unavailable" in why
    allow("100")
    assert caller.execute(["sh", "-c", f"echo $PPID; echo x >> {open_folder}/marks"]) == (
        0, f"{pid}\n", ""
    )  # fmt: skip
    caller.close()
    assert marks(open_folder) == Counter("x")


def test_a_client_without_processes_says_so(trusted_dir: Path, write_config: WriteConfig) -> None:
    """In a PID namespace whose first process has ended, fork fails (pid_namespaces(7))."""
    shim = Shim(trusted_dir, write_config(FILTERS))
    script = f"/bin/true; exec {shim.client} {shim.config} sh -c 'echo ran'"
    while not Path(client.index_path(str(shim.config))).exists():
        assert shim.run("sh", "-c", ":").returncode == 0
    done = subprocess.run(
        ["unshare", "--pid", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "Cannot allocate memory" in done.stderr
    shim.down()
