"""Mounts: a detached one, bind mounts, propagation, and which there are."""

from typing import Final, NamedTuple

from privmigrate.linux import _libc

PROPAGATIONS: Final = {
    "private": _libc.MS_PRIVATE,
    "shared": _libc.MS_SHARED,
    "slave": _libc.MS_SLAVE,
    "unbindable": _libc.MS_UNBINDABLE,
}
_MOUNTS: Final = "/proc/thread-self/mountinfo"


class Mount(NamedTuple):
    """One line of proc_pid_mountinfo(5)."""

    point: str
    kind: str
    shared: bool


def open_detached(kind: str) -> int:
    """Mount a file system that needs no device; give a descriptor of its root.

    No path leads there, and it is gone with the descriptor: nothing has to be undone, whatever
    becomes of the process. Needs CAP_SYS_ADMIN and Linux 5.2; raise OSError as the kernel gives it.
    """
    return _libc.mount_detached(kind.encode())


def bind(source: str, target: str, *, recursively: bool = False) -> None:
    """Let `target` show what `source` shows."""
    _libc.mount(source, target, _libc.MS_BIND | (_libc.MS_REC if recursively else 0))


def propagate(target: str, how: str, *, recursively: bool = False) -> None:
    """Set the propagation of a mount, by a word of `PROPAGATIONS`."""
    _libc.mount(None, target, PROPAGATIONS[how] | (_libc.MS_REC if recursively else 0))


def unmount(target: str, *, lazily: bool = False, follow: bool = True) -> None:
    """Take away what is mounted last at `target`; `lazily` as soon as nobody uses it."""
    flags = (_libc.MNT_DETACH if lazily else 0) | (0 if follow else _libc.UMOUNT_NOFOLLOW)
    _libc.umount2(target, flags)


def mounts() -> list[Mount]:
    """What is mounted where this thread looks, in the order of mounting."""
    found = []
    with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123 - pathlib costs 5 ms
        for line in file:
            before, _, after = line.partition(" - ")
            fields = before.split(" ")
            shared = any(field.startswith("shared:") for field in fields[6:])
            found.append(Mount(_unescape(fields[4]), after.split(" ")[0], shared))
    return found


def _unescape(text: str) -> str:
    """Blanks and backslashes are written by their octal numbers."""
    for number, plain in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        text = text.replace(f"\\{number}", plain)
    return text
