"""Files of an installation: written at once or not at all, and put back as they were."""

# Paths are texts here, as they are for oslo.rootwrap.
# ruff: noqa: PTH104, PTH108, PTH115, PTH118, PTH123, PTH211

import base64
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from privmigrate.errors import InputError

TEMPORARY: Final = ".privmigrate"  # sudo reads no file in sudoers.d whose name has a dot


@dataclass(frozen=True, slots=True)
class Original:
    """What stood in a place before, whole."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int
    content: str  # base64
    link: str = ""


def inside(root: str, path: str) -> str:
    """A path of the image below `root`; raise InputError where its folders lead out of it."""
    if root == "/":
        return path
    folder, name = os.path.split(root.rstrip("/") + path)
    top, real = os.path.realpath(root), os.path.realpath(folder)
    if real != top and not real.startswith(f"{top}/"):
        raise InputError(f"{path} leads out of {root}, to {real}")
    return os.path.join(real, name)


def read_original(root: str, path: str) -> Original | None:
    """Read what stands in a place; None if nothing does."""
    whole = inside(root, path)
    try:
        status = os.lstat(whole)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(whole)
        return Original(0, status.st_uid, status.st_gid, status.st_mtime_ns, "", target)
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is neither a file nor a link")
    with open(whole, "rb") as file:
        content = base64.b64encode(file.read()).decode("ascii")
    mode = stat.S_IMODE(status.st_mode)
    return Original(mode, status.st_uid, status.st_gid, status.st_mtime_ns, content)


def write_original(path: str, original: Original) -> None:
    """Put back what stood in a place: content or target, mode, owner and time."""
    if not original.link:
        write_file(path, base64.b64decode(original.content), original.mode, original)
        return
    temporary = path + TEMPORARY
    os.symlink(original.link, temporary)
    try:
        os.chown(temporary, original.uid, original.gid, follow_symlinks=False)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_file(
    path: str,
    data: bytes,
    mode: int,
    original: Original | None = None,
    *,
    check: Callable[[str], None] | None = None,
) -> None:
    """Write a file beside its place and move it there when it is whole, and `check` lets it pass.

    So a full disk leaves what stood there, and nobody reads half of it.
    """
    temporary = path + TEMPORARY
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, mode), "wb") as file:
            file.write(data)
            file.flush()
            if original is not None:
                os.fchown(file.fileno(), original.uid, original.gid)
            os.fchmod(file.fileno(), mode)  # last: both before take set-user-ID bits away
            os.fsync(file.fileno())
        if original is not None:
            os.utime(temporary, ns=(original.mtime_ns, original.mtime_ns))
        if check is not None:
            check(temporary)
        os.rename(temporary, path)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise


def digest_of(path: str) -> str:
    """Of what is in a file; nothing if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return ""
