"""Tests of services see the whole command line, and nothing is executed."""

import threading

import pytest

from privmigrate.errors import Refused
from privmigrate.privsep import execute
from privmigrate.privsep.commands import command
from privmigrate.privsep.execute import (
    ExecResult,
    Executable,
    Planned,
    ProcessExecutionError,
    environment,
    run,
)
from privmigrate.privsep.natives import cat, kill
from privmigrate.privsep.types import Digits, EnvValue, Netns
from privmigrate.testing import recording


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "spawn", None)


@command
def lvs(size: Digits, *, lc_all: EnvValue | None = None, under: Netns | None = None) -> ExecResult:
    return run(
        Executable("lvs", dirs=("/nowhere",)),
        "--units",
        size,
        env=environment({"A": "1"}, LC_ALL=lc_all and str(lc_all)),
        stdin="in",
        user="nobody",
        under=under,
    )


def test_the_whole_command_line_is_recorded() -> None:
    with recording() as commands:
        assert lvs(5, lc_all="C") == ("", "")
        lvs("6", under=Netns("qrouter-1"))
    first, second = commands
    assert first == Planned(
        ("lvs", "--units", "5"), (("A", "1"), ("LC_ALL", "C")), "nobody", None, b"in"
    )
    assert second.argv[1:] == ("netns", "exec", "qrouter-1", "lvs", "--units", "6")
    assert second.argv[0].rpartition("/")[2] == "ip"


def test_executables_that_are_installed_have_their_path() -> None:
    with recording() as commands:
        run(Executable("/nowhere/sh", "sh", dirs=("/nowhere", "/bin")), "-c", "exit 3")
        run(Executable("/nowhere/a", "/nowhere/b"))
    assert [each.argv for each in commands] == [("/bin/sh", "-c", "exit 3"), ("/nowhere/a",)]


def test_natives_are_recorded_by_their_name() -> None:
    with recording() as commands:
        assert kill(1, "HUP", "/sbin/init") == (0, b"", b"")
        assert cat("/etc/shadow") == (0, b"", b"")
        with pytest.raises(Refused):
            kill(-1, "HUP", "/sbin/init")
    assert commands == [
        Planned(("kill", "-1", "1"), native="kill"),
        Planned(("cat", "/etc/shadow"), native="cat"),
    ]


def test_checks_are_made_as_ever() -> None:
    with recording() as commands, pytest.raises(ProcessExecutionError):
        lvs("x")
    assert commands == []


def test_answers_are_given_by_the_test() -> None:
    def answer(planned: Planned) -> ExecResult:
        return ExecResult(int(planned.argv[-1]), b"out", b"err")

    with recording(answer) as commands:
        assert lvs(0) == ("out", "err")
        with pytest.raises(ProcessExecutionError) as caught:
            lvs(5)
    assert caught.value.exit_code == 5
    assert caught.value.cmd == "lvs --units 5"
    # asking for the command line of the error is not recorded
    assert len(commands) == 2


def test_commands_of_other_threads_are_recorded_too() -> None:
    with recording() as commands:
        thread = threading.Thread(target=lvs, args=(5,))
        thread.start()
        thread.join()
    assert [each.argv[-1] for each in commands] == ["5"]


def test_recordings_end_and_do_not_nest() -> None:
    with recording(), pytest.raises(RuntimeError, match="already being recorded"), recording():
        pass
    with pytest.raises(ZeroDivisionError), recording():
        1 / 0  # noqa: B018
    assert execute.PLANNING.current() is None
