"""``mount --bind FOLDER FOLDER``, ``mount --make-private MOUNT``: mounts without a device."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.linux.mount import PROPAGATIONS, bind, propagate
from privmigrate.privsep.natives.base import DONE, LeftToTool, pinned, reached
from privmigrate.privsep.running import ExecResult

_BINDS: Final = {
    ("--bind",): False,
    ("-B",): False,
    ("-o", "bind"): False,
    ("--rbind",): True,
    ("-R",): True,
    ("-o", "rbind"): True,
}
_MAKE: Final = "--make-"
_TWO: Final = 2


@dataclass(frozen=True, slots=True)
class Mount:
    """Bind `source` to `target`, or change the propagation of the mount at `target`.

    Nothing of these is written to libmount's own table, which knows only what the kernel does not.
    Errors are the tool's own.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (
        Capability.CAP_DAC_READ_SEARCH,
        Capability.CAP_SYS_ADMIN,
    )
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a folder", "mkdir d e; : > d/f", ("mount", "--bind", "d", "e"), undo="umount e"),
        Same("a file", "echo x > f; : > g", ("mount", "-o", "bind", "f", "g"), undo="umount g"),
        Same(
            "by a link",
            "mkdir d e; : > d/f; ln -s d l; ln -s e m",
            ("mount", "--bind", "l", "m"),
            undo="umount e",
        ),
        Same(
            "with all that is mounted below",
            "mkdir -p a/b c d; : > c/f; mount --bind a a; mount --bind c a/b",
            ("mount", "--rbind", "a", "d"),
            undo="umount -R d; umount a/b; umount a",
        ),
        Same(
            "propagation",
            "mkdir d; mount --bind d d",
            ("mount", "--make-private", "d"),
            undo='grep -c "$PWD/d .*shared:" /proc/self/mountinfo || umount d',
        ),
        Same(
            "propagation of all below",
            "mkdir d; mount --bind d d",
            ("mount", "--make-rshared", "d"),
            undo='grep "$PWD/d .*shared:" /proc/self/mountinfo && umount d',
        ),
        Kept("a device", ("mount", "/dev/vdb", "/mnt"), "looks for its kind"),
        Kept("a kind", ("mount", "-t", "nfs", "server:/a", "/mnt"), "has a helper"),
        Kept("by fstab", ("mount", "/mnt"), "reads fstab"),
        Kept("read-only", ("mount", "-o", "bind,ro", "a", "b"), "two steps"),
        Kept("again", ("mount", "-o", "remount,ro", "/mnt"), "with options from elsewhere"),
        Kept("what is mounted", ("mount",), "prints"),
    )

    target: str
    source: str | None = None
    propagation: str = ""
    recursively: bool = False
    within: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """One or two."""
        return (self.target,) if self.source is None else (self.source, self.target)

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """An option for binding and two paths, or one for propagation and a path."""
        operands = argv[-_TWO:]
        if any(not word or word.startswith("-") for word in operands[1:]):
            return None
        if len(argv) == 1 + _TWO and argv[1].startswith(_MAKE):
            how = argv[1].removeprefix(_MAKE)
            recursively = how not in PROPAGATIONS
            how = how[1:] if recursively and how[0:1] == "r" else how
            return cls(argv[2], None, how, recursively) if how in PROPAGATIONS else None
        recursive = _BINDS.get(argv[1:-_TWO])
        if recursive is None or not operands[0] or operands[0].startswith("-"):
            return None
        return cls(operands[1], operands[0], "", recursive)

    def perform(self) -> ExecResult:
        """One call of the kernel; LeftToTool where it fails."""
        try:
            with self._named(self.target) as target:
                if self.source is None:
                    propagate(target, self.propagation, recursively=self.recursively)
                else:
                    with self._named(self.source) as source:
                        bind(source, target, recursively=self.recursively)
        except OSError as error:
            raise LeftToTool(str(error.strerror)) from None
        return DONE

    @contextmanager
    def _named(self, path: str) -> Iterator[str]:
        if self.within is None:
            yield path
        else:
            with reached(path, self.within) as place, pinned(place, self.within) as file:
                yield file
