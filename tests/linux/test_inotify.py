"""Whatever happens to a file is told before the next question."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from privmigrate.linux.inotify import Changes

EDITS: dict[str, Callable[[Path], object]] = {
    "written": lambda path: path.write_text("b"),
    "appended": lambda path: path.open("a").write("b"),
    "mode": lambda path: path.chmod(0o600),
    "time": lambda path: os.utime(path, (1, 1)),
    "replaced": lambda path: path.with_name("new").replace(path),
    "removed": lambda path: path.unlink(),
    "made": lambda path: path.with_name("other").write_text(""),
    "folder moved": lambda path: path.parent.rename(path.parent.with_name("elsewhere")),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_change_is_told(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "file"
    path.write_text("a")
    path.with_name("new").write_text("a")
    changes = Changes((str(folder), str(path), str(folder / "missing")))
    assert not changes.any()
    path.read_text()
    assert not changes.any()
    EDITS[name](path)
    assert changes.any()
    changes.close()
    changes.close()


def test_no_descriptor_is_left_where_it_cannot_be_watched(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    before = sorted(Path("/proc/self/fd").iterdir())
    with pytest.raises(NotADirectoryError):
        Changes((str(path / "below"),))
    assert sorted(Path("/proc/self/fd").iterdir()) == before
