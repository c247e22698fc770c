"""``umount MOUNT``: take away a mount that nothing else has to know of."""

import os
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.linux.mount import mounts, unmount
from privmigrate.privsep.natives.base import DONE, LeftToTool, reached, split
from privmigrate.privsep.running import ExecResult

_TABLE: Final = "/run/mount/utab"  # what libmount remembers beside the kernel
_HELPERS: Final = "/sbin/umount."


@dataclass(frozen=True, slots=True)
class Umount:
    """Unmount what is mounted at this path, as it is written in the table of mounts.

    Mounts that have a helper (NFS, some of FUSE) or an entry in libmount's own table are left to
    the tool, as are all errors, with its messages and its exit code 32.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (
        Capability.CAP_DAC_READ_SEARCH,
        Capability.CAP_SYS_ADMIN,
    )
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a mount", "mkdir d e; : > d/f; mount --bind d e", ("umount", "{folder}/e")),
        Same(
            "the last of two",
            "mkdir d e f; : > d/f; mount --bind d e; mount --bind f e",
            ("umount", "{folder}/e"),
            undo="umount e",
        ),
        Same("a file system", "mkdir d; mount -t tmpfs none d; : > d/f", ("umount", "{folder}/d")),
        Same("lazily", "mkdir d; mount -t tmpfs none d", ("umount", "-l", "{folder}/d")),
        Kept("by force", ("umount", "-f", "/mnt"), "seldom seen"),
        Kept("several", ("umount", "/a", "/b"), "each has its own result"),
        Kept("all below", ("umount", "-R", "/mnt"), "its own walk"),
        Kept("all", ("umount", "-a"), "nobody means this"),
        Kept("of a kind", ("umount", "-t", "nfs", "/mnt"), "seldom seen"),
        Kept("a relative path", ("umount", "mnt"), "is no mount's name"),
    )

    path: str
    lazily: bool = False
    within: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The mount."""
        return (self.path,)

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """One absolute path; -l."""
        words = split(argv, "l", lazy="l")
        if words is None or len(words.operands) != 1 or not words.operands[0].startswith("/"):
            return None
        return cls(words.operands[0], "l" in words.options)

    def perform(self) -> ExecResult:
        """One call of the kernel; LeftToTool where it fails, or where it is not all there is."""
        try:
            # looked up in the table and never on the way there: a server may be gone
            kind = [each.kind for each in mounts() if each.point == self.path][-1:]
            if not kind or _has_helper(kind[0]) or _is_remembered(self.path):
                raise LeftToTool("no plain mount")
            with reached(self.path, self.within) as place:
                unmount(place, lazily=self.lazily, follow=False)
        except OSError as error:
            raise LeftToTool(str(error.strerror)) from None
        return DONE


def _has_helper(kind: str) -> bool:
    return any(os.path.lexists(_HELPERS + name) for name in (kind, kind.partition(".")[0]))


def _is_remembered(path: str) -> bool:
    try:
        with open(_TABLE, encoding="utf-8", errors="surrogateescape") as table:  # noqa: PTH123 - as above
            return path in table.read().replace("\\040", " ")
    except FileNotFoundError:
        return False
