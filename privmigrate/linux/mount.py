"""A file system that is mounted nowhere: reached by one descriptor, and gone with it.

Nothing has to be undone, whatever becomes of the process, and nobody else sees it.
"""

from privmigrate.linux import _libc


def open_detached(kind: str) -> int:
    """Mount a file system that needs no device; give a descriptor of its root.

    Needs CAP_SYS_ADMIN and Linux 5.2; raise OSError as the kernel gives it.
    """
    return _libc.mount_detached(kind.encode())
