"""The lock itself, and files that appear all at once or not at all."""

import itertools
import json
import os
import resource
import signal
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from privmigrate.convert.lock import (
    NAME,
    Lock,
    LockedFile,
    parse_lock,
    print_lock,
    read_disk,
    write,
    write_sources,
)
from privmigrate.convert.merge import Record, State
from privmigrate.errors import InputError
from tests.convert.packages import converted

LOCK = Lock(
    "privileged",
    {
        "a.py": LockedFile("0" * 64, (
            Record("abc", "find", ("path",), ("a.filters find",), "1" * 64),
            Record("def", "old", (), (), "2" * 64, State.ORPHAN),
        )),
        "b.py": LockedFile("3" * 64, ()),
    },
)  # fmt: skip


def test_a_lock_reads_as_it_was_written() -> None:
    text = print_lock(LOCK)
    assert parse_lock(text, NAME) == LOCK
    assert json.loads(text)["package"] == "privileged"
    assert len(text.splitlines()) == 7, "one unit a line, for whoever reads the difference"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "x.lock:1: error: is no JSON"),
        ("{}", "x.lock: error: is no lock of ours: KeyError('format')"),
        ('{"format": 2}', "x.lock: error: has format 2, and this privmigrate knows 1"),
        ("[]", "x.lock: error: is no lock of ours"),
        (print_lock(LOCK).replace('"find"', '"x():\\n    import os\\ndef y"'),
         "x.lock: error: is no lock of ours: ValueError("),
        (print_lock(LOCK).replace('"path"', '"path=1, *, _"'),
         "x.lock: error: is no lock of ours: ValueError("),
        (print_lock(LOCK).replace('"a.py"', '"a\\nimport os.py"'),
         "x.lock: error: is no lock of ours: ValueError("),
        (print_lock(LOCK).replace('"find"', '"import"'),
         "x.lock: error: is no lock of ours: ValueError("),
        ('{"format": 1, "package": "p", "files": {"../x": {"sha256": "", "units": []}}}',
         "x.lock: error: is no lock of ours: ValueError(\"'../x' is no file of a package\")"),
        ('{"format": 1, "package": "p", "files": {"x.py": {"sha256": "", "units": [3]}}}',
         "x.lock: error: is no lock of ours"),
    ],
)  # fmt: skip
def test_what_is_no_lock_of_ours_is_said(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_lock(text, "x.lock")
    assert str(caught.value).startswith(message)


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.py").write_text("x = 1\n")
    with pytest.raises(InputError, match=r"is not empty and has no privmigrate\.lock"):
        read_disk(tmp_path, "privileged")


def test_a_package_of_another_name_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "p", {NAME: print_lock(LOCK)}, {})
    with pytest.raises(InputError, match="is of the package privileged"):
        read_disk(tmp_path / "p", "other")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("")
    with pytest.raises(InputError, match="is no folder"):
        read_disk(tmp_path / "p", "p")


@pytest.mark.parametrize("made", ["p", "other"])
def test_an_absent_or_empty_folder_can_be_taken(tmp_path: Path, made: str) -> None:
    (tmp_path / made).mkdir()
    assert read_disk(tmp_path / "p", "p").lock is None
    write(tmp_path / "p", {"a.py": "x\n"}, {})
    assert (tmp_path / "p" / "a.py").read_text() == "x\n"


def swap_fails(*_paths: str) -> None:
    raise OSError(38, "no such system call")


@pytest.fixture(params=["exchange", "rename"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of putting files into place: the second is for filesystems without the first."""
    if request.param == "rename":
        monkeypatch.setattr("privmigrate.linux._libc.exchange", swap_fails)
    return str(request.param)


def test_everything_else_in_the_folder_stays(tmp_path: Path, way: str) -> None:
    folder = tmp_path / "p"
    write(folder, {"a.py": "1\n", "b.py": "1\n"}, {})
    (folder / "mine").mkdir(mode=0o750)
    (folder / "mine" / "x.txt").write_text("mine")
    (folder / "link").symlink_to("mine/x.txt")
    (folder / ".#a.py").symlink_to("somebody@nowhere.1")  # as an editor that has it open
    (folder / "a_ext.py").write_text("hand-written")
    (folder / "a.py").chmod(0o640)
    folder.chmod(0o750)
    number = (folder / "a_ext.py").stat().st_ino
    write(folder, {"a.py": "2\n"}, {"a.py": "1\n"})
    assert (folder / "a.py").read_text() == "2\n"
    assert (folder / "b.py").read_text() == "1\n"
    assert (folder / "mine" / "x.txt").read_text() == "mine"
    assert (folder / "link").is_symlink()
    assert (folder / ".#a.py").is_symlink()
    assert (folder / "a_ext.py").stat().st_ino == number
    modes = [
        oct(path.stat().st_mode & 0o777) for path in (folder, folder / "mine", folder / "a.py")
    ]
    assert modes == ["0o750", "0o750", "0o640"]
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_a_symlink_to_the_package_stays_one(tmp_path: Path, way: str) -> None:
    write(tmp_path / "real", {"a.py": "1\n"}, {})
    (tmp_path / "p").symlink_to("real")
    write(tmp_path / "p", {"a.py": "2\n"}, {"a.py": "1\n"})
    assert (tmp_path / "p").is_symlink()
    assert (tmp_path / "real" / "a.py").read_text() == "2\n"


def test_what_was_changed_meanwhile_is_not_overwritten(tmp_path: Path, way: str) -> None:
    write(tmp_path / "p", {"a.py": "1\n"}, {})
    (tmp_path / "p" / "a.py").write_text("edited\n")
    with pytest.raises(InputError, match="has been changed just now"):
        write(tmp_path / "p", {"a.py": "2\n"}, {"a.py": "1\n"})
    assert (tmp_path / "p" / "a.py").read_text() == "edited\n"
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_new_files_have_the_modes_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "p", {"a.py": "1\n"}, {})
    finally:
        os.umask(before)
    assert oct((tmp_path / "p").stat().st_mode & 0o777) == "0o750"
    assert oct((tmp_path / "p" / "a.py").stat().st_mode & 0o777) == "0o640"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write(tmp_path / "file" / "p", {"a.py": ""}, {})


def write_for_ever(folder: Path, size: int, ready: int) -> NoReturn:
    """In a child: write one package after the other, until somebody kills it."""
    try:
        texts = [{f"m{n}.py": f"{turn}\n" * size for n in range(12)} for turn in (0, 1)]
        write(folder, texts[0], {})
        os.write(ready, b"x")
        for turn in itertools.cycle((0, 1)):
            write(folder, texts[1 - turn], texts[turn])
    finally:
        os._exit(1)


def states(folder: Path) -> set[str]:
    """What the modules say: one line for each different content."""
    return {path.read_text().strip().replace("\n", "") for path in folder.glob("m*.py")}


def test_a_run_that_is_killed_leaves_a_whole_package(tmp_path: Path) -> None:
    """Killed at any moment: all files are old, or all are new, and the next run clears up."""
    size = 50
    for attempt in range(12):
        folder = tmp_path / "p"
        begun, ready = os.pipe()
        child = os.fork()
        if not child:
            write_for_ever(folder, size, ready)
        assert os.read(begun, 1) == b"x"
        threading.Event().wait(0.011 * attempt)
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        os.close(begun)
        os.close(ready)
        assert len(list(folder.glob("m*.py"))) == 12
        (state,) = states(folder)
        assert state in ("0" * size, "1" * size)
        texts = {f"m{n}.py": path.read_text() for n in range(12) for path in [folder / f"m{n}.py"]}
        write(folder, {"m0.py": texts["m0.py"]}, texts)
        assert [path.name for path in tmp_path.iterdir()] == ["p"]
        write(folder, dict.fromkeys(texts, "0\n" * size), texts)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def test_the_lock_names_no_place_of_this_machine() -> None:
    conversion = converted("x: CommandFilter, x, root")
    assert str(Path.cwd()) not in "".join(conversion.texts.values())


def changes_of(folder: Path, **texts: tuple[str, str]) -> dict[Path, tuple[bytes, bytes]]:
    for name, (before, _) in texts.items():
        (folder / name).write_text(before)
    return {folder / n: (b.encode(), a.encode()) for n, (b, a) in texts.items()}


def test_sources_are_written_all_together(tmp_path: Path) -> None:
    changes = changes_of(tmp_path, a=("1", "2"), b=("3", "4"))
    (tmp_path / "a").chmod(0o750)
    (tmp_path / "link").symlink_to("b")
    changes[tmp_path / "link"] = changes.pop(tmp_path / "b")
    write_sources(changes)
    assert [(tmp_path / name).read_text() for name in "ab"] == ["2", "4"]
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o750
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "link"]


def test_a_source_that_changed_meanwhile_stops_all(tmp_path: Path) -> None:
    changes = changes_of(tmp_path, a=("1", "2"), b=("3", "4"))
    (tmp_path / "b").write_text("mine")
    with pytest.raises(InputError, match=r"b: error: has been changed just now"):
        write_sources(changes)
    assert [(tmp_path / name).read_text() for name in "ab"] == ["1", "mine"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_source_that_cannot_be_written_puts_all_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = changes_of(tmp_path, a=("1", "2"), b=("3", "4"))
    replace = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if target.name == "b" and self.read_bytes() == b"4":
            raise OSError(28, "No space left on device", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(InputError, match=r"b: error: cannot be written: No space left"):
        write_sources(changes)
    assert [(tmp_path / name).read_text() for name in "ab"] == ["1", "3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_disk_that_is_full_is_told_of_the_file(tmp_path: Path) -> None:
    """And what was begun beside it is gone."""
    changes = changes_of(tmp_path, a=("1", "2"), b=("3", "4" * 100))
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, usual[1]))
    try:
        with pytest.raises(InputError, match=r"/b: error: cannot be written: File too large"):
            write_sources(changes)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert [(tmp_path / name).read_text() for name in "ab"] == ["1", "3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_folder_that_cannot_be_written_is_told_of_the_file(tmp_path: Path) -> None:
    changes = changes_of(tmp_path, a=("1", "2"))
    (name,) = changes
    gone = {Path("/proc", "version"): changes[name]}
    with pytest.raises(InputError, match=r"/proc/version: error: cannot be written: "):
        write_sources(gone)
