"""A call inside a network namespace leaves its caller where it was."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.errors import Refused
from privmigrate.linux.netns import call_inside, open_named

NAME = f"privmigrate-{os.getpid()}"


@pytest.fixture
def namespace() -> Iterator[str]:
    subprocess.run(["ip", "netns", "add", NAME], check=True)
    yield NAME
    subprocess.run(["ip", "netns", "delete", NAME], check=True)


def own() -> str:
    return str(Path("/proc/thread-self/ns/net").readlink())


@pytest.mark.root
def test_the_call_is_inside_and_the_caller_is_not(namespace: str) -> None:
    before = own()
    handle = open_named(namespace)
    try:
        assert call_inside(handle, own) != before
        assert [name for _, name in call_inside(handle, socket.if_nameindex)] == ["lo"]
        with pytest.raises(ZeroDivisionError):
            call_inside(handle, lambda: 1 // 0)
    finally:
        os.close(handle)
    assert own() == before


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "a\0b"])
def test_names_that_are_paths_are_refused(name: str) -> None:
    with pytest.raises(Refused, match="is no name of a network namespace"):
        open_named(name)


def test_a_namespace_that_is_not_there() -> None:
    with pytest.raises(Refused, match="network namespace no-such: No such file"):
        open_named("no-such")


@pytest.mark.root
def test_a_descriptor_of_something_else_is_refused() -> None:
    handle = os.open("/etc/passwd", os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="setns"):
            call_inside(handle, own)
    finally:
        os.close(handle)
