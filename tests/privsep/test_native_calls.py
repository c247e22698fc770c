"""`natives.do`: by a native where one can, by the tool otherwise, and never more than that."""

import os
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privmigrate.argv.spec import (
    AbsolutePath,
    Any,
    ArgSpec,
    Choice,
    Const,
    Int,
    Key,
    Matches,
    Never,
    PathWithin,
)
from privmigrate.errors import Refused
from privmigrate.linux.capabilities import Capability, CapabilitySet, acting_with, read_sets
from privmigrate.privsep import execute, natives, running
from privmigrate.privsep.commands import command
from privmigrate.privsep.execute import ExecResult, Executable, Planned, limited_to, run
from privmigrate.privsep.forecast import is_done_natively
from privmigrate.privsep.natives import NATIVES, do, find
from privmigrate.privsep.types import Netns, Operand
from privmigrate.testing import recording

DIRS = ("/sbin", "/usr/sbin", "/bin", "/usr/bin")
CHMOD, LS, RM, SYSCTL, TEE = (
    Executable(name, dirs=DIRS) for name in ("chmod", "ls", "rm", "sysctl", "tee")
)
MV, TOUCH, CAT = (Executable(name, dirs=DIRS) for name in ("mv", "touch", "cat"))


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, ...]]]:
    """The command lines that were executed, beside being executed."""
    seen: list[tuple[str, ...]] = []
    real = execute._execute

    def note(argv: tuple[str, ...], *rest: object) -> ExecResult:
        seen.append(argv)
        return real(argv, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(execute, "_execute", note)
    with chdir("/"):
        yield seen


Executed = list[tuple[str, ...]]


# -- who does it


def test_what_is_recognised_is_not_executed(executed: Executed, tmp_path: Path) -> None:
    path = tmp_path / "f"
    assert do(TOUCH, str(path)) == (0, b"", b"")
    assert do(CHMOD, "0600", str(path)) == (0, b"", b"")
    assert path.stat().st_mode & 0o7777 == 0o600
    assert executed == []


def test_numbers_are_words(executed: Executed, tmp_path: Path) -> None:
    assert do(CHMOD, 700, str(tmp_path)).exit_code == 0
    assert tmp_path.stat().st_mode & 0o7777 == 0o700
    assert executed == []


def test_what_is_not_recognised_is_executed_as_run_does(executed: Executed, tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    words = ("-R", "0600", str(tmp_path / "f"))
    assert do(CHMOD, *words) == run(CHMOD, *words)
    assert len(executed) == 2
    assert executed[0] == executed[1] == (CHMOD.resolve(), *words)


def test_input_reaches_both(executed: Executed, tmp_path: Path) -> None:
    path = tmp_path / "f"
    assert do(TEE, str(path), stdin="a\udcff") == (0, b"a\xff", b"")
    assert path.read_bytes() == b"a\xff"
    assert executed == []
    assert do(TEE, "-i", str(path), stdin=b"b").stdout == b"b"
    assert len(executed) == 1


def test_another_user_and_other_variables_need_a_process(executed: Executed) -> None:
    assert do(LS, "/proc/sys/net", env={"POSIXLY_CORRECT": "1"}).exit_code == 0
    assert do(LS, "/proc/sys/net", env={"LC_ALL": "de_DE.UTF-8"}).exit_code == 0
    assert do(LS, "/nowhere", user="no-such-user").exit_code == 126
    assert len(executed) == 2 + 1
    assert do(LS, "/proc/sys/net", env={"LC_ALL": "C", "LANG": "C"}).exit_code == 0
    assert len(executed) == 3


def test_a_program_of_that_name_elsewhere_is_executed(executed: Executed, tmp_path: Path) -> None:
    own = tmp_path / "touch"
    own.write_text("#!/bin/sh\necho mine\n")
    own.chmod(0o755)
    assert do(Executable(str(own)), "/x").stdout == b"mine\n"
    assert do(Executable("touch", dirs=(str(tmp_path), *DIRS)), "/x").stdout == b"mine\n"
    assert len(executed) == 2


def test_a_tool_that_is_not_installed_is_exit_code_96(tmp_path: Path) -> None:
    assert do(Executable("touch", dirs=("/nowhere",)), str(tmp_path / "f")).exit_code == 96
    assert not (tmp_path / "f").exists()


def test_relative_paths_are_below_the_root_as_for_commands(
    executed: Executed, tmp_path: Path
) -> None:
    (tmp_path / "etc").mkdir()
    with chdir(tmp_path):
        assert do(LS, "etc").stdout == run(LS, "/etc").stdout
    assert [argv[1:] for argv in executed] == [("etc",), ("/etc",)]
    executed.clear()
    assert do(LS, "proc/sys/net").exit_code == 0
    assert executed == []


def test_what_a_native_meets_on_its_way_is_left_to_the_tool(
    executed: Executed, tmp_path: Path
) -> None:
    """Here a move to another file system; the other file system is that of /dev/shm."""
    if Path("/dev/shm").stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("one file system")
    source, target = tmp_path / "f", Path(f"/dev/shm/privmigrate-{os.getpid()}")
    source.write_text("x")
    try:
        assert do(MV, str(source), str(target)) == (0, b"", b"")
        assert target.read_text() == "x"
    finally:
        target.unlink()
    assert not source.exists()
    assert [argv[0] for argv in executed] == [MV.resolve()]


def test_errors_of_the_tool_have_its_words(executed: Executed) -> None:
    result = do(Executable("umount", dirs=DIRS), "/nowhere")
    code = 32 if os.geteuid() == 0 else 1  # it does not look any further for others
    assert (result.exit_code, b"/nowhere" in result.stderr) == (code, True)
    assert do(LS, "/nowhere") == (
        2,
        b"",
        b"ls: cannot access '/nowhere': No such file or directory\n",
    )
    assert len(executed) == 1


@pytest.mark.parametrize(
    "path",
    ["/proc/self/environ", "//proc//self/mem", "/proc/1/environ", "/proc/thread-self/mem",
     "/dev/fd/0", "/dev/stdin", "proc/self/mem"],
)  # fmt: skip
def test_itself_is_the_tool_and_not_the_daemon(path: str) -> None:
    with recording() as planned, chdir("/"):
        do(CAT, path)
        do(TEE, path, stdin="x")
    assert [each.native for each in planned] == [None, None]


def test_no_other_name_leads_to_the_memory_of_the_daemon(
    executed: Executed, tmp_path: Path
) -> None:
    """The kernel lets a process write to its own; a file with holes would say where."""
    link, source = tmp_path / "link", tmp_path / "source"
    link.symlink_to("/proc/self/mem")
    with source.open("wb") as file:
        file.seek(2**20)
        file.write(b"x")
    calls = (
        (Executable("cp", dirs=DIRS), str(source), str(link)),
        (Executable("cp", dirs=DIRS), str(link), str(tmp_path / "target")),
        (TEE, "-a", str(link)),
        (Executable("truncate", dirs=DIRS), "-s", "0", str(link)),
        (CAT, str(link)),
    )
    for tool, *words in calls:
        do(tool, *words, stdin=b"x")
    assert [argv[1:] for argv in executed] == [tuple(words) for _, *words in calls]
    result = natives.cat(str(link))
    assert result == (1, b"", f"cat: {link}: A file of a process\n".encode())


def test_nothing_follows_in_a_call_that_was_given_up(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with running.Cancellation() as call:
        call.cancel()
        with pytest.raises(Refused, match="cancelled"):
            do(TOUCH, str(path))
    assert not path.exists()


# -- what is said of it


@command
def prepare(path: Operand, *, under: Netns | None = None) -> ExecResult:
    done = do(TOUCH, path)
    return done if done.exit_code else do(SYSCTL, "-w", "kernel.domainname=x", under=under)


def test_a_plan_has_the_words_of_run_and_the_native() -> None:
    touch, sysctl = prepare.plan("/a", under=Netns("n"))
    assert touch == Planned((TOUCH.resolve(), "/a"), native="touch")
    assert sysctl.argv[1:4] == ("netns", "exec", "n")
    assert sysctl.argv[4:] == (SYSCTL.resolve(), "-w", "kernel.domainname=x")
    assert sysctl.native == "sysctl"


def test_recordings_see_what_is_done_either_way(tmp_path: Path) -> None:
    with recording() as planned:
        do(TEE, str(tmp_path / "f"), stdin="x", env={"LC_ALL": "C"})
        do(Executable("touch", dirs=("/nowhere",)), "/f")
        do(CHMOD, "-R", "0755", "/f")
    assert planned == [
        Planned((TEE.resolve(), str(tmp_path / "f")), (("LC_ALL", "C"),), None, "tee", b"x"),
        Planned(("touch", "/f"), native="touch"),
        Planned((CHMOD.resolve(), "-R", "0755", "/f")),
    ]
    assert not (tmp_path / "f").exists()


def test_the_command_line_in_messages() -> None:
    assert prepare.describe("/a b")().endswith("sysctl -w kernel.domainname=x")


# -- no more than the entrypoint may


@pytest.mark.root
def test_a_native_acts_with_the_capabilities_of_its_entrypoint(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.touch()
    os.chown(path, 4321, 4321)
    before = read_sets()
    with limited_to(CapabilitySet.of(Capability.CAP_DAC_OVERRIDE)):
        refused = do(CHMOD, "0600", str(path))
    assert refused.exit_code == 1
    assert refused.stderr.endswith(b"Operation not permitted\n")
    assert read_sets() == before
    with limited_to(CapabilitySet.of(Capability.CAP_FOWNER)):
        assert do(CHMOD, "0600", str(path)).exit_code == 0
    assert read_sets() == before


@pytest.mark.root
def test_cat_and_kill_are_limited_as_well(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("x")
    path.chmod(0)
    os.chown(path, 4321, 4321)
    with limited_to(CapabilitySet()):
        assert natives.cat(str(path)).exit_code == 1
        assert do(CAT, str(path)).exit_code == 1
    assert natives.cat(str(path)).stdout == b"x"


@pytest.mark.root
@pytest.mark.parametrize("error", [OSError, Refused, KeyboardInterrupt, SystemExit])
def test_the_thread_is_as_it_was_whatever_happens(error: type[BaseException]) -> None:
    before = read_sets()
    with pytest.raises(error, match="none"), acting_with(CapabilitySet()):
        raise error("" if read_sets().effective else "none")
    assert read_sets() == before


@pytest.mark.root
def test_a_switch_that_does_not_happen_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("privmigrate.linux.capabilities.write_sets", lambda *_sets: None)
    with pytest.raises(PermissionError), acting_with(CapabilitySet()):
        raise AssertionError("it acts")


@pytest.mark.root
def test_the_set_group_id_bit_without_its_capability(tmp_path: Path) -> None:
    """The kernel drops it without a word, for the tool and for the native alike."""
    modes = []
    for number, perform in enumerate((do, run)):
        path = tmp_path / str(number)
        path.touch()
        os.chown(path, 4321, 4321)
        with limited_to(CapabilitySet.of(Capability.CAP_FOWNER)):
            assert perform(CHMOD, "2755", str(path)).exit_code == 0
        modes.append(path.stat().st_mode & 0o7777)
        with limited_to(CapabilitySet.of(Capability.CAP_FOWNER, Capability.CAP_FSETID)):
            assert perform(CHMOD, "2755", str(path)).exit_code == 0
        modes.append(path.stat().st_mode & 0o7777)
    assert modes == [0o755, 0o2755] * 2


@pytest.mark.root
def test_what_is_left_to_the_tool_is_limited_by_its_process(tmp_path: Path) -> None:
    """The thread has all of its own back before the tool is started."""
    with limited_to(CapabilitySet.of(Capability.CAP_SYS_ADMIN)):
        result = do(Executable("mount", dirs=DIRS), "--make-private", str(tmp_path))
    assert result.exit_code == 32


# -- forecasts

Words = tuple[str | ArgSpec | None, ...]


@pytest.mark.parametrize(
    ("tool", "words", "natively"),
    [
        ("chmod", ("0755", AbsolutePath()), True),
        ("chmod", ("0755", None), False),
        ("chmod", (Choice(("g+w", "0755")), "/a"), True),
        ("chmod", (Choice(("-w", "0755")), "/a"), False),
        ("chmod", ("-R", "0755", None), False),
        ("rm", ("-rf", PathWithin("/var/a")), True),
        ("rm", ("-rf", Any()), False),
        ("rm", ("-f", Any(operand=True)), False),
        ("rmdir", (Any(operand=True),), True),
        ("tee", ("-a", AbsolutePath()), True),
        ("sysctl", ("-w", Key("a.b=", Int())), True),
        ("truncate", ("-s", Int(suffix="G"), "/a"), False),
        ("kill", ("-9", Int(1, 100)), True),
        ("kill", (Const("-9"), None), False),
        ("mkdir", ("-p", Never("x")), False),
        ("lvs", ("a",), False),
        ("ls", (Matches("/a|/b"),), True),
    ],
)
def test_what_will_be_done(tool: str, words: Words, natively: bool) -> None:  # noqa: FBT001 - a column
    assert is_done_natively(tool, words) is natively


@settings(deadline=None)
@given(
    st.sampled_from(sorted(NATIVES)),
    st.lists(
        st.one_of(
            st.sampled_from(("-f", "-p", "-s", "-c", "-w", "--bind", "0755", "netns", "add")),
            st.just(Any(operand=True, empty=False)),
            st.just(AbsolutePath()),
            st.just(None),
        ),
        min_size=1,
        max_size=4,
    ),
    st.data(),
)
def test_no_forecast_promises_too_much(
    tool: str, words: list[str | ArgSpec | None], data: st.DataObject
) -> None:
    if not is_done_natively(tool, words):
        return
    text = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
    path, operand = text.map("/{}".format), text.filter(lambda t: t[:1] not in {"", "-"})
    draw: dict[object, Callable[[], str]] = {
        AbsolutePath(): lambda: data.draw(path.filter(lambda t: "\n" not in t)),
        Any(operand=True, empty=False): lambda: data.draw(operand),
        None: lambda: data.draw(text),
    }
    argv = (tool, *(draw[word]() if word in draw else str(word) for word in words))
    native = find(tool)
    assert native is not None
    assert native.recognise(argv) is not None
