"""Reading the whole of a file that somebody named: no waiting for it, and no end of it."""

import errno
import os
import stat
from typing import Final

MAX_BYTES: Final = 64 << 20


def read_regular(path: str, most: int = MAX_BYTES) -> bytes:
    """Read a regular file; a pipe or a device of that name is not waited for. Raise OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"larger than {most >> 20} MB", path)
    return data
