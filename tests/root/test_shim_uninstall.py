"""Taking the shim away: from wherever it was killed, its units and folders included."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.cli import main
from tests.root.test_shim_install import PROJECT, WAYS, image, install, state
from tests.root.test_shim_systemd import Host
from tests.shim.conftest import WriteConfig, trusted_dir, write_config

__all__ = ["image", "trusted_dir", "write_config"]

pytestmark = pytest.mark.root

UNINSTALL = ("shim", "uninstall", "--service", "cinder", "--root")
SOCKET = "cinder-privmigrate.socket"
# Kill this process before its n-th change of a file or folder, or before it starts a program.
KILLED = """
import os, signal, sys
left = int(sys.argv[1])
def hook(event, values):
    global left
    if event in CHANGES:
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
CHANGES = {"os.mkdir", "os.rmdir", "os.rename", "os.remove", "os.symlink", "os.chmod", "os.utime"}
from privmigrate.cli import main
sys.addaudithook(hook)
sys.exit(main(sys.argv[2:]))
"""


def folders(tree: Path) -> set[str]:
    """Those of the tree that are neither dpkg's nor made anew by every installation."""
    found = (str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_dir())
    return {name for name in found if not name.startswith(("var/lib/dpkg", "var/lib/privmigrate"))}


def whole(tree: Path) -> tuple[object, ...]:
    diverted = subprocess.run(
        ["dpkg-divert", "--root", tree, "--list"], capture_output=True, text=True, check=True
    )
    found = {name: it for name, it in state(tree).items() if "var/lib/privmigrate/" not in name}
    return found, folders(tree), diverted.stdout


def killed_at(place: int, *words: str) -> bool:
    """Run until a change; whether there was one."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(place), *words],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode != 0


INSTALL = ("shim", "install", "--service", "cinder", "--config", "/etc/cinder/rootwrap.conf",
           "--python", "/usr/bin/python3", "--systemd")  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_an_installation_that_is_killed_can_be_taken_back(image: Path, way: str) -> None:
    before = whole(image)
    place = 1
    while killed_at(place, *INSTALL, "--root", str(image), *WAYS[way][0]):
        if (image / "var/lib/privmigrate/shim/cinder.json").exists():
            assert main(["shim", "status", "--root", str(image)]) == 1
            assert main([*UNINSTALL, str(image)]) == 0
        assert whole(image) == before, place
        place += 1
    assert place > 10
    assert main([*UNINSTALL, str(image)]) == 0
    assert whole(image) == before
    assert not (image / "var/lib/privmigrate").exists()


@pytest.mark.parametrize("way", WAYS)
def test_an_uninstallation_that_is_killed_can_be_ended(image: Path, way: str) -> None:
    before = whole(image)
    place, runs = 1, True
    while runs:
        assert main([*INSTALL, "--root", str(image), *WAYS[way][0]]) == 0
        runs = killed_at(place, *UNINSTALL, str(image))
        if (image / "var/lib/privmigrate/shim/cinder.json").exists():
            assert main([*UNINSTALL, str(image)]) == 0
        assert whole(image) == before, place
        place += 1
    assert place > 8
    assert not (image / "var/lib/privmigrate").exists()


@pytest.mark.parametrize("kept", [False, True])
def test_folders_that_were_made_are_taken_away_where_they_are_empty(
    image: Path, *, kept: bool
) -> None:
    (image / "usr/local/bin").rmdir()
    before = folders(image)
    old = os.umask(0o077)
    try:
        assert install(image, "--systemd") == 0
    finally:
        os.umask(old)
    for name in ("usr/local/bin", "etc/systemd", "etc/systemd/system"):
        assert (image / name).stat().st_mode & 0o7777 == 0o755
    if kept:
        (image / "etc/systemd/system/other.service").touch()
    assert main([*UNINSTALL, str(image)]) == 0
    assert folders(image) - before == ({"etc/systemd", "etc/systemd/system"} if kept else set())


def test_units_that_are_enabled_in_an_image_are_disabled(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = whole(image)
    assert install(image, "--systemd") == 0
    enable = ["systemctl", "--root", str(image), "enable", SOCKET]
    subprocess.run(enable, check=True, capture_output=True)
    link = f"/etc/systemd/system/sockets.target.wants/{SOCKET}"
    assert (image / link[1:]).is_symlink()
    capsys.readouterr()
    assert main([*UNINSTALL, str(image), "--dry-run"]) == 0
    assert f"disable {SOCKET}: remove {link}" in capsys.readouterr().out.splitlines()
    assert (image / link[1:]).is_symlink()
    assert main([*UNINSTALL, str(image)]) == 0
    assert whole(image) == before


def test_a_dry_run_of_it_changes_nothing(image: Path) -> None:
    assert install(image, "--divert") == 0
    before = whole(image)
    assert main([*UNINSTALL, str(image), "--dry-run"]) == 0
    assert whole(image) == before


@pytest.fixture
def host(trusted_dir: Path, write_config: WriteConfig) -> Iterator[Host]:
    made = Host(trusted_dir, write_config("sh: CommandFilter, sh, root\n"))
    yield made
    made.down()


def test_a_real_systemd_forgets_the_units(host: Host) -> None:
    """The whole way of an administrator, on a host of its own."""
    words = (sys.executable, "-m", "privmigrate", "shim")
    install = ("install", "--service", "cinder", "--user", "nobody", "--config", host.config)
    done = host.inside(*words, *install, "--systemd")
    assert done.returncode == 0, done.stderr
    enabled = host.inside("systemctl", "enable", "--now", SOCKET)
    assert enabled.returncode == 0, enabled.stderr
    assert host.state(SOCKET) == "active"
    done = host.inside(*words, "uninstall", "--service", "cinder")
    assert done.returncode == 0, done.stderr
    assert f"stop {SOCKET}" in done.stdout.splitlines()
    assert f"disable {SOCKET}: remove /etc/systemd/system/sockets.target.wants/{SOCKET}" in (
        done.stdout.splitlines()
    )
    assert host.state(SOCKET) == "inactive"
    loaded = host.inside("systemctl", "show", "--property=LoadState", "--value", SOCKET)
    assert loaded.stdout.strip() == "not-found"
    assert host.inside("systemctl", "is-enabled", SOCKET).returncode != 0
    assert host.inside(*words, "status").stdout == "nothing installed\n"
