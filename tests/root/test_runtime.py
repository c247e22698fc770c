"""The runtime with privilege to lose: users, capabilities, and starts that are refused."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from oslo_config import cfg

from privmigrate.privsep.comm import FailedToDropPrivileges
from privmigrate.privsep.priv_context import Method, PrivContext
from tests.privsep import service
from tests.privsep.service import calls, commands

pytestmark = pytest.mark.root

NOBODY = 65534
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
CHOWN, NET_ADMIN = 0, 12


@contextmanager
def started(**options: object) -> Generator[PrivContext]:
    """The service's daemon with these options, as an administrator would configure them."""
    context = service.context
    _ = context.conf
    for name, value in options.items():
        cfg.CONF.set_override(name, value, group=context.cfg_section)
    try:
        context.start(Method.FORK)
        yield context
    finally:
        context.stop()
        for name in options:
            cfg.CONF.clear_override(name, group=context.cfg_section)


def sets(status: str) -> dict[str, int]:
    return {
        name: int(mask, 16)
        for name, mask in re.findall(r"^(Cap\w+):\s+(\w+)", status, re.MULTILINE)
    }


@pytest.mark.parametrize("user", [None, "nobody"])
@pytest.mark.parametrize("kept", [[], [NET_ADMIN], [CHOWN, NET_ADMIN]])
def test_daemon_and_commands_hold_what_was_asked_for(user: str | None, kept: list[int]) -> None:
    """Both ways of running a command: by subprocess in the entrypoint, and as a command."""
    mask = sum(1 << number for number in kept)
    with started(user=user, capabilities=kept):
        daemon = sets(str(calls.facts()["status"]))
        by_hand = sets(calls.child_status())
        checked = sets(commands.cat("/proc/self/status").stdout)
    for found in (daemon, by_hand, checked):
        assert found == dict.fromkeys(SETS, mask)


def test_the_user_brings_the_users_group() -> None:
    """oslo.privsep leaves group 0, and root's supplementary groups, unless a group is set."""
    with started(user="nobody"):
        facts = calls.facts()
    assert (facts["uids"], facts["gids"], facts["groups"]) == ((NOBODY,) * 3, (NOBODY,) * 3, ())


@pytest.mark.parametrize(
    ("user", "group", "uid", "gid"),
    [
        ("nobody", "daemon", NOBODY, 1),
        ("65534", "5", NOBODY, 5),
        (None, "5", 0, 5),
        ("4321", None, 4321, 0),
    ],
)
def test_users_and_groups_by_name_and_number(
    user: str | None, group: str | None, uid: int, gid: int
) -> None:
    with started(user=user, group=group):
        facts = calls.facts()
    assert (facts["uids"], facts["gids"]) == ((uid,) * 3, (gid,) * 3)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"user": "no-such-user"}, "there is no user no-such-user"),
        ({"group": "no-such-group"}, "there is no group no-such-group"),
        ({"capabilities": [60]}, "the context asks for 60, which this process does not hold"),
    ],
)
def test_what_cannot_be_is_said_to_the_caller(options: dict[str, object], why: str) -> None:
    with pytest.raises(FailedToDropPrivileges, match=why), started(**options):
        raise AssertionError("it started")


def test_the_leak_is_off_unless_it_is_asked_for_and_then_it_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with started(unrestricted_commands=True):
        assert sets(calls.child_status())["CapEff"] != 0
        assert sets(str(calls.facts()["status"]))["CapEff"] == 0
    assert "every command of this daemon regains all capabilities" in caplog.text


def test_what_the_daemon_kept_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"), started(user="nobody", capabilities=[NET_ADMIN]):
        pid = calls.getpid()
    assert f"running as pid {pid}, uid {NOBODY}, gid {NOBODY}, with CAP_NET_ADMIN" in caplog.text


def test_a_daemon_of_another_user_cannot_be_traced_by_that_user() -> None:
    with started(user="nobody"):
        pid = calls.getpid()
        assert Path(f"/proc/{pid}/mem").stat().st_uid == 0
