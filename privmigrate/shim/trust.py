"""Who could change what root is going to believe: files, and every folder and link on the way."""

# Paths are texts here, as they are for oslo.rootwrap: "" is not ".".
# ruff: noqa: PTH100, PTH109, PTH115, PTH118, PTH208

import os
import stat
from collections.abc import Iterator, Sequence
from typing import Final

from privmigrate.linux.paths import group_that_writes

_MAX_LINKS: Final = 40  # as the kernel's own limit, path_resolution(7)


def entries(folder: str) -> tuple[str, ...]:
    """The files of a filters_path folder that rootwrap reads."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return ()
    return tuple(os.path.join(folder, name) for name in names if not name.startswith("."))


def steps(path: str) -> Iterator[str]:
    """Everything that is looked at to get to `path`, itself included, as far as it exists."""
    path = os.path.abspath(path) if path else os.getcwd()
    todo = [name for name in reversed(path.split("/")) if name not in {"", "."}]
    here = ""
    yield "/"
    links = 0
    while todo:
        name = todo.pop()
        if name == "..":
            here = here.rpartition("/")[0]
            continue
        step = f"{here}/{name}"
        yield step
        try:
            target = os.readlink(step)
        except OSError:
            here = step
            continue
        links += 1
        if links > _MAX_LINKS:
            return
        if target.startswith("/"):
            here = ""
        todo.extend(part for part in reversed(target.split("/")) if part not in {"", "."})


def why_not(path: str, accepted: Sequence[str]) -> str | None:
    """Say why others than root could change what `path` means; None if they cannot."""
    for step in steps(path):
        if any(step == folder or step.startswith(folder + "/") for folder in accepted):
            continue
        try:
            status = os.lstat(step)
        except FileNotFoundError:
            return None  # whoever may make it may change the folder, which was looked at
        except OSError as error:
            return f"{step}: {error.strerror}"
        if status.st_uid:
            return f"{step} belongs to uid {status.st_uid}, not to root"
        if stat.S_ISLNK(status.st_mode):
            continue  # a link has no mode of its own
        if status.st_mode & stat.S_IWOTH:
            return f"{step} is writable by everyone"
        if (who := group_that_writes(status, step)) is not None:
            return f"{step} is writable by {who}"
    return None


def reasons(paths: Sequence[str], accepted: Sequence[str]) -> tuple[str, ...]:
    """Why paths are not to be believed, each reason once."""
    found = (why_not(path, accepted) for path in paths)
    return tuple(dict.fromkeys(reason for reason in found if reason))
