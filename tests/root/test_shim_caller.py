"""Whoever calls sudo chooses limits, signals, streams, folder and environment: to no avail."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.linux.credentials import parse_status
from privmigrate.shim import client
from privmigrate.shim.script import render_client

pytestmark = pytest.mark.root

PROJECT = Path(__file__).resolve().parent.parent.parent
USER = "nobody"
KEPT = "CAP_CHOWN"
SCRIPT = "cat /proc/self/status"


class Service:
    """A configuration of root's, and sudo for a user who is not."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "rootwrap.conf"
        self.client = folder / "x-rootwrap"
        self.index = Path(client.index_path(str(self.config)))

    def call(self, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            ["/usr/bin/sudo", "-n", self.client, self.config, *words],
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
            text=True, errors="replace", check=False, user=USER, group="nogroup", extra_groups=[],
            timeout=60,
        )  # fmt: skip

    def left(self) -> set[str]:
        """Files beside the index that somebody did not clear away."""
        return {path.name for path in self.index.parent.glob(f"{self.index.name}.*")}


@pytest.fixture
def service() -> Iterator[Service]:
    folder = Path(tempfile.mkdtemp(prefix="privmigrate-caller-", dir="/opt"))
    folder.chmod(0o755)
    (folder / "rootwrap.d").mkdir()
    filters = "[Filters]\nsh: CommandFilter, sh, root\n" + "".join(
        f"f{number}: RegExpFilter, tool{number}, root, tool{number}, [a-z]+{number}\n"
        for number in range(300)
    )
    (folder / "rootwrap.d" / "a.filters").write_text(filters)
    made = Service(folder)
    made.config.write_text(
        f"[DEFAULT]\nfilters_path={folder}/rootwrap.d\nexec_dirs=/usr/bin,/bin\n"
        f"[capabilities]\nsh = {KEPT}\n"
    )
    slow = folder / "slow"
    slow.write_text(
        f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
        "from privmigrate.shim.rootwrap_main import main; sys.exit(main())\n"
    )
    words = [sys.executable, "-I", str(slow), "--as"]
    made.client.write_text(render_client(os.path.realpath(sys.executable), words, "for a test"))
    made.client.chmod(0o755)
    sudoers = Path("/etc/sudoers.d/privmigrate-caller-test")
    sudoers.write_text(f"{USER} ALL = (root) NOPASSWD: {made.client} {made.config} *\n")
    sudoers.chmod(0o440)
    yield made
    sudoers.unlink()
    shutil.rmtree(folder)
    made.index.unlink(missing_ok=True)


def limit(name: str, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def close(*numbers: int) -> Callable[[], None]:
    def before() -> None:
        for number in numbers:
            os.close(number)

    return before


def ignore() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if number < signal.SIGRTMIN:
            signal.signal(number, signal.SIG_IGN)


def block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def timers() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.02, 0.02)
    signal.setitimer(signal.ITIMER_PROF, 0.02, 0.02)


def lost_folder() -> None:
    folder = Path(f"/tmp/privmigrate-lost-{os.getpid()}")
    folder.mkdir()
    os.chdir(folder)
    folder.rmdir()


LIMITS = (
    ("FSIZE", 0), ("FSIZE", 1000), ("FSIZE", 40_000), ("CORE", 0), ("STACK", 1 << 16),
    ("AS", 20 << 20), ("AS", 32 << 20), ("AS", 64 << 20), ("CPU", 0), ("NOFILE", 3),
    ("NOFILE", 8), ("NOFILE", 12), ("MEMLOCK", 0), ("SIGPENDING", 0),
)  # fmt: skip
BEFORE: dict[str, Callable[[], object]] = {
    **{f"{name} {value}": limit(name, value) for name, value in LIMITS},
    "no input": close(0),
    "no output": close(1),
    "no error output": close(2),
    "no streams": close(0, 1, 2),
    "signals ignored": ignore,
    "signals blocked": block,
    "timers": timers,
    "a lost folder": lost_folder,
    "umask 0": lambda: os.umask(0),
    "umask 777": lambda: os.umask(0o777),
    "a session": os.setsid,
    "nice": lambda: os.nice(19),
}


@pytest.mark.parametrize("what", BEFORE)
def test_a_callers_circumstances_widen_nothing_and_leave_nothing_behind(
    what: str, service: Service
) -> None:
    """Without an index, again, and with one; afterwards everything is as it should be."""
    for indexed in (False, False, True):
        if indexed:
            assert service.call("sh", "-c", "true").returncode == 0
        done = service.call("sh", "-c", SCRIPT, preexec_fn=BEFORE[what])
        assert "Traceback" not in done.stderr
        if done.stdout:
            held = parse_status(done.stdout, 0)
            assert held.bounding <= CapabilitySet.parse(KEPT)
            assert held.no_new_privs
        else:
            assert done.returncode != 0 or what in {"no output", "no streams"}
    assert service.left() == set()
    assert service.call("tool1", "x1").returncode == 96
    assert service.call("tool1", "x2").returncode == 99
    done = service.call("sh", "-c", SCRIPT)
    assert parse_status(done.stdout, 0).bounding <= CapabilitySet.parse(KEPT)
    assert service.index.stat().st_mode & 0o777 == 0o644
