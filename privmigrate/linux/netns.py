"""One call inside a network namespace, and the names of namespaces.

The namespace belongs to a thread, and a thread whose return to its own namespace failed would do
the next call's work in the wrong one. So the call runs in a thread that ends with it.
"""

import errno
import os
from collections.abc import Callable
from typing import Final, TypeVar

from privmigrate.errors import Refused
from privmigrate.linux import _libc
from privmigrate.linux.disposable import call_in_thread
from privmigrate.linux.mount import bind, mounts, unmount

_FOLDER: Final = "/run/netns"  # where ip-netns(8) keeps its names
_CLONE_NEWNET: Final = 0x40000000

_Result = TypeVar("_Result")


def is_name(name: str) -> bool:
    """Whether a namespace may have this name: it is that of a file."""
    return bool(name) and "/" not in name and "\0" not in name and name not in {".", ".."}


def open_named(name: str) -> int:
    """Open a namespace by the name that ``ip netns`` gave it; raise Refused if there is none."""
    if not is_name(name):
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


def create(name: str) -> None:
    """Make a namespace of this name, as ``ip netns add`` does where there are such already.

    Needs CAP_SYS_ADMIN, and the folder as ip prepared it: mounted, so that all see what is mounted
    in it. Raise OSError; then nothing is left behind.
    """
    if not any(each.point == _FOLDER and each.shared for each in mounts()):
        raise OSError(errno.ENOENT, f"{_FOLDER} is not prepared")
    path = f"{_FOLDER}/{name}"
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))
    try:
        call_in_thread(lambda: _name_new(path))
    except OSError:
        os.unlink(path)  # noqa: PTH108 - pathlib costs 5 ms
        raise


def _name_new(path: str) -> None:
    _libc.unshare(_CLONE_NEWNET)
    bind("/proc/thread-self/ns/net", path)


def delete(name: str) -> None:
    """Take a name away, as ``ip netns delete`` does; the namespace goes with its last user."""
    path = f"{_FOLDER}/{name}"
    unmount(path, lazily=True, follow=False)
    os.unlink(path)  # noqa: PTH108 - as above
