"""A command's arguments are checked before anything runs, whoever calls it and however."""

import subprocess
import sys
from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import pytest

from privmigrate.argv.spec import AbsolutePath, Int
from privmigrate.errors import Refused
from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.privsep import capabilities, execute
from privmigrate.privsep.commands import Command, command
from privmigrate.privsep.execute import (
    ExecResult,
    Executable,
    Planned,
    PrivilegeDenied,
    ProcessExecutionError,
    run,
)
from privmigrate.privsep.types import Argument, Digits, Netns, Operand, Stdin

SH = Executable("sh", dirs=("/bin",))
DD = Executable("dd", dirs=("/nowhere",))


class Ionice(NamedTuple):
    level: Literal["-c2", "-c3"]
    prefix: Literal["Ionice"] = "Ionice"

    def words(self) -> tuple[str, ...]:
        return ("/usr/bin/ionice", self.level)


@command
def leave(code: Digits, *, text: Operand = "x") -> ExecResult:
    """Exit with a code."""
    return run(SH, "-c", 'printf %s "$2"; echo "password=hunter2" >&2; exit $1', "sh", code, text)


@command(capabilities=(capabilities.CAP_SYS_NICE,))
def dd(
    if_file: Annotated[str, AbsolutePath(below="/dev/", no_dotdot=True)],
    *others: Argument,
    count: Annotated[int | str, Int(prefix="count=")],
    stdin: Stdin = None,
    under: Netns | Ionice | None = None,
) -> ExecResult:
    return run(DD, f"if={if_file}", *others, f"count={count}", stdin=stdin, under=under)


def test_a_command_is_the_function_that_it_was() -> None:
    assert leave.__name__ == "leave"
    assert leave.__doc__ == "Exit with a code."
    assert leave.__module__ == __name__
    assert leave.__wrapped__.__name__ == "leave"
    assert repr(leave) == f"<command {__name__}.leave>"


def test_calling_it_judges_the_result() -> None:
    assert leave(0) == ("x", "password=hunter2\n")
    with pytest.raises(ProcessExecutionError) as caught:
        leave("3", text="out")
    error = caught.value
    assert (error.exit_code, error.stdout) == (3, "out")
    assert error.cmd is not None
    assert error.cmd.endswith("exit $1' sh 3 out")
    # not logged, not sent: what looks like a secret is masked wherever it comes from
    assert "hunter2" not in str(error)


def test_checked_does_not_judge() -> None:
    assert leave.checked("3").exit_code == 3


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: leave.checked("3\n"), "code is not digits"),
    (lambda: leave.checked(True), "code is not text or an integer"),
    (lambda: leave.checked(3, text="-x"), "text begins with -, as an option does"),
    (lambda: leave.checked(code="x"), "code is not digits"),
    (
        lambda: dd.checked("/dev/../etc/passwd", count=1),
        "if_file has a component that begins with ..",
    ),
    (lambda: dd.checked("/dev/x", "a", "b\0", count=1), "argument 3 contains NUL"),
    (lambda: dd.checked("/dev/x", count="count=1"), "count is not digits"),
    (lambda: dd.checked("/dev/x", count=1, stdin=5), "stdin is not bytes or text"),  # type: ignore[arg-type]
    (
        lambda: dd.checked("/dev/x", count=1, under=Netns("../../proc/1/ns/net")),
        (
            "under has an item that is refused: name does not match [^/\\s.-][^/\\s]*; "
            "or has an item that is refused: level is not one of '-c2', '-c3'"
        ),
    ),
]


@pytest.mark.parametrize(("call", "why"), REFUSED)
def test_refusals_name_the_parameter_and_nothing_runs(
    call: Callable[[], object], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "spawn", None)
    with pytest.raises(Refused) as caught:
        call()
    assert str(caught.value) == why


def test_a_refusal_is_exit_code_99_to_callers() -> None:
    with pytest.raises(PrivilegeDenied) as caught:
        leave("x")
    assert caught.value.exit_code == 99
    assert caught.value.stderr == f"{__name__}.leave: code is not digits"


WRONG: list[tuple[Callable[[], object], str]] = [
    (leave.checked, "leave() lacks code"),  # type: ignore[list-item]
    (lambda: leave.checked(1, 2), "leave() takes at most 1 arguments by position"),  # type: ignore[call-arg]
    (lambda: leave.checked(1, code=2), "leave() cannot take 'code' by name"),  # type: ignore[misc]
    (lambda: leave.checked(1, self=2), "leave() cannot take 'self' by name"),  # type: ignore[call-arg]
    (lambda: dd.checked("/dev/x"), "dd() lacks count"),  # type: ignore[call-arg]
    (lambda: dd.checked("/dev/x", count=1, others=()), "dd() cannot take 'others' by name"),  # type: ignore[call-arg]
]


@pytest.mark.parametrize(("call", "why"), WRONG)
def test_arguments_that_do_not_fit_are_a_type_error(call: Callable[[], object], why: str) -> None:
    with pytest.raises(TypeError) as caught:
        call()
    assert str(caught.value) == f"{__name__}.{why}"


def test_what_would_run_can_be_told_without_running_it() -> None:
    planned = dd.plan("/dev/x", "a", 5, count=4, stdin="in", under=Ionice("-c3"))
    assert planned == (
        Planned(("/usr/bin/ionice", "-c3", "dd", "if=/dev/x", "a", "5", "count=4"), stdin=b"in"),
    )
    with pytest.raises(Refused):
        dd.plan("/etc/x", count=4)


def test_prefixes_arrive_as_plain_sequences() -> None:
    """So the channel brings them, oslo.privsep's too."""
    [planned] = dd.plan("/dev/x", count=4, under=["-c2", "Ionice"])  # type: ignore[arg-type]
    assert planned.argv[:2] == ("/usr/bin/ionice", "-c2")
    [planned] = dd.plan("/dev/x", count=4, under=("qrouter-1", "Netns"))  # type: ignore[arg-type]
    assert planned.argv[1:4] == ("netns", "exec", "qrouter-1")


def test_capabilities_hold_for_what_the_body_runs() -> None:
    seen: list[CapabilitySet | None] = []

    @command(capabilities=(capabilities.CAP_KILL, 40))
    def body() -> ExecResult:
        seen.append(execute._CAPABILITIES.get())
        return ExecResult(0, b"", b"")

    body()
    assert seen == [CapabilitySet.from_numbers((5, 40))]
    assert execute._CAPABILITIES.get() is None
    assert dd.capabilities == CapabilitySet.from_numbers((capabilities.CAP_SYS_NICE,))
    assert leave.capabilities is None


def test_a_parameter_that_cannot_be_checked_is_refused_at_import() -> None:
    def bare(a) -> ExecResult:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return a  # type: ignore[no-any-return]

    def anything(a: object) -> ExecResult:
        raise AssertionError(a)

    def by_name(**a: str) -> ExecResult:
        raise AssertionError(a)

    for body, why in (
        (bare, "a has no annotation"),
        (anything, "a: <class 'object'> cannot be checked completely"),
        (by_name, "a takes anything by name, so nothing can be checked"),
    ):
        with pytest.raises(TypeError) as caught:
            command(body)
        assert str(caught.value).endswith(f"{body.__name__}(): {why}")


def test_a_body_without_a_command_is_named_by_itself() -> None:
    @command
    def nothing() -> ExecResult:
        return ExecResult(1, b"", b"")

    assert isinstance(nothing, Command)
    with pytest.raises(ProcessExecutionError) as caught:
        nothing()
    assert str(caught.value.cmd).endswith("nothing")


OSLO = """
import warnings
warnings.simplefilter("ignore")
from oslo_config import cfg
from oslo_privsep import priv_context
from privmigrate.privsep.commands import command
from privmigrate.privsep.execute import Executable, PrivilegeDenied, ProcessExecutionError, run
from privmigrate.privsep.types import Digits, Netns

context = priv_context.PrivContext(
    "__main__", cfg_section="privileged", pypath="__main__.context", capabilities=[]
)

@context.entrypoint
@command
def leave(code: Digits, *, under: Netns | None = None):
    return run(Executable("/bin/sh"), "-c", "echo $PPID; exit $1", "sh", code)

cfg.CONF([])
context.start(priv_context.Method.FORK)
import os
try:
    out, err = leave(0, under=Netns("a"))
    assert out != f"{os.getpid()}\\n", "it ran here"
    for argument, kind, code in (("3", ProcessExecutionError, 3), ("x", PrivilegeDenied, 99)):
        try:
            leave(argument)
        except ProcessExecutionError as error:
            assert isinstance(error, kind), error
            assert error.exit_code == code
        else:
            raise AssertionError(argument)
finally:
    context.stop()
"""


@pytest.mark.root
def test_it_works_in_the_daemon_of_oslo_privsep() -> None:
    """Results, errors by their class, and prefixes survive that channel as well."""
    done = subprocess.run(
        [sys.executable, "-c", OSLO], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
