"""Callers keep processutils' options: what is an error, how often to try, what is logged."""

import importlib
import logging
import sys
import types

import pytest

from privmigrate.errors import Refused
from privmigrate.privsep.comm import PrivsepTimeout
from privmigrate.privsep.execute import (
    ExecResult,
    ExecutionTimeout,
    PrivilegeDenied,
    ProcessExecutionError,
)
from privmigrate.privsep.policy import LogErrors, Policy, mask
from privmigrate.privsep.running import TimedOut

FAILS = ExecResult(3, b"out\xff", b"err")
WORKS = ExecResult(0, b"out\xff", b"err")


class Calls:
    """Gives one result after the other, and counts."""

    def __init__(self, *results: ExecResult | Exception) -> None:
        self.results = iter(results)
        self.made = 0

    def __call__(self) -> ExecResult:
        self.made += 1
        result = next(self.results)
        if isinstance(result, Exception):
            raise result
        return result


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr("privmigrate.privsep.policy.time.sleep", waited.append)
    return waited


def test_the_default_is_exit_code_0() -> None:
    assert Policy().apply(Calls(WORKS), "lvs") == ("out\udcff", "err")
    with pytest.raises(ProcessExecutionError) as caught:
        Policy().apply(Calls(FAILS), "lvs")
    assert caught.value.args == ("out\udcff", "err", 3, "lvs", None)


@pytest.mark.parametrize(
    ("accepted", "codes", "errors"),
    [
        (True, [0], [1, 3]),
        (None, [0], [1]),
        (False, [0, 3, 99, 137], []),
        (3, [3], [0]),
        (0, [0], [3]),
        ([0, 3], [0, 3], [1]),
        ((5,), [5], [0]),
        ([], [], [0]),
    ],
)
def test_exit_codes(accepted: bool | int | list[int], codes: list[int], errors: list[int]) -> None:  # noqa: FBT001
    policy = Policy(check_exit_code=accepted)
    for code in codes:
        policy.apply(Calls(ExecResult(code, b"", b"")), "x")
    for code in errors:
        with pytest.raises(ProcessExecutionError):
            policy.apply(Calls(ExecResult(code, b"", b"")), "x")


def test_attempts(delays: list[float]) -> None:
    calls = Calls(FAILS, FAILS, WORKS)
    assert Policy(attempts=3).apply(calls, "x").stderr == "err"
    assert calls.made == 3
    assert len(delays) == 2
    assert all(0.2 <= delay <= 2 for delay in delays)
    calls = Calls(FAILS, FAILS)
    with pytest.raises(ProcessExecutionError):
        Policy(attempts=2, delay_on_retry=False).apply(calls, "x")
    assert calls.made == 2
    assert len(delays) == 2
    # processutils returns nothing at all for 0 attempts; ours is tried once
    assert Policy(attempts=0).apply(Calls(WORKS), "x").stderr == "err"


def test_waits_that_grow(delays: list[float]) -> None:
    with pytest.raises(ProcessExecutionError):
        Policy(attempts=4, interval=10).apply(Calls(*[FAILS] * 4), "x")
    assert delays == [20, 40, 80]
    delays.clear()
    with pytest.raises(ProcessExecutionError):
        Policy(attempts=3, interval=2, backoff_rate=1).apply(Calls(*[FAILS] * 3), "x")
    assert delays == [2, 2]


LATE = TimedOut(7, 143, b"some", b"")
TEXT = "Time out on proc 7 after waiting 5 seconds when running lvs"


@pytest.mark.parametrize("late", [LATE, PrivsepTimeout("the call took too long")])
def test_a_time_that_was_up_is_an_error_of_its_own(late: Exception) -> None:
    with pytest.raises(ExecutionTimeout) as caught:
        Policy(timeout=5).apply(Calls(late), "lvs")
    text = TEXT if late is LATE else TEXT.replace("proc 7", "the daemon")
    assert caught.value.args == ("", text, None, "lvs", None)
    assert isinstance(caught.value, ProcessExecutionError)
    for options in ({"raise_timeout": False}, {"check_exit_code": 0}):
        policy = Policy(timeout=5, **options)
        assert policy.apply(Calls(late), "lvs") == ("", text)


def test_a_time_that_was_up_is_no_error_where_the_exit_code_is_none() -> None:
    assert Policy(check_exit_code=False, timeout=5).apply(Calls(LATE), "lvs") == ("some", "")
    done = TimedOut(7, 0, b"some", b"")
    assert Policy(timeout=5).apply(Calls(done), "lvs") == ("some", "")


def test_only_the_last_attempt_says_whether_the_time_was_up(delays: list[float]) -> None:
    policy = Policy(timeout=5, attempts=2, interval=1)
    assert policy.apply(Calls(LATE, WORKS), "lvs").stderr == "err"
    with pytest.raises(ProcessExecutionError) as caught:
        policy.apply(Calls(LATE, FAILS), "lvs")
    assert not isinstance(caught.value, ExecutionTimeout)
    with pytest.raises(ExecutionTimeout):
        policy.apply(Calls(FAILS, LATE), "lvs")
    assert delays == [2, 2, 2]


def test_a_context_that_takes_too_long_is_not_the_callers_limit() -> None:
    with pytest.raises(PrivsepTimeout):
        Policy().apply(Calls(PrivsepTimeout("too long")), "lvs")


def test_handlers_of_os_brick_catch_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = types.ModuleType("os_brick.exception")
    base = importlib.import_module("oslo_concurrency.processutils").ProcessExecutionError
    theirs.ExecutionTimeout = type("ExecutionTimeout", (base,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "os_brick.exception", theirs)
    with pytest.raises(theirs.ExecutionTimeout) as caught:
        Policy(timeout=5).apply(Calls(LATE), "lvs")
    assert isinstance(caught.value, ExecutionTimeout)
    assert (caught.value.stderr, caught.value.exit_code) == (TEXT, None)


def test_a_refusal_is_no_failure_of_the_command_and_not_tried_again(delays: list[float]) -> None:
    calls = Calls(Refused("name is not digits"))
    with pytest.raises(PrivilegeDenied) as caught:
        Policy(attempts=5, check_exit_code=False).apply(calls, "lvs")
    assert calls.made == 1
    assert caught.value.stderr == "lvs: name is not digits"
    assert delays == []


@pytest.mark.parametrize(
    ("log_errors", "logged"),
    [(LogErrors.DEFAULT, 0), (None, 0), (LogErrors.FINAL, 1), (LogErrors.ALL, 2), (1, 2)],
)
def test_logging(
    log_errors: int | None, logged: int, delays: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    policy = Policy(attempts=2, log_errors=log_errors, loglevel=logging.INFO)
    with pytest.raises(ProcessExecutionError):
        policy.apply(Calls(FAILS, FAILS), "lvs password=hunter2")
    assert {record.levelno for record in caplog.records} == {logging.INFO}
    assert sum("exit code: 3" in record.getMessage() for record in caplog.records) == logged
    assert [r.getMessage() for r in caplog.records if "etrying" in r.getMessage()] == [
        "'lvs password=***' failed. Retrying.",
        "'lvs password=***' failed. Not retrying.",
    ]


def test_numbers_of_log_errors_are_those_of_processutils() -> None:
    processutils = importlib.import_module("oslo_concurrency.processutils")
    assert {each.name: each.value for each in LogErrors} == {
        each.name: each.value for each in processutils.LogErrors
    }


SECRETS = [
    "mount -o password=hunter2",
    "cmd --password hunter2",
    "{'admin_pass': 'x', 'password': 'hunter2'}",
    "auth_token=hunter2",
    "x passphrase: hunter2",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_masked_without_oslo_utils(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "oslo_utils.strutils", raising=False)
    masked = mask(text)
    assert "hunter2" not in masked
    assert masked == text.replace("hunter2", "***")
    assert mask("lvs --noheadings vg/password-store") == "lvs --noheadings vg/password-store"


def test_where_the_service_has_oslo_utils_it_masks() -> None:
    strutils = importlib.import_module("oslo_utils.strutils")
    text = "chap sys_pswd='hunter2' --password hunter2"
    assert mask(text) == strutils.mask_password(text)
    assert "hunter2" not in mask(text)


def test_the_command_line_is_put_together_only_for_an_error() -> None:
    def line() -> str:
        raise AssertionError

    assert Policy().apply(Calls(WORKS), line).stderr == "err"
    with pytest.raises(AssertionError):
        Policy().apply(Calls(FAILS), line)
