"""Who could change what a path means."""

import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.linux.paths import group_that_writes, open_beneath, trusted
from privmigrate.shim import client


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that only root can change, which those of pytest below /tmp are not."""
    path = Path(tempfile.mkdtemp(prefix="privmigrate-", dir="/root"))
    yield path
    shutil.rmtree(path)


def give_access(path: Path, uid: int) -> None:
    """As ``setfacl -m u:UID:rwx``; the mode is 775 then, the group's bits being the mask."""
    entries = ((0x01, 7, -1), (0x02, 7, uid), (0x04, 5, -1), (0x10, 7, -1), (0x20, 5, -1))
    packed = b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + packed)


def test_system_files_are_trusted() -> None:
    for path in ("/", "/etc/passwd", "/bin/sh", "/usr/lib/../bin/env", "//etc/./passwd"):
        assert trusted(path) is None


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("etc/passwd", "etc/passwd is not an absolute path"),
        ("", " is not an absolute path"),
        ("/tmp/x", "/tmp is writable by everyone"),
        ("/etc/no-such-file", "/etc/no-such-file: No such file or directory"),
        ("/etc/passwd/x", "/etc/passwd/x: Not a directory"),
    ],
)
def test_what_is_not_trusted(path: str, why: str) -> None:
    assert trusted(path) == why


def test_a_path_that_no_file_can_have_is_not_trusted() -> None:
    """Each Python has its words for it."""
    why = trusted("/etc/\0")
    assert why is not None
    assert why.startswith("/etc/\0: ")
    assert "embedded null" in why


@pytest.mark.root
def test_every_owner_and_mode_on_the_way_counts(folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    file = inner / "file"
    file.write_text("x")
    assert trusted(str(file)) is None
    for part in (inner, file):
        os.chown(part, 2000, 0)
        assert trusted(str(file)) == f"{part} belongs to uid 2000, not to root"
        os.chown(part, 0, 2000)
        part.chmod(0o775)
        assert trusted(str(file)) == f"{part} is writable by group 2000"
        part.chmod(0o757)
        assert trusted(str(file)) == f"{part} is writable by everyone"
        os.chown(part, 0, 0)
        part.chmod(0o775)
        assert trusted(str(file)) is None
        give_access(part, 2000)
        who = "users or groups of its access control list"
        assert trusted(str(file)) == f"{part} is writable by {who}"
        os.removexattr(part, "system.posix_acl_access")


@pytest.fixture
def crowded() -> Iterator[Path]:
    """A file with an access control list among more attributes than the kernel lists."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        path = Path(file.name)
        give_access(path, 2000)
        for number in range(300):
            os.setxattr(path, f"trusted.{number:0240}", b"")
        yield path


@pytest.mark.root
def test_an_access_control_list_is_found_among_any_number_of_attributes(crowded: Path) -> None:
    """Whoever may write the file can give it as many as they like."""
    with pytest.raises(OSError, match="too long"):
        os.listxattr(crowded)
    who = "users or groups of its access control list"
    assert group_that_writes(crowded.stat(), str(crowded)) == who
    assert client.has_access_list(str(crowded))
    os.removexattr(crowded, "system.posix_acl_access")
    assert group_that_writes(crowded.stat(), str(crowded)) is None
    assert not client.has_access_list(str(crowded))


@pytest.mark.root
def test_links_are_judged_with_their_targets(folder: Path) -> None:
    (folder / "good").symlink_to("/etc/passwd")
    (folder / "relative").symlink_to("../../etc/passwd")
    (folder / "bad").symlink_to("/tmp/x")
    (folder / "loop").symlink_to("loop")
    (folder / "theirs").symlink_to("/etc/passwd")
    os.chown(folder / "theirs", 2000, 2000, follow_symlinks=False)
    assert trusted(f"{folder}/good") is None
    assert trusted(f"{folder}/relative") is None
    assert trusted(f"{folder}/bad") == "/tmp is writable by everyone"
    assert trusted(f"{folder}/loop") == f"{folder}/loop: too many symbolic links"
    assert trusted(f"{folder}/theirs") == f"{folder}/theirs belongs to uid 2000, not to root"


# INV-9
@pytest.mark.root
def test_one_step_of_somebodys_is_enough(folder: Path) -> None:
    (folder / "theirs").mkdir()
    (folder / "theirs" / "ours").mkdir()
    file = folder / "theirs" / "ours" / "file"
    file.touch()
    assert trusted(str(file)) is None
    os.chown(folder / "theirs", 2000, 0)
    assert trusted(str(file)) == f"{folder}/theirs belongs to uid 2000, not to root"


@pytest.mark.root
def test_no_descriptor_stays_open(folder: Path) -> None:
    file = folder / "file"
    file.touch()
    before = sorted(Path("/proc/self/fd").iterdir())
    for path in (str(file), "/tmp/x", f"{folder}/nothing"):
        trusted(path)
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_nothing_leads_out_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("inside")
    (tmp_path / "out").write_text("outside")
    (tmp_path / "in" / "up").symlink_to("../out")
    (tmp_path / "in" / "root").symlink_to("/etc/passwd")
    (tmp_path / "in" / "side").symlink_to("file")
    handle = os.open(tmp_path / "in", os.O_PATH | os.O_DIRECTORY)
    try:
        fd = open_beneath(handle, "file", os.O_RDONLY)
        assert not os.get_inheritable(fd)
        os.close(fd)
        for path in ("../out", "/etc/passwd"):
            with pytest.raises(OSError, match="cross-device"):
                open_beneath(handle, path, os.O_RDONLY)
        for path in ("side", "up", "root"):
            with pytest.raises(OSError, match="symbolic links"):
                open_beneath(handle, path, os.O_RDONLY)
    finally:
        os.close(handle)
