"""Configurations of root's own, in a folder that root alone controls, and oslo.rootwrap beside us.

/tmp will not do: privmigrate refuses configurations that others could have made.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

EXEC_DIRS = "/sbin,/usr/sbin,/bin,/usr/bin"


@pytest.fixture
def trusted_dir() -> Iterator[Path]:
    """A folder that nobody but this user can change, even where that is root."""
    base = "/root" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="privmigrate-", dir=base))
    yield folder
    shutil.rmtree(folder)


WriteConfig = Callable[..., Path]


@pytest.fixture
def write_config(trusted_dir: Path) -> WriteConfig:
    """Write a rootwrap.conf with one file of filters and further options; give its path."""

    def write(filters: str, options: str = "", *, exec_dirs: str = EXEC_DIRS) -> Path:
        folder = trusted_dir / "rootwrap.d"
        folder.mkdir(exist_ok=True)
        (folder / "a.filters").write_text(f"[Filters]\n{filters}\n")
        config = trusted_dir / "rootwrap.conf"
        config.write_text(f"[DEFAULT]\nfilters_path={folder}\nexec_dirs={exec_dirs}\n{options}\n")
        return config

    return write
