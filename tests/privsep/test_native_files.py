"""Natives on files: what people got wrong by hand, and what an attacker changes meanwhile."""

import errno
import os
import stat
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import chdir, suppress
from pathlib import Path

import pytest

from privmigrate.errors import Refused
from privmigrate.linux.mount import mounts, unmount
from privmigrate.privsep import tree
from privmigrate.privsep.execute import ExecResult, Executable, run
from privmigrate.privsep.natives import base, do
from privmigrate.privsep.natives.base import LeftToTool, always_quoted, c_quoted, quoted, split
from privmigrate.privsep.natives.tee import Tee
from tests.privsep.conftest import count_descriptors

DIRS = ("/sbin", "/usr/sbin", "/bin", "/usr/bin")


def native(tool: str, *words: str | Path, **options: str | bytes) -> ExecResult:
    """By the native, or not at all."""
    return do(Executable(tool, dirs=DIRS), *map(str, words), **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def nothing_is_executed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*words: object, **_options: object) -> ExecResult:
        raise AssertionError(f"executed: {words}")

    monkeypatch.setattr("privmigrate.privsep.natives.run", refuse)
    with chdir("/"):
        yield


# -- what was wrong in services


def test_a_folder_keeps_its_set_group_id_bit(tmp_path: Path) -> None:
    tmp_path.chmod(0o2750)
    assert native("chmod", "755", tmp_path).exit_code == 0
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o2755


def test_a_tree_is_not_left_by_its_links(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    inside = tmp_path / "tree"
    inside.mkdir()
    (inside / "link").symlink_to(outside)
    (inside / "folder").symlink_to(tmp_path)
    before = outside.stat()
    owner = f"{os.getuid()}:{os.getgid()}" if os.getuid() else "4321:4321"
    assert native("chown", "-R", owner, inside).exit_code == 0
    assert outside.stat() == before
    assert native("rm", "-rf", inside).exit_code == 0
    assert outside.exists()


def test_ln_makes_a_hard_link(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert native("ln", tmp_path / "a", tmp_path / "b").exit_code == 0
    assert (tmp_path / "b").samefile(tmp_path / "a")
    assert not (tmp_path / "b").is_symlink()


def test_touch_makes_the_file_before_its_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times by the descriptor: never by a name that may be another file by then."""
    seen: list[object] = []
    real = os.utime

    def utime(path: int | str) -> None:
        seen.append(path)
        real(path)

    monkeypatch.setattr(os, "utime", utime)
    assert native("touch", tmp_path / "f").exit_code == 0
    assert [type(each) for each in seen] == [int]
    assert (tmp_path / "f").exists()


def test_new_files_and_folders_have_modes_of_their_own(tmp_path: Path) -> None:
    """Whatever the umask of the process, which is nobody's but the process's."""
    before = os.umask(0)
    try:
        native("touch", tmp_path / "touch")
        native("tee", tmp_path / "tee", stdin="x")
        native("truncate", "-s", "1", tmp_path / "truncate")
        native("mkdir", "-p", tmp_path / "mkdir/below")
        native("mkdir", "-m", "0777", tmp_path / "wide")
        native("install", "-d", tmp_path / "install")
        native("cp", tmp_path / "tee", tmp_path / "cp")
    finally:
        assert os.umask(before) == 0
    modes = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode)
        for path in tmp_path.rglob("*")
    }
    assert modes == {
        **dict.fromkeys(("touch", "tee", "truncate", "cp"), 0o644),
        **dict.fromkeys(("mkdir", "mkdir/below", "install"), 0o755),
        "wide": 0o777,
    }


@pytest.mark.root
def test_a_default_access_list_takes_the_place_of_the_umask(tmp_path: Path) -> None:
    entries = ((1, 7, 2**32 - 1), (4, 7, 2**32 - 1), (32, 7, 2**32 - 1))
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(tmp_path, "system.posix_acl_default", acl)
    except OSError:
        pytest.skip("no access lists here")
    for tool in ("mkdir", "touch"):
        theirs = tmp_path / f"{tool}-tool"
        assert run(Executable(tool, dirs=DIRS), str(theirs)).exit_code == 0
        ours = tmp_path / f"{tool}-native"
        native(tool, ours)
        assert ours.stat().st_mode == theirs.stat().st_mode
        assert ours.stat().st_mode & 0o020


def test_sizes_are_in_the_units_of_the_tool(tmp_path: Path) -> None:
    path = tmp_path / "f"
    for size, expected in (("2G", 2**31), ("1KB", 1000), ("1K", 1024), (0, 0)):
        assert native("truncate", "-s", str(size), path).exit_code == 0
        assert path.stat().st_size == expected


def test_mv_goes_into_a_folder(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    (tmp_path / "d").mkdir()
    assert native("mv", tmp_path / "f", tmp_path / "d").exit_code == 0
    assert (tmp_path / "d/f").read_text() == "x"


def test_stat_looks_at_the_link(tmp_path: Path) -> None:
    (tmp_path / "l").symlink_to("nowhere")
    assert native("stat", "-c", "%F", tmp_path / "l").stdout == b"symbolic link\n"


def test_one_write_for_a_file_of_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    real = os.write

    def write(file: int, data: bytes) -> int:
        written.append(len(data))
        return real(file, data)

    monkeypatch.setattr(os, "write", write)
    assert native("tee", tmp_path / "f", stdin=b"x" * 100_000).exit_code == 0
    assert written == [100_000]


def test_undecodable_names(tmp_path: Path) -> None:
    name = tmp_path / os.fsdecode(b"\xff\xfe")
    assert native("touch", name).exit_code == 0
    assert native("ls", tmp_path).stdout == b"\xff\xfe\n"
    assert native("stat", "-c", "%n", name).stdout.endswith(b"\xff\xfe\n")
    assert native("rm", name) == (0, b"", b"")


# -- who may change what


@pytest.fixture
def base_folder(tmp_path: Path) -> Path:
    """A folder that paths were checked to lie in, with an attacker's link to outside it."""
    folder = tmp_path.resolve() / "base"
    folder.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("secret")
    (outside / "f").chmod(0o600)
    (folder / "out").symlink_to(outside)
    (folder / "link").symlink_to(outside / "f")
    (folder / "plain").write_text("x")
    return folder


def content(folder: Path) -> dict[str, object]:
    return {
        str(path.relative_to(folder)): (
            *(status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_mtime_ns),
            path.is_file() and path.read_bytes(),
        )
        for path in folder.rglob("*")
        for status in [path.lstat()]
    }


CALLS: tuple[tuple[str, ...], ...] = (
    ("chmod", "0777", "P"),
    ("chown", "4321", "P"),
    ("chown", "-R", "4321", "P"),
    ("chgrp", "4321", "P"),
    ("tee", "P"),
    ("tee", "-a", "P"),
    ("touch", "P"),
    ("truncate", "-s", "0", "P"),
    ("rm", "P"),
    ("rm", "-rf", "P"),
    ("cat", "P"),
    ("readlink", "P"),
    ("mkdir", "P"),
    ("mkdir", "-p", "P/x/y"),
    ("install", "-d", "P/x/y"),
    ("rmdir", "P"),
    ("ln", "-s", "x", "P"),
    ("ln", "-sf", "x", "P"),
    ("ls", "P"),
    ("stat", "-c", "%s", "P"),
    ("mv", "P", "Q"),
    ("mv", "Q", "P"),
    ("cp", "P", "Q"),
    ("cp", "Q", "P"),
    ("umount", "P"),
)
OF_LINKS: tuple[str, ...] = ("readlink", "rm", "stat", "ls", "mv", "-sf", "-R")
"""What is done to a link itself, as to any name."""


@pytest.mark.parametrize("words", CALLS, ids=" ".join)
def test_no_link_leads_out_of_the_folder_that_was_checked(
    words: tuple[str, ...], base_folder: Path
) -> None:
    """It was put there after the check. Nothing outside is read, changed, made or removed."""
    outside = base_folder.parent / "outside"
    before = content(outside)
    for name in ("out/f", "out/new", "out", "link"):
        paths = {"P": str(base_folder / name), "Q": str(base_folder / "plain")}
        argv = [
            paths.get(word[:1], word) + (word[1:] if word[0] in paths else "") for word in words
        ]
        try:
            result = native(*argv, within=str(base_folder), stdin=b"y")
        except Refused:
            result = ExecResult(99, b"", b"")
        assert content(outside) == before
        assert b"secret" not in result.stdout
        if name.startswith("out/") or not set(words) & set(OF_LINKS):
            assert result.exit_code != 0
        for link, target in (("out", outside), ("link", outside / "f")):  # a link itself may go
            (base_folder / link).unlink(missing_ok=True)
            (base_folder / link).symlink_to(target)


def test_a_listing_does_not_tell_what_a_link_leads_to(base_folder: Path) -> None:
    """Folders first: where a link stands among them would say whether there is a folder."""
    words = ("ls", "--group-directories-first", base_folder / "listed")
    (base_folder / "listed/z").mkdir(parents=True)
    (base_folder / "listed/f").touch()
    assert native(*words, within=str(base_folder)).stdout == b"z\nf\n"
    (base_folder / "listed/l").symlink_to(base_folder.parent / "outside")
    assert native(*words).stdout == b"l\nz\nf\n"
    with pytest.raises(Refused, match="it follows links"):
        native(*words, within=str(base_folder))
    assert native("ls", base_folder / "listed", within=str(base_folder)).stdout == b"f\nl\nz\n"


def test_a_link_that_takes_the_place_of_a_file_is_not_written_through(
    base_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the file and its opening."""
    path = base_folder / "plain"

    def swap(_native: Tee, _path: str) -> None:
        path.unlink()
        path.symlink_to(base_folder.parent / "outside/f")

    monkeypatch.setattr(Tee, "_look", swap)
    assert native("tee", path, within=str(base_folder), stdin=b"y").exit_code == 1
    assert (base_folder.parent / "outside/f").read_text() == "secret"


@pytest.mark.root
@pytest.mark.parametrize(
    "how", [("--bind", "L", "P"), ("--bind", "P", "L"), ("--make-private", "L")]
)
def test_nothing_is_mounted_on_or_from_a_link(how: tuple[str, ...], base_folder: Path) -> None:
    paths = {"L": str(base_folder / "link"), "P": str(base_folder / "plain")}
    before = mounts()
    try:
        with pytest.raises(Refused):
            native("mount", *(paths.get(word, word) for word in how), within=str(base_folder))
    finally:
        after = mounts()
        for path in paths.values():
            with suppress(OSError):
                unmount(path, lazily=True, follow=False)
    assert after == before


@pytest.mark.parametrize(
    "words",
    [
        ("chown", "-R", "+4321", "P"),
        ("chown", "0.0", "P"),
        ("chmod", "--reference=P", "P"),
        ("mkdir", "-m", "u=rwx", "P"),
        ("rm", "-rf", "P/"),
        ("tee", "P", "-"),
    ],
    ids=" ".join,
)
def test_what_a_caller_words_so_that_no_native_knows_it_is_refused(
    words: tuple[str, ...], base_folder: Path
) -> None:
    """The tool would follow a link that was put there after the check."""
    words = tuple(word.replace("P", str(base_folder / "out")) for word in words)
    with pytest.raises(Refused, match="below a folder"):
        native(*words, within=str(base_folder), stdin=b"y")
    with pytest.raises(Refused, match="below a folder"):
        native("rm", base_folder / "plain", within=str(base_folder), user="nobody")


def test_no_tool_no_refusal(base_folder: Path) -> None:
    """That a tool is not installed is said as ever."""
    with pytest.raises(AssertionError, match="executed"):
        native("no-such-tool", base_folder / "plain", within=str(base_folder))


@pytest.mark.parametrize(
    "words",
    [("stat", "-f", "-c", "%T", "P"), ("readlink", "-f", "P"), ("readlink", "-e", "P")],
    ids=" ".join,
)
def test_nothing_is_said_of_where_a_link_leads(
    words: tuple[str, ...], base_folder: Path, tmp_path: Path
) -> None:
    """Neither whether it is there, nor what it is."""
    link = base_folder / "link"
    said = []
    for target in ("/proc/1/exe", tmp_path / "nowhere"):
        link.unlink()
        link.symlink_to(target)
        try:
            said.append(
                str(native(*(w.replace("P", str(link)) for w in words), within=str(base_folder)))
            )
        except Refused as refused:
            said.append(str(refused))
    assert said[0] == said[1]
    assert "exit_code=0" not in said[0]


@pytest.mark.parametrize("within", [False, True])
def test_a_file_that_takes_the_place_of_a_new_folder_gets_no_mode(
    base_folder: Path, monkeypatch: pytest.MonkeyPatch, *, within: bool
) -> None:
    """Such as a program that is root's, to which set-user-ID would mean something else."""
    path, program = base_folder / "new", base_folder / "program"
    program.touch(mode=0o755)
    make = os.mkdir

    def swap(place: str, mode: int) -> None:
        make(place, mode)
        path.rmdir()
        program.rename(path)

    monkeypatch.setattr(os, "mkdir", swap)
    with pytest.raises(Refused if within else AssertionError):
        native("mkdir", "-m", "4755", path, **({"within": str(base_folder)} if within else {}))
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


@pytest.mark.parametrize("way", ["..", "../outside", "a/../../outside/f"])
def test_no_dots_lead_out_either(way: str, base_folder: Path) -> None:
    (base_folder / "a").mkdir()
    with pytest.raises(Refused):
        native("mkdir", "-p", f"{base_folder}/{way}/x", within=str(base_folder))
    assert native("touch", f"{base_folder}/{way}", within=str(base_folder)).exit_code == 1


def test_within_does_what_is_asked(base_folder: Path) -> None:
    within = str(base_folder)
    for words in (
        ("mkdir", "-p", f"{within}/a/b/c"),
        ("install", "-d", "-m", "0700", f"{within}/a/d/e"),
        ("touch", f"{within}/a/b/f"),
        ("tee", f"{within}/a/b/f"),
        ("chmod", "0600", f"{within}/a/b/f"),
        ("cp", f"{within}/a/b/f", f"{within}/a/g"),
        ("mv", f"{within}/a/g", f"{within}/a/b"),
        ("ln", f"{within}/a/b/g", f"{within}/a/h"),
        ("truncate", "-s", "9", f"{within}/a/h"),
    ):
        assert native(*words, within=within, stdin=b"hello") == (
            0,
            b"hello" if words[0] == "tee" else b"",
            b"",
        )
    assert (base_folder / "a/b/g").read_bytes() == b"hello\0\0\0\0"
    assert native("ls", f"{within}/a", within=within).stdout == b"b\nd\nh\n"
    assert native("rm", "-rf", f"{within}/a", within=within).exit_code == 0
    assert not (base_folder / "a").exists()


def test_a_tree_deeper_than_descriptors_and_frames(tmp_path: Path) -> None:
    """It takes no descriptors away from other calls."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    before, most = count_descriptors(), 0
    real = os.scandir

    def scandir(handle: int) -> "os.ScandirIterator[str]":  # type: ignore[name-defined]
        nonlocal most
        most = max(most, count_descriptors())
        return real(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        assert native("chown", "-R", str(os.getuid()), tmp_path / "d").exit_code == 0
        assert native("rm", "-rf", tmp_path / "d") == (0, b"", b"")
    assert most - before < 8
    assert count_descriptors() == before
    assert not (tmp_path / "d").exists()


class _Mover(tree.Visitor):
    """Moves a folder away while the walk is in it."""

    def __init__(self, move: Callable[[], object]) -> None:
        self.move = move
        self.left: list[str] = []

    def leaf(self, _folder: int, _name: str, _shown: str) -> bool:
        self.move()
        return True

    def unreadable(self, _folder: int, _name: str, _shown: str, _error: OSError) -> bool:
        return False

    def leave(self, _folder: int, _name: str, shown: str, *, well: bool) -> bool:
        self.left.append(shown)
        return well


def test_a_walk_does_not_go_up_another_way(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/f").touch()
    (tmp_path / "elsewhere").mkdir()
    mover = _Mover(lambda: (tmp_path / "a/b").rename(tmp_path / "elsewhere/b"))
    before = count_descriptors()
    with base.parent_of(str(tmp_path / "a")) as (folder, name), pytest.raises(OSError) as caught:
        tree.walk(folder, name, "a", mover)
    assert caught.value.errno == errno.ESTALE
    assert mover.left == []
    assert count_descriptors() == before


def test_a_folder_of_too_many_names_is_left_to_the_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d").mkdir()
    for number in range(4):
        (tmp_path / "d" / str(number)).touch()
    monkeypatch.setattr(tree, "MOST", 3)
    before = count_descriptors()
    with base.parent_of(str(tmp_path / "d")) as (folder, name), pytest.raises(LeftToTool):
        tree.walk(folder, name, "d", _Mover(lambda: None))
    with pytest.raises(Refused):
        native("rm", "-rf", tmp_path / "d", within=str(tmp_path))
    assert count_descriptors() == before


@pytest.mark.root
def test_what_is_mounted_in_a_tree_stays(tmp_path: Path) -> None:
    (tmp_path / "d/m").mkdir(parents=True)
    (tmp_path / "d/f").touch()
    assert native("mount", "--bind", tmp_path, tmp_path / "d/m").exit_code == 0
    try:
        result = native("rm", "-r", tmp_path / "d/m")
    finally:
        assert native("umount", tmp_path / "d/m").exit_code == 0
    assert b"Device or resource busy" in result.stderr or b"busy" in result.stderr


@pytest.mark.parametrize("tool", ["touch", "tee", "truncate", "cp", "mkdir", "rm", "chmod", "ls"])
def test_no_descriptor_is_left_open(tool: str, base_folder: Path) -> None:
    words = {"truncate": ("-s", "1"), "cp": (f"{base_folder}/plain",), "chmod": ("0700",)}
    before = count_descriptors()
    for name in ("plain", "nowhere/x", "new", "out/f"):
        for within in (None, str(base_folder)):
            options = {} if within is None else {"within": within}
            try:
                native(tool, *words.get(tool, ()), base_folder / name, **options)
            except (Refused, AssertionError):  # left to the tool
                continue
    assert count_descriptors() == before


# -- words and messages


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (("-rf", "a"), ({"r": "", "f": ""}, ("a",))),
        (("-m", "7", "a"), ({"m": "7"}, ("a",))),
        (("-rm7", "a", "b"), ({"r": "", "m": "7"}, ("a", "b"))),
        (("--mode=7",), ({"m": "7"}, ())),
        (("--mode", "7"), ({"m": "7"}, ())),
        (("--no-create", "--", "-x"), ({"f": ""}, ("-x",))),
        (("--mode",), None),
        (("--mode=",), None),
        (("-m",), None),
        (("-m7", "-m8"), None),
        (("--mod=7",), None),
        (("--no_create",), None),
        (("--no-create=1",), None),
        (("-x",), None),
        (("a", "-r"), None),
        (("-",), None),
    ],
)
def test_words_are_taken_apart_as_getopt_does(
    argv: tuple[str, ...], expected: tuple[dict[str, str], tuple[str, ...]] | None
) -> None:
    assert split(("tool", *argv), "rf", "m", mode="m", no_create="f") == expected


NAMES = (
    *(
        "a",
        "a b",
        "it's",
        "it's\"",
        "a'b:c",
        "a'b$c",
        "~a",
        "a~",
        "#a",
        "{",
        "{}",
        "a\\b",
        "a*",
        "a^b",
    ),
    *(
        "a:b",
        "a\tb\n",
        "\x01",
        "\u00e4",
        "\udcff",
        "'",
        "",
        "a=b",
        "-'x",
        "a]",
        "a[",
        "a!",
        "x\x7f",
    ),
    *("a`b", "\r\x07\x08\x0b\x0c", "'\n'", "%+,./@_"),
)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_shown_as_coreutils_does(name: str) -> None:
    def said(*argv: str) -> str:
        environment = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
        done = subprocess.run(argv, check=False, capture_output=True, env=environment, cwd="/proc")
        return os.fsdecode(done.stderr)

    assert said("cat", "--", name) == f"cat: {quoted(name)}: No such file or directory\n"
    assert said("rm", "--", name) == (
        f"rm: cannot remove {always_quoted(name)}: No such file or directory\n"
    )
    assert said("mkdir", "--", f"nowhere/{name}") == (
        f"mkdir: cannot create directory {c_quoted('nowhere/' + name)}: No such file or directory\n"
    )
