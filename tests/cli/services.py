"""Small services that are converted, rewritten, and whose proofs are run, by the command line."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from privmigrate.cli import main

PACKAGE = "svc.privileged"
FILTERS = "etc/svc/rootwrap.d"
HEAD = """\
from oslo_concurrency import processutils


def execute(*cmd, **kwargs):
    return processutils.execute(*cmd, root_helper='sudo svc-rootwrap', **kwargs)
"""


class Service:
    """A checkout in the current folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, filters: str, modules: Mapping[str, str]) -> None:
        """Write rules, and modules by their names; ``svc.utils`` has an executor."""
        rules = self.folder / FILTERS
        rules.mkdir(parents=True, exist_ok=True)
        (rules / "svc.filters").write_text(f"[Filters]\n{textwrap.dedent(filters)}")
        (self.folder / "svc").mkdir(exist_ok=True)
        for name, text in {"__init__": "", "utils": HEAD, **modules}.items():
            (self.folder / "svc" / f"{name}.py").write_text(textwrap.dedent(text))

    def convert(self, *options: str) -> int:
        """Make the package of entrypoints."""
        return main(["convert", FILTERS, "--callsites", "svc", "--package", PACKAGE, *options])

    def rewrite(self, *options: str) -> int:
        """Replace the calls."""
        return main(["rewrite", "svc", "--to", PACKAGE, *options])

    def text(self, module: str) -> str:
        """A module as it is now."""
        return (self.folder / "svc" / f"{module.replace('.', '/')}.py").read_text()

    def generated(self) -> dict[str, str]:
        """The package, by the names of its files."""
        folder = self.folder.joinpath(*PACKAGE.split("."))
        return {path.name: path.read_text() for path in sorted(folder.iterdir()) if path.is_file()}

    def proven(self) -> str:
        """What pytest says of the proofs in `proofs`."""
        return run_proofs()


def run_proofs() -> str:
    """What pytest says of the proofs in `proofs`."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "proofs"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": "."},
    )
    return done.stdout


Make = Callable[..., Service]


def maker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make what makes a service of filters and modules in `folder`, the current one from now on."""
    monkeypatch.chdir(folder)
    for name in [each for each in sys.modules if each.partition(".")[0] == "svc"]:
        monkeypatch.delitem(sys.modules, name)  # of another test

    def make(filters: str, **modules: str) -> Service:
        service = Service(folder)
        service.write(filters, modules)
        return service

    return make
