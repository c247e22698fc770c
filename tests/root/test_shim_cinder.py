"""cinder's own code and filters drive the shim as `privmigrate shim install` has put it there."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from privmigrate.cli import main
from privmigrate.shim import client
from tests.conftest import SERVICES

pytestmark = pytest.mark.root

VENV = SERVICES / "venv"
DRIVER = Path(__file__).with_name("cinder_driver.py")
PROJECT = DRIVER.parent.parent.parent
USER = "nobody"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
SERVICE = ("--service", "cinder")


@dataclass(frozen=True, slots=True)
class Host:
    """A host with cinder's filters, a disk, and the shim in front of cinder-rootwrap."""

    config: Path
    disk: str
    file: Path
    group: str

    def run(self, execution: str) -> list[str]:
        with self.config.open("a") as file:
            file.write(f"[privmigrate]\nexecution = {execution}\n")
        driver = self.config.with_name("driver.py")  # where that user can read it
        shutil.copy(DRIVER, driver)
        words = [VENV / "bin/python", "-W", "ignore", driver, self.config, self.disk, self.file]
        done = subprocess.run(
            [*map(str, words), self.group],
            capture_output=True,
            text=True,
            check=False,
            user=USER,
            extra_groups=[],
            cwd="/",
            env={"PATH": PATH, "HOME": "/nonexistent"},
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


@pytest.fixture
def host() -> Iterator[Host]:
    folder = Path(tempfile.mkdtemp(prefix="privmigrate-cinder-", dir="/opt"))
    folder.chmod(0o755)
    # what one test leaves behind would fail every later run
    with ExitStack() as cleared:
        cleared.callback(shutil.rmtree, folder)
        cleared.callback(_forget_index, folder)
        shutil.copytree(VENV / "etc/cinder/rootwrap.d", folder / "rootwrap.d")
        config = folder / "rootwrap.conf"
        config.write_text(
            f"[DEFAULT]\nfilters_path={folder}/rootwrap.d\n"
            f"exec_dirs=/sbin,/usr/sbin,/bin,/usr/bin,{VENV}/bin\ndaemon_timeout=3\n"
        )
        accepted = [f"--accept-writable={folder}" for folder in (PROJECT, "/var/tmp", "/tmp")]
        words = ["--config", str(config), "--user", USER]
        assert main(["shim", "install", *SERVICE, *words, *accepted]) == 0
        cleared.callback(main, ["shim", "uninstall", *SERVICE])
        (folder / "disk").touch()
        os.truncate(folder / "disk", 64 << 20)
        disk = _output("losetup", "--find", "--show", str(folder / "disk"))
        cleared.callback(_output, "losetup", "--detach", disk)
        file = folder / "file"
        file.touch()
        group = f"pm-{os.getpid()}"
        cleared.callback(_remove_group, group)
        yield Host(config, disk, file, group)


def _remove_group(name: str) -> None:
    """Remove a volume group, if the test came so far as to make it."""
    if name in _output("vgs", "--noheadings", "-o", "vg_name").split():
        _output("vgremove", "-qq", "--force", name)


def _forget_index(folder: Path) -> None:
    for path in Path(client.INDEX_DIR).glob(f"*{folder.name}*"):
        path.unlink()


def _output(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, check=True)
    return done.stdout.decode().strip()


@pytest.mark.skipif(
    not (VENV / "etc/cinder").exists(), reason="no real services: run tools/services_venv"
)
@pytest.mark.parametrize("execution", ["child", "exec", "daemon"])
def test_cinder_notices_nothing(host: Host, execution: str) -> None:
    found = host.run(execution)
    assert found[:3] == [f"sudo cinder-rootwrap {host.config}", "('0\\n', '')", "('', '')"]
    assert (host.file.stat().st_mode & 0o777, host.file.read_text()) == (0o640, "x")
    prefix = "/usr/local/bin/cinder-rootwrap: "
    assert found[3:7] == [
        "('', '')",
        "exit 1 /bin/cp: cannot create regular file '/no/such/folder': No such file or directory",
        f"exit 99 {prefix}Unauthorized command: reboot (no filter matched)",
        f"exit 96 {prefix}Executable not found: mmlsfs (filter match = mmlsfs)",
    ]
    version, made, volumes, groups, within = found[7:]
    assert version.startswith("(2, ")
    assert made == "None"
    assert f"'vg': '{host.group}', 'name': '{host.disk}'" in volumes
    assert groups == repr([host.group])
    assert within == "[]"
