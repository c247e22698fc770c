"""Diversions and a real dpkg: the package is installed again, upgraded, removed, in an image."""

import subprocess
from pathlib import Path

import pytest

from privmigrate.cli import main
from tests.root.test_shim_install import image, install, state

__all__ = ["image"]

pytestmark = pytest.mark.root

CONTROL = """\
Package: cinder-common
Version: {version}
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: rootwrap's commands
"""
PATHS = ("usr/bin/cinder-rootwrap", "usr/bin/cinder-rootwrap-daemon")
UNINSTALL = ["shim", "uninstall", "--service", "cinder", "--root"]


class Packages:
    """A dpkg for an image, and releases of a package."""

    def __init__(self, root: Path, work: Path) -> None:
        self.root, self.work = root, work
        for name in ("info", "updates", "triggers"):
            (root / "var/lib/dpkg" / name).mkdir(exist_ok=True)
        for path in PATHS:
            (root / path).unlink()

    def dpkg(self, *words: str) -> None:
        subprocess.run(
            ["dpkg", "--root", self.root, "--force-not-root", "--force-bad-path", *words],
            check=True, capture_output=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )  # fmt: skip

    def install(self, version: str) -> None:
        tree = self.work / version
        for path in PATHS:
            file = tree / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"#!/bin/sh\n# {path} of {version}\n")
            file.chmod(0o755)
        (tree / "DEBIAN").mkdir(exist_ok=True)
        (tree / "DEBIAN/control").write_text(CONTROL.format(version=version))
        package = self.work / f"{version}.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "--build", tree, package],
            check=True, capture_output=True,
        )  # fmt: skip
        self.dpkg("--install", str(package))

    def content(self) -> list[str]:
        return [(self.root / path).read_text() for path in PATHS]

    def of(self, version: str) -> list[str]:
        return [f"#!/bin/sh\n# {path} of {version}\n" for path in PATHS]


@pytest.fixture
def packages(image: Path, tmp_path: Path) -> Packages:
    made = Packages(image, tmp_path)
    made.install("1.0")
    return made


def test_a_diversion_survives_a_reinstall_and_an_upgrade(packages: Packages) -> None:
    before = state(packages.root)
    assert install(packages.root, "--divert") == 0
    ours = packages.content()
    assert all("privmigrate" in text for text in ours)
    packages.install("1.0")
    assert packages.content() == ours
    assert main(["shim", "status", "--root", str(packages.root)]) == 0
    assert main([*UNINSTALL, str(packages.root)]) == 0
    assert packages.content() == packages.of("1.0")
    assert state(packages.root).keys() == before.keys()
    assert install(packages.root, "--divert") == 0
    packages.install("2.0")
    assert packages.content() == ours
    assert main([*UNINSTALL, str(packages.root)]) == 0
    assert packages.content() == packages.of("2.0")  # not what stood there then
    packages.install("3.0")
    assert packages.content() == packages.of("3.0")


def test_a_package_that_is_removed_meanwhile_comes_not_back(packages: Packages) -> None:
    assert install(packages.root, "--divert") == 0
    packages.dpkg("--purge", "cinder-common")
    assert main(["shim", "status", "--root", str(packages.root)]) == 0
    assert main([*UNINSTALL, str(packages.root)]) == 0
    assert not any((packages.root / path).exists() for path in PATHS)
    packages.install("1.0")
    assert packages.content() == packages.of("1.0")


def test_a_package_installed_over_an_additive_one_changes_nothing(packages: Packages) -> None:
    assert install(packages.root) == 0
    packages.install("2.0")
    assert main(["shim", "status", "--root", str(packages.root)]) == 0
    assert main([*UNINSTALL, str(packages.root)]) == 0
    assert packages.content() == packages.of("2.0")
