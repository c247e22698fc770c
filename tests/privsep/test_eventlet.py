"""Calls from a process that eventlet has patched, with the real eventlet.

Services under eventlet are processes of their own, and so are these: nothing here imports it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tools.modules import PROJECT

pytestmark = pytest.mark.timeout(100)

SERVICE: Final = Path(__file__).with_name("green_service.py")


def run_service(way: str, what: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", SERVICE, way, what],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("way", ["fork", "helper"])
def test_slow_calls_of_green_threads_run_together(way: str) -> None:
    answer = run_service(way, "call_together")
    assert answer == {"values": list(range(8)), "together": True, "ticked": True}


@pytest.mark.parametrize("way", ["fork", "helper"])
def test_answers_go_to_who_asked(way: str) -> None:
    assert run_service(way, "call_often") is True


def test_large_values_both_ways() -> None:
    assert run_service("fork", "send_much") is True


def test_errors_are_what_they_were() -> None:
    assert run_service("fork", "fail") == "/nowhere"


@pytest.mark.parametrize("way", ["fork", "helper"])
def test_calls_can_be_given_up(way: str) -> None:
    assert run_service(way, "give_up") == ["ours", "eventlet's", "next"]


@pytest.mark.parametrize("way", ["fork", "helper"])
def test_death_of_the_daemon(way: str) -> None:
    assert run_service(way, "lose_the_daemon") == [True, True]


def test_a_forked_daemon_has_real_threads() -> None:
    answer = run_service("fork", "look_at_the_daemon")
    assert answer == {"here": "eventlet.greenio.base", "there": "socket"}


@pytest.mark.parametrize("way", ["fork", "helper"])
def test_commands(way: str) -> None:
    assert run_service(way, "run_a_command") == ["hello\n", ""]
