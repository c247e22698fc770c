"""``cat FILE``: read one regular file."""

import errno
import os
import stat
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from privmigrate.errors import Refused
from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.linux.paths import open_beneath
from privmigrate.privsep.execute import acting, plan_native
from privmigrate.privsep.natives.base import LeftToTool, expect_plain, failed, failure, quoted
from privmigrate.privsep.running import MAX_OUTPUT, ExecResult

_ONE_FILE: Final = 2
_CHUNK: Final = 2**20


@dataclass(frozen=True, slots=True)
class Cat:
    """Read `path` and return what is in it.

    Symbolic links are followed, as cat does, unless `within` names the folder that the path was
    checked to lie in: then no link at all is, so that none that is put there after the check leads
    out. Only regular files are read, and at most 64 MiB, more is an error; a device or a pipe is
    not even opened, nor is a file of a process, which might be the daemon itself.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (Capability.CAP_DAC_READ_SEARCH,)
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a file", "printf 'a\\0b\\n' > f", ("cat", "f")),
        Same("an empty file", ": > f", ("cat", "f")),
        Same("through a link", "echo x > f; ln -s f l", ("cat", "l")),
        Same("a file that the kernel makes up", "", ("cat", "/proc/sys/kernel/ostype")),
        Same("no such file", "", ("cat", "nowhere")),
        Same("a name that needs quotes", "", ("cat", "no where")),
        Same("a folder", "mkdir d", ("cat", "d")),
        Same("below a file", ": > f", ("cat", "f/x")),
        Same("a loop", "ln -s l l", ("cat", "l")),
        Kept("an option", ("cat", "-n", "f"), "numbers lines"),
        Kept("several files", ("cat", "f", "g"), "one file, one result"),
        Kept("standard input", ("cat",), "reads what it is fed"),
        Kept("standard input by name", ("cat", "-"), "reads what it is fed"),
    )

    path: str
    within: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """The file."""
        return (self.path,)

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """Exactly one word that is no option."""
        if len(argv) != _ONE_FILE or argv[1].startswith("-") or not argv[1]:
            return None
        return cls(argv[1])

    @property
    def argv(self) -> tuple[str, ...]:
        """As the tool would be called."""
        return ("cat", self.path)

    def perform(self) -> ExecResult:
        """Look what it is, then open that very file and read."""
        try:
            handle = self._open()
            try:
                return self._read(handle)
            finally:
                os.close(handle)
        except OSError as error:
            return failure("cat", quoted(self.path), error)

    def _open(self) -> int:
        flags = os.O_PATH | os.O_CLOEXEC
        if self.within is None:
            return os.open(self.path, flags)
        folder = os.open(self.within, flags | os.O_DIRECTORY)
        try:
            return open_beneath(folder, os.path.relpath(self.path, self.within), flags)
        finally:
            os.close(folder)

    def _read(self, handle: int) -> ExecResult:
        kind = os.fstat(handle).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, "")
        expect_plain(handle)
        chunks: list[bytes] = []
        left = MAX_OUTPUT
        # what the handle stands for, not what now has its name
        with open(f"/proc/self/fd/{handle}", "rb", buffering=0) as file:  # noqa: PTH123
            while chunk := file.read(min(_CHUNK, left + 1)):
                chunks.append(chunk)
                left -= len(chunk)
                if left < 0:
                    raise OSError(errno.EFBIG, "")
        return ExecResult(0, b"".join(chunks), b"")


def cat(path: str, *, within: str | None = None) -> ExecResult:
    """Read one regular file; `within` is the folder that the path was checked to lie in.

    A path must be absolute: the daemon's folder is not the caller's.
    """
    if not path.startswith("/"):
        raise Refused("the path of a file to read must be absolute")
    native = Cat(path, within)
    planned = plan_native("cat", *native.argv)
    if planned is not None:
        return planned
    try:
        with acting():
            return native.perform()
    except LeftToTool as left:
        return failed(f"cat: {quoted(path)}: {left}")
