"""``blockdev --getsize64 DEVICE``: the size of a block device in bytes."""

import os
import stat
import sys
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.natives.base import LeftToTool, reached
from privmigrate.privsep.running import ExecResult

_BLKGETSIZE64: Final = 0x80081272  # linux/fs.h, where a size is of 64 bits
_FORM: Final = ("blockdev", "--getsize64")
_WORDS: Final = 3


@dataclass(frozen=True, slots=True)
class Blockdev:
    """Ask the kernel for the size. Errors are the tool's own."""

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (Capability.CAP_DAC_READ_SEARCH,)
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a device", "", ("blockdev", "--getsize64", "{device}")),
        Kept("in sectors", ("blockdev", "--getsz", "/dev/vda"), "seldom seen"),
        Kept("flushing", ("blockdev", "--flushbufs", "/dev/vda"), "changes something"),
        Kept("several", ("blockdev", "--getsize64", "a", "b"), "each has its own result"),
        Kept("with words", ("blockdev", "-v", "--getsize64", "/dev/vda"), "for people"),
    )

    path: str
    within: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The device."""
        return (self.path,)

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """--getsize64 and one device."""
        if len(argv) != _WORDS or argv[:2] != _FORM or not argv[2] or argv[2].startswith("-"):
            return None
        return cls(argv[2])

    def perform(self) -> ExecResult:
        """Ask; LeftToTool for what cannot be asked."""
        import fcntl

        nofollow = 0 if self.within is None else os.O_NOFOLLOW
        try:
            with reached(self.path, self.within) as place:
                mode = os.stat(place, follow_symlinks=self.within is None).st_mode  # noqa: PTH116 - pathlib costs 5 ms
                if not stat.S_ISBLK(mode):
                    raise LeftToTool(f"{self.path} is no block device")
                device = os.open(place, os.O_RDONLY | os.O_CLOEXEC | nofollow)
            try:
                size = fcntl.ioctl(device, _BLKGETSIZE64, bytes(8))
            finally:
                os.close(device)
        except OSError as error:
            raise LeftToTool(f"{self.path}: {error.strerror}") from None
        return ExecResult(0, b"%d\n" % int.from_bytes(size, sys.byteorder), b"")
