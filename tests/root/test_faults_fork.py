"""Entrypoints that fork, as those of neutron and pyroute2 do: a child is no second daemon."""

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.privsep.priv_context import Method
from tests.privsep.conftest import wait_until
from tests.root import faulty

pytestmark = [pytest.mark.root, pytest.mark.timeout(30)]


@pytest.fixture(autouse=True)
def daemon() -> Iterator[int]:
    faulty.context.start(Method.FORK)
    yield faulty.getpid()
    faulty.context.stop()


def children(pid: int) -> set[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


def test_a_child_that_ends_by_itself(daemon: int) -> None:
    assert faulty.fork_and_end(7) == 7
    assert not children(daemon)


@pytest.mark.parametrize("how", ["return", "raise", "exit"])
def test_a_child_that_comes_back_answers_nothing(
    daemon: int, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert faulty.fork_and_return(how) == ("the daemon", 1)
        # a second answer, or a record of the child's, would be met here
        assert [faulty.echo(i) for i in range(10)] == list(range(10))
    assert not children(daemon)
    assert faulty.getpid() == daemon
    assert "said by the child" not in caplog.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_child_can_be_terminated(daemon: int, number: int) -> None:
    assert faulty.fork_and_terminate(number) == -number
    assert not children(daemon)


def test_the_daemon_itself_still_ends_in_order(daemon: int) -> None:
    faulty.fork_and_end(0)
    os.kill(daemon, signal.SIGTERM)
    wait_until(
        lambda: os.waitid(os.P_PID, daemon, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
    )
    ended = os.waitid(os.P_PID, daemon, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    assert ended is not None
    assert (ended.si_code, ended.si_status) == (os.CLD_EXITED, 0)
    assert faulty.getpid() != daemon


def test_a_child_that_lives_on_does_not_hide_the_daemons_death(daemon: int, tmp_path: Path) -> None:
    child = faulty.leave_child()
    try:
        assert faulty.getpid() == daemon
        os.kill(daemon, signal.SIGKILL)
        # without the child's descriptors replaced, this would wait for the child
        assert faulty.getpid() != daemon
    finally:
        os.kill(child, signal.SIGKILL)
