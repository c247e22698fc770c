"""Subcommands in this process, and small services for them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from privmigrate.cli import main
from tests.cli import services

Run = Callable[..., tuple[int, str, str]]
"""Calls a subcommand with words: its exit code, what it printed, and what it told."""
Subcommand = Callable[..., Run]


@pytest.fixture
def subcommand(capsys: pytest.CaptureFixture[str]) -> Subcommand:
    """Make what calls a subcommand; the name of a folder is left out of what it says."""

    def make(name: str, folder: Path | None = None) -> Run:
        prefix = f"{folder}/" if folder is not None else ""

        def call(*words: str) -> tuple[int, str, str]:
            code = main([name, *words])
            said = capsys.readouterr()
            return code, said.out.replace(prefix, ""), said.err.replace(prefix, "")

        return call

    return make


@pytest.fixture
def make_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> services.Make:
    """Make a service of filters and modules, the current folder its checkout."""
    return services.maker(tmp_path, monkeypatch)
