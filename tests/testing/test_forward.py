"""Tests of a service mock its executors, and see the command lines that entrypoints make."""

import functools
import json
import os
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal
from unittest import mock

import pytest
import testtools

from privmigrate.errors import InputError
from privmigrate.privsep import ExecResult, Executable, Output, command, environment, natives, run
from privmigrate.privsep.execute import ProcessExecutionError
from privmigrate.privsep.priv_context import PrivContext
from privmigrate.privsep.types import (
    AbsolutePath,
    Digits,
    EnvValue,
    Netns,
    PathWithin,
    Stdin,
    Word,
)
from privmigrate.testing import Forwarding, forward

context = PrivContext(__name__, cfg_section="forwarded", capabilities=[])
other = PrivContext(f"{__name__}.other", cfg_section="forwarded_other", capabilities=[])
PACKAGE = f"{__name__}.privileged"
HERE = __name__


def entrypoint(body: Callable[..., ExecResult]) -> Any:
    """Make one as a generated package has it."""
    body.__module__ = f"{PACKAGE}.files"
    return context.entrypoint(command(body))


@entrypoint
def chmod_777(path: Annotated[str, AbsolutePath()], *, stdin: Stdin | None = None) -> ExecResult:
    return run(Executable("chmod", dirs=("/bin",)), "777", path, stdin=stdin)


@entrypoint
def umount(path: Annotated[str, PathWithin("/srv/shares")], *, lazy: bool = False) -> ExecResult:
    option = ("-l",) if lazy else ()
    return natives.do(Executable("/bin/umount"), *option, path, within="/srv/shares")


@entrypoint
def lvs(size: Digits, *, lc_all: EnvValue | None = None, under: Netns | None = None) -> ExecResult:
    variables = environment({}, LC_ALL=lc_all)
    return run(Executable("/sbin/lvs"), "--units", f"{size}g", env=variables, under=under)


@entrypoint
def kill(pid: Digits, signal: Literal["9", "HUP"]) -> ExecResult:
    return natives.kill(pid, signal, "/usr/sbin/dnsmasq")


@entrypoint
def several(*paths: Word) -> ExecResult:
    run(Executable("/bin/touch"), *paths)
    return run(Executable("/bin/touch"), *paths)


@pytest.fixture(autouse=True)
def no_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is not forwarded is seen to ask one."""
    monkeypatch.setattr(PrivContext, "call", mock.Mock(side_effect=ConnectionError("no daemon")))


class Driver:
    """A class of a service whose calls were rewritten."""

    def __init__(self, execute: Callable[..., object], root_helper: str = "sudo") -> None:
        self._execute = execute
        self._root_helper = root_helper

    def share(self, path: object) -> object:
        return chmod_777(path)

    def judged(self, path: str, data: str) -> object:
        return chmod_777.policy(check_exit_code=[0, 3], attempts=2)(path, stdin=data)

    def conditional(self, path: str, *, root: bool) -> object:
        return chmod_777.policy(run_as_root=root)(path)

    def all_of(self, paths: list[str]) -> list[object]:
        return [chmod_777(path) for path in paths]

    def nested(self, path: str) -> object:
        def inner() -> object:
            return chmod_777(path)

        return functools.partial(inner)()

    def local(self, path: str) -> object:
        return chmod_777.local(path)


def driver_with(text: str = "self._execute(run_as_root=True)") -> tuple[Driver, mock.Mock, Any]:
    execute = mock.Mock(return_value=("out", ""))
    return Driver(execute), execute, Forwarding(PACKAGE, {f"{HERE}.Driver": text})


def test_the_executor_gets_the_command_line_that_the_entrypoint_makes() -> None:
    driver, execute, forwarding = driver_with()
    with forwarding:
        assert driver.share("/srv/x") == ("out", "")
    execute.assert_called_once_with("chmod", "777", "/srv/x", run_as_root=True)
    with pytest.raises(AssertionError):  # what a test does if the command line is wrong
        execute.assert_called_once_with("chmod", "666", "/srv/x", run_as_root=True)
    with pytest.raises(ConnectionError):
        driver.share("/srv/x")


def test_a_policy_and_its_input_are_the_executors_options() -> None:
    driver, execute, forwarding = driver_with()
    with forwarding:
        driver.judged("/srv/x", "data")
        driver.conditional("/srv/y", root=False)
        driver.local("/srv/z")
    assert execute.call_args_list == [
        mock.call(
            "chmod", "777", "/srv/x", run_as_root=True, check_exit_code=[0, 3], attempts=2,
            process_input="data",
        ),
        mock.call("chmod", "777", "/srv/y", run_as_root=False),
        mock.call("chmod", "777", "/srv/z", run_as_root=False),
    ]  # fmt: skip


def test_what_the_executor_raises_reaches_the_caller() -> None:
    driver, execute, forwarding = driver_with()
    execute.side_effect = ProcessExecutionError("", "busy", 32)
    with forwarding, pytest.raises(ProcessExecutionError, match="busy"):
        driver.share("/srv/x")


def test_options_are_values_of_the_calling_function() -> None:
    text = "self._execute(delay=-1, root_helper=self._root_helper, run_as_root=True)"
    driver, execute, forwarding = driver_with(text)
    with forwarding:
        driver.share("/srv/x")
    execute.assert_called_once_with(
        "chmod", "777", "/srv/x", delay=-1, root_helper="sudo", run_as_root=True
    )


def test_comprehensions_and_inner_functions_have_the_names_around_them() -> None:
    driver, execute, forwarding = driver_with()
    with forwarding:
        driver.all_of(["/a", "/b"])
        driver.nested("/c")
    assert [each.args[2] for each in execute.call_args_list] == ["/a", "/b", "/c"]


def free_function(path: str) -> object:
    return chmod_777(path)


def test_the_longest_name_counts_and_others_ask_the_daemon() -> None:
    driver, execute, _ = driver_with()
    forwarding = Forwarding(
        PACKAGE,
        {
            HERE: "os.nothing_of_this_name()",
            f"{HERE}.Driver": "self._execute()",
            f"{HERE}.Driver.judged": "self.gone()",
            f"{HERE}.Driver.local": "self.gone()",
            f"{HERE}.Driver.local:chmod_777": "self._execute()",
        },
    )
    with forwarding:
        driver.share("/srv/x")
        with pytest.raises(AttributeError, match="gone"):
            driver.judged("/srv/x", "")
        with pytest.raises(AttributeError, match="nothing_of_this_name"):
            free_function("/srv/x")
        driver.local("/srv/y")
    assert execute.call_args_list == [
        mock.call("chmod", "777", "/srv/x"),
        mock.call("chmod", "777", "/srv/y", run_as_root=False),
    ]
    with Forwarding(PACKAGE, {f"{HERE}.Driver": "self._execute()"}), pytest.raises(ConnectionError):
        free_function("/srv/x")
    with Forwarding("another.package", {HERE: "self._execute()"}), pytest.raises(ConnectionError):
        driver.share("/srv/x")


def test_a_name_that_is_not_imported_any_more_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("svc_utils")
    module.execute = mock.Mock(return_value="text")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "svc_utils", module)
    with Forwarding(PACKAGE, {HERE: "svc_utils.execute(run_as_root=True)"}):
        assert free_function("/srv/x") == "text"
    with (
        Forwarding(PACKAGE, {HERE: "no_such_module.execute()"}),
        pytest.raises(LookupError, match=r"has no no_such_module\.execute to forward a command"),
    ):
        free_function("/srv/x")


class Namespaced:
    def __init__(self) -> None:
        self.wrapper = mock.Mock(namespace="qrouter")

    def execute(self) -> object:
        wrapper = self.wrapper
        return lvs.neutron(netns=wrapper.namespace, run_as_root=False, extra_ok_codes=[1])(3)


def test_lists_and_namespaces_as_neutron_has_them() -> None:
    caller = Namespaced()
    with Forwarding(PACKAGE, {HERE: "wrapper.netns.execute()"}):
        caller.execute()
    caller.wrapper.netns.execute.assert_called_once_with(
        ["lvs", "--units", "3g"], extra_ok_codes=[1]
    )


def test_what_stands_in_front_of_the_command() -> None:
    execute = mock.Mock()

    def calls() -> None:
        lvs(3, lc_all="C", under=Netns("qrouter"))

    with Forwarding(PACKAGE, {HERE: "execute()"}):
        calls()
        execute.assert_called_once_with(
            "ip", "netns", "exec", "qrouter", "env", "LC_ALL=C", "lvs", "--units", "3g"
        )
    with Forwarding(PACKAGE, {HERE: "execute(addl_env={'LC_ALL': 'C'})"}):
        execute.reset_mock()
        lvs(3, lc_all="C")
    execute.assert_called_once_with("lvs", "--units", "3g", addl_env={"LC_ALL": "C"})


def test_words_are_what_the_caller_gave() -> None:
    """Tests have values that no command would be given, and mock what looks at files."""
    driver, execute, forwarding = driver_with()
    with forwarding, mock.patch.object(os, "access"), mock.patch.object(os, "stat"):
        driver.share(mock.sentinel.path)
        kill_it = mock.Mock()
        with Forwarding(PACKAGE, {HERE: "kill_it()"}):
            kill(123, "HUP")
            umount("relative", lazy=True)
            umount(str(False), lazy=False)
    assert execute.call_args.args[2] is mock.sentinel.path
    assert kill_it.call_args_list == [
        mock.call("kill", "-HUP", 123),
        mock.call("/bin/umount", "-l", "relative"),
        mock.call("umount", False),
    ]
    assert kill_it.call_args_list == [
        mock.call("kill", "-HUP", "123"),
        mock.call("umount", "-l", "relative"),
        mock.call("umount", "False"),
    ]
    assert mock.call("kill", "-HUP", "124") not in kill_it.call_args_list


def test_bodies_that_run_no_single_command_are_told() -> None:
    execute = mock.Mock()
    with (
        Forwarding(PACKAGE, {HERE: "execute()"}),
        pytest.raises(LookupError, match="several runs no single command"),
    ):
        several("/x")
    execute.assert_not_called()


@pytest.mark.parametrize("text", ["self._execute", "", "f(1)", "f(**a)", "f(", "f() + 1"])
def test_what_is_no_call_of_an_executor(text: str) -> None:
    with pytest.raises(ValueError, match="is no call of an executor without its words"):
        Forwarding(PACKAGE, {HERE: text})


class Case(testtools.TestCase):
    """As a service's tests use it."""

    def setUp(self) -> None:
        super().setUp()
        # a fixture by what it has, and not by its class
        self.useFixture(  # type: ignore[type-var]
            Forwarding(PACKAGE, {HERE: "self._execute(run_as_root=True)"})
        )

    def test_it(self) -> None:
        driver = Driver(mock.Mock(return_value=Output("", "")))
        driver.share("/srv/x")
        driver._execute.assert_called_once_with(  # type: ignore[attr-defined]
            "chmod", "777", "/srv/x", run_as_root=True
        )


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """The package as it is on disk, with a lock of this text."""
    package = types.ModuleType(PACKAGE)
    package.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, PACKAGE, package)
    monkeypatch.setattr(sys.modules[__name__], "privileged", package, raising=False)
    forward._locked.cache_clear()

    def write(text: str) -> None:
        (tmp_path / "privmigrate.lock").write_text(text)

    yield write
    forward._locked.cache_clear()


def row(function: str, entrypoint: str, before: str) -> dict[str, object]:
    return {
        "entrypoint": f"files.{entrypoint}",
        "site": {"module": HERE, "function": function},
        "before": before,
    }


def test_the_lock_says_what_a_function_called(locked: Callable[[str], None]) -> None:
    rows = [
        row("Driver.share", "chmod_777", "self._execute(run_as_root=True)"),
        row("Driver.judged", "chmod_777", ""),
    ]
    locked(json.dumps({"replaced": rows}))
    execute = mock.Mock(return_value=("", ""))
    driver = Driver(execute)
    with Forwarding(PACKAGE):
        driver.share("/srv/x")
        with pytest.raises(ConnectionError):
            driver.judged("/srv/x", "data")
    execute.assert_called_once_with("chmod", "777", "/srv/x", run_as_root=True)
    # what is said in the test is added
    with Forwarding(PACKAGE, {f"{HERE}.Driver.judged": "self._execute()"}):
        driver.judged("/srv/x", "data")
    options = {"check_exit_code": [0, 3], "attempts": 2, "process_input": "data"}
    execute.assert_called_with("chmod", "777", "/srv/x", **options)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"replaced": [{}]}', '{"replaced": 1}', '{"replaced": [{"site": 1}]}', "\\xff"],
)
def test_a_lock_that_is_none_is_said(locked: Callable[[str], None], text: str) -> None:
    locked(text)
    with pytest.raises(InputError, match=r"privmigrate\.lock: error: cannot be read"):
        Forwarding(PACKAGE).setUp()
