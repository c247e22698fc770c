"""Opening files on paths that others may change while we look.

Every walk goes from folder descriptor to folder descriptor, so that what was checked is what is
opened. `trusted` judges paths of configuration and code; `open_beneath` holds a path within a
folder.
"""

import errno
import os
import stat
from typing import Final

from privmigrate.errors import Refused
from privmigrate.linux import _libc

_PROC: Final = 0x9FA0  # PROC_SUPER_MAGIC of linux/magic.h
MAX_LINKS: Final = 40  # as the kernel's own limit, path_resolution(7)
_ROOT: Final = 0
_ACCESS_LIST: Final = "system.posix_acl_access"
_PATH_ONLY: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def open_beneath(folder: int, path: str, flags: int) -> int:
    """Open what a relative path names, which may neither leave the folder nor meet a link.

    Raise OSError: ELOOP for a link, EXDEV for a way out.
    """
    resolve = _libc.RESOLVE_BENEATH | _libc.RESOLVE_NO_MAGICLINKS | _libc.RESOLVE_NO_SYMLINKS
    return _libc.openat2(os.fsencode(path), flags, resolve, dir_fd=folder)


def is_of_process(handle: int) -> bool:
    """Whether an open file is one of a process in a proc file system, by whatever name.

    The kernel lets every process write to its own memory, so that a path that leads to
    ``/proc/self/mem`` means something else for a daemon than for a program that it starts.
    """
    if _libc.fstatfs_type(handle) != _PROC:
        return False
    names = os.readlink(f"/proc/self/fd/{handle}").split("/")  # noqa: PTH115 - pathlib costs 5 ms
    return any(name.isdigit() for name in names)


def trusted(path: str) -> str | None:
    """Say why others than root could change what `path` means; None if they cannot.

    Every folder and link on the way, followed through symbolic links, and the file itself must
    belong to root and be writable by nobody else: a sticky folder such as /tmp is not enough, for
    whoever comes first makes the file. Write permission of group root counts as root's.
    """
    try:
        _walk(path)
    except Refused as refused:
        return str(refused)
    return None


def _walk(path: str) -> None:
    """Go from / to `path` and judge every step; raise Refused."""
    if not path.startswith("/"):
        raise Refused(f"{path} is not an absolute path")
    todo = components(path)
    names: list[str] = []
    handles = [os.open("/", _PATH_ONLY | os.O_DIRECTORY)]
    links = 0
    try:
        _judge(handles[0], "/")
        while todo:
            name = todo.pop()
            if name == "..":
                if names:
                    names.pop()
                    os.close(handles.pop())
                continue
            here = "/" + "/".join((*names, name))
            handle = _open_step(name, handles[-1], here)
            handles.append(handle)
            names.append(name)
            _judge(handle, here)  # INV-9: each step, for whoever can change one changes the rest
            if stat.S_ISLNK(os.fstat(handle).st_mode):
                links += 1
                if links > MAX_LINKS:
                    raise Refused(f"{path}: too many symbolic links")
                target = os.readlink("", dir_fd=handle)
                os.close(handles.pop())
                names.pop()
                if target.startswith("/"):
                    while len(handles) > 1:
                        os.close(handles.pop())
                    names.clear()
                todo.extend(components(target))
    finally:
        for handle in handles:
            os.close(handle)


def components(path: str) -> list[str]:
    """The names of a path, last first; ``.`` and empty ones mean nothing."""
    return [name for name in reversed(path.split("/")) if name not in {"", "."}]


def _open_step(name: str, folder: int, here: str) -> int:
    try:
        return os.open(name, _PATH_ONLY, dir_fd=folder)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Refused(f"{here}: {reason}") from error


def _judge(handle: int, here: str) -> None:
    # what the descriptor stands for: one of O_PATH has no attributes of its own
    why = why_not_roots_alone(os.fstat(handle), here, f"/proc/self/fd/{handle}")
    if why is not None:
        raise Refused(why)


def why_not_roots_alone(status: os.stat_result, here: str, path: str) -> str | None:
    """Say why others than root could change this one file or folder; None if they cannot.

    `here` is what messages call it, `path` where its attributes can be read.
    """
    if status.st_uid != _ROOT:
        return f"{here} belongs to uid {status.st_uid}, not to root"
    if stat.S_ISLNK(status.st_mode):
        return None  # a link has no mode of its own
    if status.st_mode & stat.S_IWOTH:
        return f"{here} is writable by everyone"
    who = group_that_writes(status, path)
    return None if who is None else f"{here} is writable by {who}"


def group_that_writes(status: os.stat_result, path: str) -> str | None:
    """Say who but the owner may write what belongs to root; None if that is root's group alone.

    With an access control list the group's bits are the most that any user or group named in it
    may do.
    """
    if not status.st_mode & stat.S_IWGRP:
        return None
    if status.st_gid != _ROOT:
        return f"group {status.st_gid}"
    if not _has_access_list(path):
        return None
    return "users or groups of its access control list"


def _has_access_list(path: str) -> bool:
    # not by the list of names: whoever may write the file can make that too long to be read
    try:
        os.getxattr(path, _ACCESS_LIST)
    except OSError as error:
        return error.errno not in {errno.ENODATA, errno.ENOTSUP}
    return True
