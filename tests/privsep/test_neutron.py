"""Neutron's callers keep what its `execute` returned, raised and logged."""

import logging
import pickle
import sys
from pathlib import PurePosixPath
from types import ModuleType

import pytest

from privmigrate.errors import Refused
from privmigrate.privsep import ExecResult, Executable, command, run
from privmigrate.privsep.neutron import Policy, ProcessExecutionError
from privmigrate.privsep.priv_context import PrivContext
from privmigrate.privsep.types import Netns, Word
from privmigrate.testing import recording

FAILS = ExecResult(3, b"out\xff", b"RTNETLINK answers: File exists\n")
WORKS = ExecResult(0, b"out\xff", b"err")
context = PrivContext(__name__, cfg_section="neutron_test", capabilities=[])
context.set_client_mode(False)


@context.entrypoint
@command
def show(name: Word) -> ExecResult:
    return run(Executable("ip"), "link", "show", name)


def apply(result: ExecResult, stdin: object = None, **options: object) -> object:
    return Policy(**options).apply(lambda: result, lambda: "ip link", stdin)  # type: ignore[arg-type]


def test_what_comes_back_is_the_output() -> None:
    assert apply(WORKS) == "out\udcff"
    assert apply(WORKS, return_stderr=True) == ("out\udcff", "err")


@pytest.mark.parametrize(
    ("options", "raised"),
    [
        ({}, True),
        ({"extra_ok_codes": [3]}, False),
        ({"extra_ok_codes": [1, 2]}, True),
        ({"check_exit_code": False}, False),
        ({"check_exit_code": False, "extra_ok_codes": [1]}, False),
    ],
)
def test_what_is_a_failure(options: dict[str, object], raised: bool) -> None:  # noqa: FBT001
    if not raised:
        assert apply(FAILS, **options) == "out\udcff"
        return
    with pytest.raises(ProcessExecutionError) as caught:
        apply(FAILS, stdin="in", **options)
    assert isinstance(caught.value, RuntimeError)
    assert caught.value.returncode == 3
    assert str(caught.value) == (
        "Exit code: 3; Cmd: ip link; Stdin: in; Stdout: out\udcff; "
        "Stderr: RTNETLINK answers: File exists\n"
    )


def test_a_failure_is_logged_unless_it_is_expected(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    apply(FAILS, check_exit_code=False, log_fail_as_error=False)
    apply(FAILS, extra_ok_codes=[3])
    assert caplog.records == []
    apply(FAILS, check_exit_code=False)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_it_is_neutron_libs_error_where_that_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Theirs(RuntimeError):  # noqa: N818 - it stands for theirs
        def __init__(self, message: str, returncode: int) -> None:
            super().__init__(message)
            self.returncode = returncode

    module = ModuleType("neutron_lib.exceptions")
    module.ProcessExecutionError = Theirs  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "neutron_lib.exceptions", module)
    with pytest.raises(Theirs) as caught:
        apply(FAILS)
    assert caught.value.returncode == 3


def test_a_refusal_is_exit_code_99() -> None:
    def refuse() -> ExecResult:
        raise Refused("name begins with -")

    with pytest.raises(ProcessExecutionError) as caught:
        Policy().apply(refuse, lambda: "ip")
    assert caught.value.returncode == 99
    assert "name begins with -" in str(caught.value)


def test_the_error_can_travel() -> None:
    error = pickle.loads(pickle.dumps(ProcessExecutionError("why", 4)))
    assert (str(error), error.returncode) == ("why", 4)


def test_entrypoints_have_it() -> None:
    with recording(lambda _: FAILS) as commands:
        assert show.neutron(check_exit_code=False)("eth0") == "out\udcff"
        assert show.neutron(extra_ok_codes=[3], return_stderr=True)("eth1") == (
            "out\udcff",
            "RTNETLINK answers: File exists\n",
        )
        with pytest.raises(RuntimeError, match="ip link show eth2"):
            show.neutron()("eth2")
        with pytest.raises(RuntimeError, match="begins with"):
            show.neutron()("-x")
    assert [each.argv[-1] for each in commands] == ["eth0", "eth1", "eth2"]


def test_words_of_any_kind_are_text_as_executors_take_them() -> None:
    """A path or an address object did work as a word of a command line."""
    with recording() as commands:
        show(PurePosixPath("/dev/x"))  # type: ignore[arg-type]
        show.policy()(name=PurePosixPath("/dev/y"))  # type: ignore[arg-type]
        show(7)
    assert [each.argv[-1] for each in commands] == ["/dev/x", "/dev/y", "7"]


@context.entrypoint
@command
def show_in(name: Word, *, under: Netns | None = None) -> ExecResult:
    return run(Executable("ip"), "link", "show", name, under=under)


def test_a_network_namespace_means_privilege(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `ip_wrapper.netns.execute` does; without a namespace, as the caller says."""
    asked: list[object] = []

    def call(
        _context: object, _entrypoint: object, _args: object, kwargs: object, *_: object
    ) -> object:
        asked.append(kwargs)
        return WORKS

    monkeypatch.setattr(PrivContext, "call", call)
    context.set_client_mode(True)
    try:
        with recording(lambda _: WORKS) as commands:
            show_in.neutron(netns="qrouter-1", run_as_root=False)("a")
            show_in.neutron(netns=None, run_as_root=False)("b")
            show_in.neutron(netns="")("c")
    finally:
        context.set_client_mode(False)
    assert asked == [{"under": Netns("qrouter-1")}, {}]
    assert [each.argv[-1] for each in commands] == ["b"]


def test_conditional_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the condition is false, nothing is asked of a daemon, whatever the policy."""
    asked: list[str] = []

    def call(
        _context: object, entrypoint: object, args: tuple[str], _kwargs: object, *_: object
    ) -> object:
        asked.append(args[0])
        return WORKS

    monkeypatch.setattr(PrivContext, "call", call)
    context.set_client_mode(True)
    try:
        with recording(lambda _: WORKS) as commands:
            show.policy(run_as_root=True)("a")
            show.policy(run_as_root="yes")("b")
            show.policy(run_as_root=False)("c")
            show.policy(run_as_root=None, check_exit_code=False)("d")
            show.neutron(run_as_root=False)("e")
            show.neutron(run_as_root=1)("f")
            show.local("g")
    finally:
        context.set_client_mode(False)
    assert asked == ["a", "b", "f"]
    assert [each.argv[-1] for each in commands] == ["c", "d", "e", "g"]


@context.entrypoint
@command(only_under=True)
def flush(name: Word, *, under: Netns | None = None) -> ExecResult:
    return run(Executable("ip"), "addr", "flush", name, under=under)


@pytest.mark.parametrize("named", [{}, {"under": None}])
def test_a_client_has_nothing_run_outside_that_every_call_runs_inside(
    named: dict[str, object],
) -> None:
    with recording() as commands, pytest.raises(Refused, match="under is None"):
        flush.answer("eth0", **named)
    assert commands == []


def test_inside_it_is_run_and_without_privilege_also_outside() -> None:
    with recording() as commands:
        flush.answer("eth0", under=("qrouter-1", "Netns"))
        flush.neutron(netns=None, run_as_root=False)("eth0")
    assert [each.argv[1:3] for each in commands] == [("netns", "exec"), ("addr", "flush")]
