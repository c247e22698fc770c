"""A daemon of the service, started by fork for each test that asks for it."""

import functools
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from privmigrate.privsep.priv_context import Method, PrivContext
from tests.privsep import service

SECONDS = 20.0


@pytest.fixture
def daemon() -> Generator[PrivContext]:
    service.context.start(Method.FORK)
    yield service.context
    service.context.stop()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    return wait_until


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again, and fail when it takes too long."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        threading.Event().wait(0.005)


def count_descriptors() -> int:
    """How many files this process has open; the one that is needed to look is always among them."""
    return len(list(Path("/proc/self/fd").iterdir()))


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def wait_for_end(*pids: int) -> None:
    """Wait until none of these processes runs."""
    for pid in pids:
        wait_until(functools.partial(_has_ended, pid))


def _has_ended(pid: int) -> bool:
    return not is_running(pid)
