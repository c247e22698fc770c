"""The units of the shim's daemon, run by a real systemd that can change nothing of the host."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.linux.credentials import parse_status
from privmigrate.shim import client
from privmigrate.shim.script import render_client
from privmigrate.shim.units import render_service, render_socket
from tests.root.test_shim_oneshot import cgroups, wait_until
from tests.shim.conftest import WriteConfig, trusted_dir, write_config

__all__ = ["trusted_dir", "write_config"]

pytestmark = pytest.mark.root

PROJECT = Path(__file__).resolve().parent.parent.parent
BOOT = Path(__file__).with_name("systemd_boot.sh")
NAMESPACES = ("--mount", "--pid", "--cgroup", "--ipc", "--uts", "--net")
SOCKET, SERVICE = "x-privmigrate.socket", "x-privmigrate.service"
FILTERS = "sh: CommandFilter, sh, root\n"
OPTIONS = """daemon_timeout=2
[privmigrate]
execution = daemon
[capabilities]
sh = CAP_CHOWN
privsep-helper = none
"""
SERVED = "cat /proc/$PPID/cmdline | tr '\\0' ' '; sed -n 's/^0:://p' /proc/self/cgroup"


class Host:
    """A systemd with the two units, and commands beside it."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.config = str(config)
        slow = folder / "slow"
        slow.write_text(
            f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
            "from privmigrate.shim.rootwrap_main import main; sys.exit(main())\n"
        )
        words = [sys.executable, "-I", str(slow), "--as"]
        self.client = folder / "client"
        self.client.write_text(render_client(os.path.realpath(sys.executable), words, "for a test"))
        self.client.chmod(0o755)
        units = folder / "units"
        units.mkdir()
        path = client.socket_path(self.config, everywhere=True)
        (units / SOCKET).write_text(render_socket("x", path))
        command = [*words[:-1], "--serve", self.config, "--as", "x-rootwrap"]
        needed = CapabilitySet.parse("CAP_CHOWN")
        (units / SERVICE).write_text(render_service("x", command, needed))
        self._group = cgroups() / f"privmigrate-test-{os.getpid()}"
        self._group.mkdir()
        enter = f'echo $$ > {self._group}/cgroup.procs; exec unshare "$@"'
        options = (*NAMESPACES, "--fork", "--kill-child")
        self._starter = subprocess.Popen(
            ["sh", "-c", enter, "sh", *options, "sh", BOOT, units, SOCKET],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._init = 0
        wait_until(self._is_up)

    def _is_up(self) -> bool:
        path = Path(f"/proc/{self._starter.pid}/task/{self._starter.pid}/children")
        found = path.read_text().split()
        self._init = int(found[0]) if found else 0
        if not found or Path(f"/proc/{found[0]}/comm").read_text() != "systemd\n":
            return False
        return self.state(SOCKET) == "active"

    def state(self, unit: str) -> str:
        return self.inside("systemctl", "is-active", unit).stdout.strip()

    def inside(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["nsenter", "--target", str(self._init), "--all", "--", *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        return self.inside(str(self.client), self.config, "sh", "-c", script)

    def is_served(self) -> bool:
        by, _, group = self.run(SERVED).stdout.partition("\n")[0].rpartition(" ")
        ours = f"--serve {self.config} --as x-rootwrap" in by
        return ours and group == f"/system.slice/{SERVICE}"

    def down(self) -> None:
        if self._init:
            os.kill(self._init, signal.SIGKILL)
        self._starter.kill()
        self._starter.wait()
        wait_until(self._is_gone)

    def _is_gone(self) -> bool:
        try:
            for path in sorted(self._group.rglob("*"), reverse=True):
                if path.is_dir():
                    path.rmdir()
            self._group.rmdir()
        except OSError:
            return False
        return True


@pytest.fixture
def host(trusted_dir: Path, write_config: WriteConfig) -> Iterator[Host]:
    made = Host(trusted_dir, write_config(FILTERS, OPTIONS))
    yield made
    made.down()


def test_systemd_starts_it_again_and_again(host: Host) -> None:
    assert host.state(SERVICE) == "inactive"
    assert host.is_served()
    status = parse_status(host.run("cat /proc/self/status").stdout, 0)
    assert status.permitted == CapabilitySet.parse("CAP_CHOWN")
    assert (status.no_new_privs, status.seccomp) == (True, 0)
    # what it left running is not the daemon's to end
    pid = host.run("sleep 100 >/dev/null 2>&1 & echo $!").stdout.strip()
    assert host.inside("systemctl", "stop", SERVICE).returncode == 0
    assert host.inside("cat", f"/proc/{pid}/comm").stdout == "sleep\n"
    assert host.is_served()
    wait_until(lambda: host.state(SERVICE) == "inactive")  # idle for daemon_timeout
    assert host.state(SOCKET) == "active"
    assert host.run("exit 7").returncode == 7
    assert host.is_served()


def test_another_mount_namespace_gets_a_daemon_of_its_own(host: Host) -> None:
    assert host.is_served()
    command = f"{host.client} {host.config} sh -c \"cat /proc/\\$PPID/cmdline | tr '\\\\0' ' '\""
    script = f"i=0; while [ $i -lt 100 ]; do {command}; echo; sleep 0.1; i=$((i+1)); done"
    # as a service with PrivateTmp= has it
    found = host.inside("timeout", "10", "unshare", "--mount", "sh", "-c", script)
    lines = found.stdout.splitlines()
    assert str(host.client) in lines[0]  # its own, until its daemon is there
    assert " --serve " in lines[-1]
    assert "--as x-rootwrap" not in lines[-1]


@pytest.mark.parametrize("needed", [None, CapabilitySet.parse("CAP_CHOWN CAP_DAC_OVERRIDE")])
def test_the_units_are_valid_and_as_exposed_as_documented(
    tmp_path: Path, needed: CapabilitySet | None
) -> None:
    command = ["/usr/bin/env", "--serve", "/etc/x/rootwrap.conf"]
    path = client.socket_path("/etc/x/rootwrap.conf", everywhere=True)
    (tmp_path / SOCKET).write_text(render_socket("x", path))
    (tmp_path / SERVICE).write_text(render_service("x", command, needed))
    words = ["systemd-analyze", "verify", str(tmp_path / SOCKET), str(tmp_path / SERVICE)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    threshold = 96 if needed is None else 78  # docs/shim.md, times ten
    exposed = ["systemd-analyze", "security", "--offline=yes", f"--threshold={threshold}"]
    judged = subprocess.run(
        [*exposed, "--no-pager", str(tmp_path / SERVICE)], capture_output=True, check=False
    )
    assert judged.returncode == 0, judged.stdout.splitlines()[-1]
