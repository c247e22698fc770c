"""Callers keep processutils' options: what is an error, how often to try, what is logged."""

import importlib
import logging
import sys

import pytest

from privmigrate.errors import Refused
from privmigrate.privsep.execute import ExecResult, PrivilegeDenied, ProcessExecutionError
from privmigrate.privsep.policy import LogErrors, Policy, mask

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
