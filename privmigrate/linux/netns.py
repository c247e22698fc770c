"""One call inside a network namespace.

The namespace belongs to a thread, and a thread whose return to its own namespace failed would do
the next call's work in the wrong one. So the call runs in a thread that ends with it.
"""

import os
from collections.abc import Callable
from typing import Final, TypeVar

from privmigrate.errors import Refused
from privmigrate.linux import _libc
from privmigrate.linux.disposable import call_in_thread

_FOLDER: Final = "/run/netns"  # where ip-netns(8) keeps its names
_CLONE_NEWNET: Final = 0x40000000

_Result = TypeVar("_Result")


def open_named(name: str) -> int:
    """Open a namespace by the name that ``ip netns`` gave it; raise Refused if there is none."""
    if not name or "/" in name or "\0" in name or name in {".", ".."}:
        raise Refused(f"{name!r} is no name of a network namespace")
    try:
        return os.open(f"{_FOLDER}/{name}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise Refused(f"network namespace {name}: {error.strerror}") from error


def call_inside(namespace: int, call: Callable[[], _Result]) -> _Result:
    """Give what `call` gives inside the namespace of this descriptor, or raise what it raises.

    The calling thread needs CAP_SYS_ADMIN and never leaves its own namespace. Children that the
    call starts are inside.
    """

    def enter_and_call() -> _Result:
        _libc.setns(namespace, _CLONE_NEWNET)
        return call()

    return call_in_thread(enter_and_call)
