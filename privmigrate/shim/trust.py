"""Who could change what root is going to believe: files, and every folder and link on the way."""

# Paths are texts here, as they are for oslo.rootwrap: "" is not ".".
# ruff: noqa: PTH100, PTH109, PTH115, PTH118, PTH208

import os
from collections.abc import Iterator, Sequence

from privmigrate.linux.paths import MAX_LINKS, components, why_not_roots_alone


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
    todo = components(path)
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
        if links > MAX_LINKS:
            return
        if target.startswith("/"):
            here = ""
        todo.extend(components(target))


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
        if (why := why_not_roots_alone(status, step, step)) is not None:
            return why
    return None


def reasons(paths: Sequence[str], accepted: Sequence[str]) -> tuple[str, ...]:
    """Why paths are not to be believed, each reason once."""
    found = (why_not(path, accepted) for path in paths)
    return tuple(dict.fromkeys(reason for reason in found if reason))
