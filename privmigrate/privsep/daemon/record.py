"""What a daemon leaves for ``privmigrate caps show``: its context and its securebits.

The kernel shows a thread's securebits to that thread alone. So the daemon writes them, once and
after the drop, into a sealed file in memory that it keeps open: whoever may look into
/proc/PID/fd can read it there, and nobody can change it. Locked bits stay as recorded.
"""

import contextlib
import fcntl
import os
from typing import Final, NamedTuple

from privmigrate.linux.thread import SecureBits

_NAME: Final = "privmigrate-daemon"
_LINK: Final = f"/memfd:{_NAME} (deleted)"
_MAX_SIZE: Final = 4096
_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Record(NamedTuple):
    """The name of the context, and the securebits at the end of the drop."""

    context: str
    securebits: SecureBits


def write_record(record: Record) -> int:
    """Leave the record; it lasts as long as the descriptor that is returned."""
    fd = os.memfd_create(_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, f"{int(record.securebits)} {record.context}".encode()[:_MAX_SIZE])
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    return fd


def read_record(pid: int) -> Record | None:
    """Find the record of a daemon; None if it is none of ours, or we may not look."""
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - pathlib costs 5 ms
            with contextlib.suppress(OSError):
                path = f"{folder}/{name}"
                if os.readlink(path) == _LINK:  # noqa: PTH115 - as above
                    return _read(path)
    return None


def _read(path: str) -> Record | None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if fcntl.fcntl(fd, fcntl.F_GET_SEALS) != _SEALS:
            return None
        return parse_record(os.pread(fd, _MAX_SIZE, 0))
    finally:
        os.close(fd)


def parse_record(data: bytes) -> Record | None:
    """Read a record's bytes; None for anything that is not one."""
    bits, _, context = data.decode("utf-8", "replace").partition(" ")
    if not (bits.isascii() and bits.isdigit()):
        return None
    return Record(context, SecureBits(int(bits)))
