"""What breaks on the way: nothing is lost silently, runs twice, or runs that may not."""

import os
import resource
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.shim import client
from privmigrate.shim.client_api import Client
from tests.root.test_shim_oneshot import DAEMON, FILTERS, Shim, wait_until
from tests.shim.conftest import WriteConfig, trusted_dir, write_config

__all__ = ["trusted_dir", "write_config"]

pytestmark = pytest.mark.root

PROJECT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def shim(trusted_dir: Path, write_config: WriteConfig) -> Iterator[Shim]:
    made = Shim(trusted_dir, write_config(FILTERS, DAEMON + "max_commands = 8\n"))
    yield made
    made.down()


def marked(folder: Path) -> Counter[str]:
    return Counter((folder / "marks").read_text().split())


def test_many_clients_at_once_each_run_once(shim: Shim, trusted_dir: Path) -> None:
    """150 processes, more than the daemon runs at once, in part before it is there."""
    running = []
    for number in range(150):
        script = f"echo {number} >> {trusted_dir}/marks"
        words: list[str | Path] = [shim.client, shim.config, "sh", "-c", script]
        running.append(subprocess.Popen(words, start_new_session=True))
    assert [process.wait(60) for process in running] == [0] * 150
    assert marked(trusted_dir) == Counter(str(number) for number in range(150))


def test_a_thousand_calls_while_the_daemon_is_killed(
    shim: Shim,
    trusted_dir: Path,
    write_config: WriteConfig,
) -> None:
    """Each call ran once or was reported; one that was reported may have run, and not twice."""
    config = write_config(FILTERS, "[privmigrate]\nmax_commands = 8\n")
    program = trusted_dir / "daemon"
    program.write_text(
        f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
        "from privmigrate.shim.rootwrap_daemon_main import main; sys.exit(main())\n"
    )
    caller = Client([sys.executable, "-I", str(program), str(config)])
    numbers = iter(range(1000))
    lock = threading.Lock()
    reported: set[int] = set()

    def work() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            kill = "; kill -9 $PPID" if number in {100, 400, 700} else ""
            script = f"echo {number} >> {trusted_dir}/marks{kill}"
            try:
                assert caller.execute(["sh", "-c", script])[0] == 0
            except Exception:  # noqa: BLE001 - whatever it is, the caller knows
                with lock:
                    reported.add(number)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    caller.close()
    found = marked(trusted_dir)
    assert max(found.values()) == 1
    assert {number for number in range(1000) if str(number) not in found} <= reported
    assert {100, 400, 700} <= reported
    assert len(reported) < 60


@pytest.mark.parametrize("execution", ["child", "exec", "daemon"])
def test_without_descriptors_nothing_runs_and_the_client_says_so(
    write_config: WriteConfig, trusted_dir: Path, execution: str
) -> None:
    """With 3, the interpreter itself does not start."""
    options = f"use_syslog=True\nsyslog_log_level=INFO\n[privmigrate]\nexecution = {execution}\n"
    shim = Shim(trusted_dir, write_config(FILTERS, options + "[capabilities]\nsh = CAP_CHOWN\n"))
    path = Path(client.index_path(str(shim.config)))
    wait_until(lambda: shim.run("sh", "-c", "echo").returncode == 0 and path.exists())
    failed = 0
    for number in range(4, 12):

        def few(most: int = number) -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

        done = shim.run("sh", "-c", "echo ran", preexec_fn=few)
        assert (done.returncode, done.stdout) in {(0, "ran\n"), (1, "")}
        assert "Traceback" not in done.stderr
        assert done.returncode == 0 or "Too many open files" in done.stderr
        failed += done.returncode
    assert failed
    shim.down()


@pytest.fixture
def no_processes() -> Iterator[Path]:
    """A control group in which nobody can fork."""
    lines = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    found = [
        Path(path)
        for _, path, kind, options, *_ in lines
        if (kind == "cgroup" and "pids" in options.split(","))
        or (kind == "cgroup2" and "pids" in Path(path, "cgroup.controllers").read_text().split())
    ]
    if not found:
        pytest.skip("no control group can limit processes here")
    group = found[0] / f"privmigrate-pids-{os.getpid()}"
    group.mkdir()
    (group / "pids.max").write_text("1")
    yield group
    wait_until(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()


@pytest.mark.parametrize("execution", ["child", "exec", "daemon"])
def test_without_processes_nothing_runs_and_the_client_says_so(
    write_config: WriteConfig, trusted_dir: Path, no_processes: Path, execution: str
) -> None:
    """Who becomes the command needs none; a daemon that cannot be started is no reason to fail."""
    shim = Shim(trusted_dir, write_config(FILTERS, f"[privmigrate]\nexecution = {execution}\n"))
    path = Path(client.index_path(str(shim.config)))
    wait_until(lambda: shim.run("sh", "-c", "echo").returncode == 0 and path.exists())
    shim.down()
    words = (
        f"echo $$ >{no_processes}/cgroup.procs; exec {shim.client} {shim.config} sh -c 'echo ran'"
    )
    done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=False)
    if execution == "exec":
        assert (done.returncode, done.stdout, done.stderr) == (0, "ran\n", "")
    else:
        assert (done.returncode, done.stdout) == (1, "")
        (said,) = done.stderr.splitlines()
        assert said.endswith("/sh: Resource temporarily unavailable")
    shim.down()


def test_a_full_disk_costs_the_index_and_nothing_else(
    write_config: WriteConfig,
    trusted_dir: Path,
) -> None:
    """In a namespace of its own /run is a full file system."""
    shim = Shim(trusted_dir, write_config(FILTERS))
    script = (
        "mount -t tmpfs -o size=4k none /run && mkdir /run/privmigrate && "
        "head -c 4096 /dev/zero > /run/fill 2>/dev/null;"
        f"{shim.client} {shim.config} sh -c 'echo ran'; ls /run/privmigrate"
    )
    words = ["unshare", "-m", "sh", "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "ran\n"
    assert done.stderr == ""


@pytest.mark.parametrize("damage", [b"", b"garbage", b"00000010", b"99999999x", bytes(5000)])
def test_a_damaged_index_is_made_anew(
    write_config: WriteConfig,
    trusted_dir: Path,
    damage: bytes,
) -> None:
    shim = Shim(trusted_dir, write_config(FILTERS))
    path = Path(client.index_path(str(shim.config)))
    wait_until(lambda: shim.run("sh", "-c", "echo").returncode == 0 and path.exists())
    path.write_bytes(damage)
    assert shim.run("sh", "-c", "echo ran").stdout == "ran\n"
    assert shim.run("unknown").returncode == 99
    shim.down()


def test_half_an_index_allows_nothing_more(
    write_config: WriteConfig,
    trusted_dir: Path,
) -> None:
    shim = Shim(trusted_dir, write_config(FILTERS))
    path = Path(client.index_path(str(shim.config)))
    wait_until(lambda: shim.run("sh", "-c", "echo").returncode == 0 and path.exists())
    whole = path.read_bytes()
    for size in range(0, len(whole), 97):
        path.write_bytes(whole[:size])
        assert shim.run("unknown").returncode == 99
        assert shim.run("sh", "-c", "exit 3").returncode in {3, 99}
    shim.down()


@pytest.mark.parametrize("how", ["owner", "mode", "link", "folder"])
def test_an_index_that_others_could_have_made_is_not_used(
    write_config: WriteConfig,
    trusted_dir: Path,
    how: str,
) -> None:
    shim = Shim(trusted_dir, write_config(FILTERS))
    path = Path(client.index_path(str(shim.config)))
    wait_until(lambda: shim.run("sh", "-c", "echo").returncode == 0 and path.exists())
    # as good as the real one, but for a filter more
    wide = write_config(FILTERS + "evil: CommandFilter, id, root\n")
    wait_until(lambda: shim.run("id").returncode == 0 and b"evil" in path.read_bytes())
    forged = path.read_bytes()
    write_config(FILTERS)
    path.write_bytes(forged)
    assert str(wide) == str(shim.config)
    assert shim.run("id").returncode == 99  # its signatures are of other files
    match how:
        case "owner":
            os.chown(path, 65534, -1)
        case "mode":
            path.chmod(0o666)
        case "link":
            path.rename(trusted_dir / "forged")
            path.symlink_to(trusted_dir / "forged")
        case _:
            path.parent.chmod(0o777)
    try:
        assert shim.run("id").returncode == 99
    finally:
        path.parent.chmod(0o755)
    shim.down()
