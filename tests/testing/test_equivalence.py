"""Two forms of a call are compared in everything that anybody can see."""

# Each form is written as a call of a service would be.
# ruff: noqa: ARG005, PLW0108

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import pytest

from privmigrate.privsep import ExecResult, Executable, command, environment, run
from privmigrate.privsep.priv_context import PrivContext
from privmigrate.privsep.types import AbsolutePath, Digits, Netns, Stdin, Word
from privmigrate.testing.equivalence import NotProven, prove

context = PrivContext(__name__, cfg_section="proofs", capabilities=[])
CHMOD = Executable("chmod", dirs=("/bin", "/usr/bin"))


@context.entrypoint
@command
def chmod_777(path: Annotated[str, AbsolutePath()], *, stdin: Stdin | None = None) -> ExecResult:
    return run(CHMOD, "777", path, stdin=stdin)


@context.entrypoint
@command
def chmod(mode: Literal["7", "77"], *, reference: Word | None = None) -> ExecResult:
    option = () if reference is None else ("--reference", reference)
    return run(CHMOD, mode, *option)


@context.entrypoint
@command
def chmod_en(number: Digits, under: Netns | None = None) -> ExecResult:
    return run(CHMOD, number, env=environment({"LC_ALL": "C"}), under=under)


Before = Callable[..., object]


def simple(self: object, execute: Before) -> object:
    return execute("chmod", "777", self.path, run_as_root=True)  # type: ignore[attr-defined]


def test_the_same_is_proven() -> None:
    proof = prove(simple, lambda self: chmod_777(self.path))
    assert proof.values >= 1
    assert proof.compared >= 6


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            lambda path, execute: execute("chmod", "777", path, run_as_root=True, attempts=3),
            lambda path: chmod_777.policy(attempts=3)(path),
        ),
        (
            lambda p, execute: execute("chmod", "777", p, run_as_root=True, check_exit_code=[0, 3])[
                1
            ],
            lambda p: chmod_777.policy(check_exit_code=[0, 3])(p)[1],
        ),
        (
            lambda p, d, execute: execute("chmod", "777", p, run_as_root=True, process_input=d),
            lambda p, d: chmod_777(p, stdin=d),
        ),
        (
            lambda self, p, execute: execute("chmod", "777", p, run_as_root=self.root),
            lambda self, p: chmod_777.policy(run_as_root=self.root)(p),
        ),
        (
            lambda execute, mode, x: execute(
                *["chmod", mode] + (["--reference", x] if x else []), run_as_root=True
            ),
            lambda x: chmod("77", reference=x or None),
        ),
        (
            lambda execute, n: execute("env", "LC_ALL=C", "chmod", n, run_as_root=True),
            lambda n: chmod_en(n),
        ),
        (
            lambda execute, n, ns: execute(
                "ip", "netns", "exec", ns, "env", "LC_ALL=C", "chmod", n, run_as_root=True
            ),
            lambda n, ns: chmod_en(n, under=Netns(ns)),
        ),
    ],
)
def test_options_are_compared(before: Before, after: Before) -> None:
    prove(before, after)


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(lambda self: chmod_777(self.other), id="argument"),
        pytest.param(lambda self: chmod_777.local(self.path), id="root"),
        pytest.param(lambda self: chmod_777(self.path)[0], id="result"),
        pytest.param(lambda self: chmod_777(self.path, stdin="x"), id="input"),
        pytest.param(lambda self: chmod_777.policy(attempts=2)(self.path), id="attempts"),
        pytest.param(
            lambda self: chmod_777.policy(check_exit_code=[0, 2])(self.path), id="exit code"
        ),
        pytest.param(lambda self: (chmod_777(self.path), chmod_777(self.path))[0], id="twice"),
        pytest.param(lambda self: ("", ""), id="nothing"),
        pytest.param(lambda self: chmod_en(self.path), id="environment"),
        pytest.param(lambda self: chmod("7"), id="words"),
    ],
)
def test_a_difference_is_found(after: Before) -> None:
    with pytest.raises(NotProven):
        prove(simple, after)


def test_neutrons_convention_is_compared() -> None:
    def before(path: object, execute: Before) -> object:
        words = ["chmod", "777", path]
        return execute(words, run_as_root=True, extra_ok_codes=[2])

    prove(
        before,
        lambda path: chmod_777.neutron(extra_ok_codes=[2])(path),
        convention="list",
        exit_codes=[2],
    )
    with pytest.raises(NotProven):
        prove(before, lambda path: chmod_777.neutron()(path), convention="list")
    with pytest.raises(NotProven):
        prove(before, lambda path: chmod_777(path)[0], convention="list")


def test_limits_of_time_and_waits_are_compared() -> None:
    def before(path: object, execute: Before) -> object:
        return execute("chmod", "777", path, run_as_root=True, attempts=3, timeout=5, interval=1)

    rows = (
        ({"attempts": 3, "timeout": 5, "interval": 1}, True),
        ({"attempts": 3, "timeout": 5}, False),
        ({"attempts": 3, "interval": 1}, False),
        ({"attempts": 3, "timeout": 6, "interval": 1}, False),
        ({"attempts": 3, "timeout": 5, "interval": 1, "backoff_rate": 3}, False),
    )
    for options, same in rows:
        if same:
            prove(before, _judged(options), convention="timed")
        else:
            with pytest.raises(NotProven):
                prove(before, _judged(options), convention="timed")


def _judged(options: Mapping[str, float]) -> Before:
    def after(path: object) -> object:
        return chmod_777.policy(**options)(path)  # type: ignore[arg-type]

    return after


def test_what_is_not_given_is_not_None_as_text() -> None:  # noqa: N802 - that None
    """`mkfs(label=None)` lost the label, or made one of that name, when people moved it."""
    with pytest.raises(NotProven):
        prove(
            lambda execute, x: execute("chmod", "7", "--reference", x, run_as_root=True),
            lambda x: chmod("7", reference=x),
        )


def test_constants_behind_names_are_found() -> None:
    proof = prove(
        lambda self, path, execute: execute("chmod", self.MODE, path, run_as_root=True),
        lambda path: chmod_777(path),
    )
    assert proof.constants == {"self.MODE": "777"}


def test_what_the_entrypoint_refuses_is_not_compared() -> None:
    """However the caller judges results: a refusal that is returned as nothing is one."""
    proof = prove(
        lambda mode, execute: execute(["chmod", mode], run_as_root=True, check_exit_code=False),
        lambda mode: chmod.neutron(check_exit_code=False)(mode),
        convention="list",
        samples={"mode": ["7", "77"]},
    )
    assert proof.values == 1


def test_neutrons_namespaces_are_compared() -> None:
    def before(wrapper: object, n: object, execute: Before) -> object:
        return execute(wrapper.namespace, ["env", "LC_ALL=C", "chmod", n])  # type: ignore[attr-defined]

    def after(wrapper: object, n: int) -> object:
        inside: str = wrapper.namespace  # type: ignore[attr-defined]
        return chmod_en.neutron(netns=inside, run_as_root=False)(n)

    prove(before, after, convention="netns")
    with pytest.raises(NotProven):
        prove(before, lambda wrapper, n: chmod_en.neutron()(n), convention="netns")
    with pytest.raises(NotProven):  # without a namespace it did not run as root
        prove(
            before,
            lambda wrapper, n: chmod_en.neutron(netns=wrapper.namespace)(n),
            convention="netns",
        )
