"""Which call has begun: memory of the daemon that its client can read when the daemon is dead.

A daemon may be killed at any moment, also while it takes a request: its client then finds the
request gone, and cannot know whether it was executed. So the daemon makes a mark before it executes
a call, which costs a store and no system call. Where there is no mark nothing was executed.

The memory is the daemon's, which writes it and never reads it. Seals let the client read it and
nothing else: it can neither make marks nor take the memory away, which would end the daemon.
"""

import fcntl
import mmap
import os
import sys
from contextlib import suppress
from typing import Final, NamedTuple

SLOTS: Final = 4096
_SLOT: Final = 64
"""Bytes for each connection: a line of the processors' caches, for which two would contend."""
SIZE: Final = _SLOT * SLOTS
_KEY: Final = 8
NUMBERS: Final = 256
"""A mark is a byte. One connection has one call at a time, so two values would be enough."""
MOST_NUMBERS: Final = 1 << 32
"""How many calls of a connection that carries several at a time can be told apart."""
_NEXT: Final = 12
_WORD: Final = 4

_MFD_NOEXEC_SEAL: Final = 8  # Linux 6.3, where it may be required
_F_SEAL_FUTURE_WRITE: Final = 16  # Linux 5.1
SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | _F_SEAL_FUTURE_WRITE


class Mark(NamedTuple):
    """One connection's place.

    Attributes:
        byte: the number of the call that has begun, modulo NUMBERS, where there is one at a time.
        next: where there are several, the number from which on none was read; 0 if that cannot be
            told any more.
    """

    byte: memoryview
    next: memoryview


class Marks:
    """The daemon's side.

    Attributes:
        fd: for the client; whoever sends it closes it.
    """

    __slots__ = ("_memory", "fd")

    def __init__(self) -> None:
        try:
            self.fd = os.memfd_create("privsep-marks", os.MFD_CLOEXEC | _MFD_NOEXEC_SEAL)
        except OSError:  # an older kernel
            self.fd = os.memfd_create("privsep-marks", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, SIZE)
        self._memory = memoryview(mmap.mmap(self.fd, SIZE))
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, SEALS)

    def take(self, fd: int, key: int) -> Mark:
        """Give the place for the marks of the connection that has this descriptor.

        No two open connections have the same, and so no two share a place.
        """
        # what no client finds
        slot = memoryview(bytearray(_SLOT)) if fd >= SLOTS else self._slot(fd)
        # the key first: whose slot this was must not find its key beside another's mark
        slot[:_KEY] = _pack(key)
        mark = Mark(slot[_KEY : _KEY + 1], slot[_NEXT : _NEXT + _WORD].cast("I"))
        mark.byte[0] = 0
        mark.next[0] = 1
        return mark

    def _slot(self, fd: int) -> memoryview:
        return self._memory[fd * _SLOT : (fd + 1) * _SLOT]


class Evidence:
    """The client's side."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __del__(self) -> None:
        os.close(self._fd)

    def shows_that_it_did_not_begin(self, key: int, number: int) -> bool:
        """Whether this call of this connection is one that was certainly not executed.

        For a connection that has ended, and had one call at a time; False where nothing is known.
        """
        mark = self._read(key, _KEY, 1)
        return mark is not None and mark != bytes((number % NUMBERS,))

    def first_that_did_not_begin(self, key: int) -> int | None:
        """From which number on no call of this connection was certainly executed.

        For a connection that has ended, and carried several calls at a time, in the order of
        their numbers; None where nothing is known.
        """
        word = self._read(key, _NEXT, _WORD)
        return None if word is None else int.from_bytes(word, sys.byteorder) or None

    def _read(self, key: int, offset: int, size: int) -> bytes | None:
        """Read from the slot of a connection; None if it has none any more."""
        sought = _pack(key)
        with suppress(OSError):
            memory = os.pread(self._fd, SIZE, 0)
            place = -1
            while (place := memory.find(sought, place + 1)) >= 0:
                if place % _SLOT:
                    continue
                found = os.pread(self._fd, size, place + offset)
                # the slot may meanwhile be another's, whose mark this then is
                return found if os.pread(self._fd, _KEY, place) == sought else None
        return None


def new_key() -> int:
    """A name for a connection that no other has, also not in a process that we fork."""
    return int.from_bytes(os.urandom(_KEY)) >> 1


def _pack(key: int) -> bytes:
    # a client may name its connection as it likes: any number that msgpack has
    return (key % (1 << 8 * _KEY)).to_bytes(_KEY, "little")
