"""Small services, converted and rewritten by the command line."""

from pathlib import Path

import pytest

from tests.cli import services


@pytest.fixture
def make_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> services.Make:
    """Make a service of filters and modules, the current folder its checkout."""
    return services.maker(tmp_path, monkeypatch)
