"""Contexts and entrypoints as objects: what may be decorated, and where settings come from."""

import functools
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
from oslo_config import cfg

from privmigrate.argv.spec import AbsolutePath
from privmigrate.privsep import ExecResult, command, priv_context, settings
from privmigrate.privsep.context import PrivContext
from privmigrate.privsep.entrypoint import CommandEntrypoint, Entrypoint
from tests.privsep import service
from tests.privsep.service import calls

PROJECT = Path(__file__).parents[2]


def make(prefix: str = __name__, section: str = "made", **kwargs: object) -> PrivContext:
    capabilities = kwargs.pop("capabilities", [12])
    return PrivContext(prefix, section, capabilities=capabilities, **kwargs)  # type: ignore[arg-type]


def plain(number: int) -> int:
    """Add one."""
    return number + 1


def test_there_is_no_way_to_forget_the_capabilities() -> None:
    with pytest.raises(ValueError, match="capabilities is a required parameter"):
        PrivContext("x")


@pytest.mark.parametrize("prefix", ["tests.privsep", "tests", __name__])
def test_entrypoints_are_below_the_prefix(prefix: str) -> None:
    assert isinstance(make(prefix).entrypoint(plain), Entrypoint)


@pytest.mark.parametrize(
    "prefix", [__name__ + ".x", __name__[:-1], "tests.privs", "test", "ests", "", "tests.privsep."]
)
def test_the_prefix_counts_in_whole_components(prefix: str) -> None:
    """oslo.privsep compares characters, so that `nova` admits `novafoo`."""
    with pytest.raises(AssertionError, match="must be below"):
        make(prefix).entrypoint(plain)


def test_a_function_belongs_to_one_context() -> None:
    made = make().entrypoint(plain)
    with pytest.raises(AssertionError, match="already associated"):
        make().entrypoint(made)


def test_an_entrypoint_is_its_function_to_callers_and_tools() -> None:
    context = make()
    made = context.entrypoint(plain)
    assert (made.__name__, made.__doc__, made.__module__) == ("plain", "Add one.", __name__)
    assert inspect.signature(made) == inspect.signature(plain)
    assert inspect.unwrap(made) is plain
    assert made.privsep_entrypoint is context
    assert context.is_entrypoint(made)
    assert not make().is_entrypoint(made)
    assert not context.is_entrypoint(plain)
    assert repr(made) == f"<entrypoint {__name__}:plain of PrivContext(cfg_section=made)>"


def test_commands_become_command_entrypoints() -> None:
    @command
    def show(path: Annotated[str, AbsolutePath()]) -> ExecResult:
        raise AssertionError(path)

    made = make().entrypoint(show)
    assert isinstance(made, CommandEntrypoint)
    assert not isinstance(make().entrypoint(functools.partial(plain, 1).func), CommandEntrypoint)
    late = make().entrypoint_with_timeout(2.5)(show)
    assert isinstance(late, CommandEntrypoint)
    assert late.timeout == 2.5


def test_a_parameter_may_have_any_name() -> None:
    """Trap: a caller of oslo.privsep can smuggle in `_wrap_timeout`, and nobody can use it."""

    def odd(_wrap_timeout: int, self: int, context: int) -> int:
        return _wrap_timeout + self + context

    context = make()
    context.set_client_mode(False)
    made = context.entrypoint(odd)
    assert made(_wrap_timeout=1, self=2, context=3) == 6
    assert made.local(1, 2, 3) == 6


def test_the_names_of_oslo_privsep() -> None:
    assert priv_context.PrivContext is PrivContext
    assert {opt.name for opt in priv_context.OPTS} >= {
        "user", "group", "capabilities", "thread_pool_size", "helper_command", "logger_name",
        "log_daemon_traceback",
    }  # fmt: skip
    ((group, opts),) = priv_context._list_opts()
    assert group.name == "privsep"
    assert len(opts) == len(priv_context.OPTS)
    assert opts[0] is not priv_context.OPTS[0]
    assert priv_context.CapNameOrInt()("CAP_NET_ADMIN") == priv_context.CapNameOrInt()("12") == 12
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        priv_context.other  # noqa: B018


def test_contexts_that_share_a_section_keep_their_own_capabilities() -> None:
    """Trap: oslo.privsep's defaults overwrite each other, so that the last context wins."""
    one = make(section="shared", capabilities=[1], logger_name="one")
    two = make(section="shared", capabilities=[2], logger_name="two")
    assert settings.read(one).capabilities == (1,)
    assert settings.read(two).capabilities == (2,)
    assert settings.read(one).logger_name == "one"
    cfg.CONF.set_override("capabilities", ["CAP_CHOWN"], group="shared")
    try:
        assert settings.read(one).capabilities == settings.read(two).capabilities == (0,)
    finally:
        cfg.CONF.clear_override("capabilities", group="shared")


def test_what_an_administrator_sets_is_read(tmp_path: Path) -> None:
    file = tmp_path / "service.conf"
    file.write_text(
        "[made]\nuser = nobody\ngroup = 5\ncapabilities = CAP_SYS_ADMIN, 12\n"
        "thread_pool_size = 3\nunrestricted_commands = true\nlog_daemon_traceback = true\n"
    )
    code = (
        "import sys; from oslo_config import cfg; cfg.CONF(['--config-file', sys.argv[1]]);"
        "from privmigrate.privsep import settings; from privmigrate.privsep.context import *;"
        "print(settings.read(PrivContext('x', 'made', capabilities=[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, file], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    assert done.stdout.startswith(
        "Settings(user='nobody', group='5', capabilities=(21, 12), thread_pool_size=3,"
    )
    assert "log_daemon_traceback=True, unrestricted_commands=True" in done.stdout


def test_oslo_config_is_loaded_by_nobody_but_its_users() -> None:
    code = (
        "import sys; from privmigrate.privsep import priv_context, settings;"
        "context = priv_context.PrivContext('x', capabilities=[1]); settings.read(context);"
        "print('oslo_config' in sys.modules); context.conf.user;"
        "print('oslo_config' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    assert done.stdout == "False\nTrue\n"


def test_the_helpers_command_line_needs_a_name_that_leads_back() -> None:
    with pytest.raises(AssertionError, match="pypath to be specified"):
        make().helper_command("/sock")
    with pytest.raises(AssertionError, match="pypath for context object"):
        make(pypath="tests.privsep.service.context").helper_command("/sock")
    words = service.context.helper_command("/sock")
    assert words[-4:] == [
        "--privsep_context", "tests.privsep.service.context", "--privsep_sock_path", "/sock",
    ]  # fmt: skip


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="Unknown method"):
        make().start("sudo")  # type: ignore[arg-type]


def test_only_entrypoints_of_the_context_can_be_awaited() -> None:
    import asyncio

    with pytest.raises(TypeError, match="is no entrypoint of"):
        asyncio.run(make().call_async(calls.getpid))
    with pytest.raises(TypeError, match="is no entrypoint of"):
        asyncio.run(make().call_async(plain, 1))


def test_names_are_those_of_the_module_and_the_function() -> None:
    assert isinstance(calls.getpid, Entrypoint)
    assert calls.getpid.name == "tests.privsep.service.calls:getpid"
    assert service.context.find(calls.getpid.name) is calls.getpid
