"""``cp FILE TARGET``: copy one plain file."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.natives.base import (
    DONE,
    LeftToTool,
    always_quoted,
    created_mode,
    expect_plain,
    failure,
    has_name,
    inside,
    operands,
    reached,
)
from privmigrate.privsep.running import ExecResult, go_on

_TWO: Final = 2
_CHUNK: Final = 2**24
_NO_COPY: Final = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}
)


@dataclass(frozen=True, slots=True)
class Cp:
    """Copy what is in a regular file, with its holes, to a new file or over a regular one.

    A new file gets the permission bits that the umask leaves; one that there is keeps its own.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (Capability.CAP_DAC_OVERRIDE,)
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a file", "echo x > f; chmod 6777 f", ("cp", "f", "g")),
        Same("an empty one", ": > f", ("cp", "f", "g")),
        Same("over another", "echo x > f; echo longer > g; chmod 600 g", ("cp", "f", "g")),
        Same("into a folder", "echo x > f; mkdir d", ("cp", "f", "d")),
        Same("with holes", "truncate -s 3M f; echo x >> f; truncate -s 5M f", ("cp", "f", "g")),
        Same("from a link", "echo x > f; ln -s f l", ("cp", "l", "g")),
        Same("over a link", "echo x > f; : > g; ln -s g l", ("cp", "f", "l")),
        Same("what the kernel makes up", "", ("cp", "/proc/sys/kernel/ostype", "g")),
        Same("no such file", "", ("cp", "nowhere", "g")),
        Same("below nothing", ": > f", ("cp", "f", "a/b")),
        Kept("several", ("cp", "f", "g", "d"), "each has its own result"),
        Kept("a tree", ("cp", "-r", "d", "e"), "its own walk"),
        Kept("as it is", ("cp", "-p", "f", "g"), "owners, times, access lists"),
        Kept("all of it", ("cp", "-a", "f", "g"), "owners, times, access lists"),
        Kept("in place of a file", ("cp", "-f", "f", "g"), "removes where it cannot open"),
        Kept("to no name", ("cp", "f", ""), "the tool says what is wrong"),
    )

    source: str
    target: str
    within: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Both."""
        return self.source, self.target

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """Two operands, without options."""
        words = operands(argv)
        if len(words) != _TWO or not all(words) or not has_name(words[0]):
            return None
        return cls(*words)

    def perform(self) -> ExecResult:
        """Copy; LeftToTool for all but regular files, before anything is changed."""
        try:
            source = self._open_source()
        except OSError as error:
            return failure("cp", f"cannot stat {always_quoted(self.source)}", error)
        path = self.target
        try:
            status = os.fstat(source)
            try:
                with reached(path, self.within) as place:
                    path = inside(place, path, self.source, follow=self.within is None)
                target = self._open_target(path, status)
            except OSError as error:
                problem = f"cannot create regular file {always_quoted(path)}"
                return failure("cp", problem, error)
            try:
                _copy(source, target, status.st_size)
            except OSError as error:
                return failure("cp", f"error copying to {always_quoted(path)}", error)
            finally:
                os.close(target)
        finally:
            os.close(source)
        return DONE

    def _open_source(self) -> int:
        nofollow = 0 if self.within is None else os.O_NOFOLLOW
        with reached(self.source, self.within) as place:
            mode = os.stat(place, follow_symlinks=self.within is None).st_mode  # noqa: PTH116 - pathlib costs 5 ms
            if not stat.S_ISREG(mode):
                raise LeftToTool(f"{self.source} is no regular file")
            try:
                file = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | nofollow)
            except OSError as error:
                raise LeftToTool(f"{self.source}: {error.strerror}") from None
        _expect_plain(file)
        return file

    def _open_target(self, path: str, source: os.stat_result) -> int:
        nofollow = 0 if self.within is None else os.O_NOFOLLOW
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | nofollow
        with reached(path, self.within) as place:
            try:
                file = os.open(place, flags)
            except FileNotFoundError:
                if os.path.islink(place):  # noqa: PTH114 - as above
                    raise LeftToTool(f"{path} is a link to nowhere") from None
                mode = created_mode(place, source.st_mode & 0o777)
                return os.open(place, flags | os.O_CREAT | os.O_EXCL, mode)
            except OSError as error:
                raise LeftToTool(f"{path}: {error.strerror}") from None
        status = os.fstat(file)
        _expect_plain(file)
        if (status.st_dev, status.st_ino) == (source.st_dev, source.st_ino):
            os.close(file)
            raise LeftToTool(f"{path} is the same file")
        os.ftruncate(file, 0)
        return file


def _expect_plain(file: int) -> None:
    try:
        expect_plain(file)
    except LeftToTool:
        os.close(file)
        raise


def _copy(source: int, target: int, size: int) -> None:
    """Copy all data; holes stay holes."""
    end = 0
    for start, end in _extents(source, size):
        os.lseek(source, start, os.SEEK_SET)
        os.lseek(target, start, os.SEEK_SET)
        left: int | None = None if end < 0 else end - start
        while left is None or left > 0:
            go_on()
            count = _copy_some(source, target, _CHUNK if left is None else min(left, _CHUNK))
            if not count:
                break
            left = None if left is None else left - count
    if end >= 0 and size > end:
        os.ftruncate(target, size)


def _extents(source: int, size: int) -> Iterator[tuple[int, int]]:
    """Where data begins and ends; an end of -1 is that of the file, whatever its size says."""
    if not size:
        yield 0, -1  # of what the kernel makes up no size is known
        return
    place = 0
    while place < size:
        try:
            start = os.lseek(source, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                yield 0, -1
            return
        place = os.lseek(source, start, os.SEEK_HOLE)
        yield start, place


def _copy_some(source: int, target: int, count: int) -> int:
    try:
        copied = os.copy_file_range(source, target, count)
    except OSError as error:
        if error.errno not in _NO_COPY:
            raise
        copied = 0
    if copied:
        return copied
    # by hand, also where the kernel copies nothing of a file that it makes up
    data = memoryview(os.read(source, min(count, 2**20)))
    left = data
    while left:
        left = left[os.write(target, left) :]
    return len(data)
