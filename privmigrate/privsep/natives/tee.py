"""``tee FILE...``: write the input to files and to the output."""

import os
import stat
from dataclasses import dataclass
from typing import ClassVar, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.natives.base import (
    LeftToTool,
    created_mode,
    expect_plain,
    failure,
    pinned,
    quoted,
    reached,
    split,
    together,
)
from privmigrate.privsep.running import ExecResult


@dataclass(frozen=True, slots=True)
class Tee:
    """Write `stdin` to regular files, below /proc and /sys too, in one call if the kernel takes it.

    Devices and pipes are left to the tool, which may wait for them.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (Capability.CAP_DAC_OVERRIDE,)
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a new file", "", ("tee", "f"), b"x\n"),
        Same("one that there is", "echo hello > f; chmod 600 f", ("tee", "f"), b"x\0\xff"),
        Same("to its end", "echo hello > f", ("tee", "-a", "f", "g"), b"x\n"),
        Same("in long", "echo hello > f", ("tee", "--append", "f"), b"x\n"),
        Same("nothing to write", "echo hello > f", ("tee", "f")),
        Same("much", "", ("tee", "f", "g"), b"0123456789" * 10_000),
        Same("through a link", "ln -s f l", ("tee", "l"), b"x\n"),
        Same("a folder, and a file", "mkdir d", ("tee", "d", "f"), b"x\n"),
        Same("below nothing", "", ("tee", "a/b"), b"x\n"),
        Same("no name", "", ("tee", ""), b"x\n"),
        Same("what the kernel refuses", "", ("tee", "/proc/sys/net/ipv4/ip_forward"), b"junk\n"),
        Same("what cannot be written", "", ("tee", "/proc/version"), b"x\n"),
        Kept("the output alone", ("tee",), "needs no privilege"),
        Kept("a file of that name", ("tee", "-"), "read otherwise by older versions"),
        Kept("without interrupts", ("tee", "-i", "f"), "about signals"),
        Kept("about pipes", ("tee", "-p", "f"), "about signals"),
    )

    paths: tuple[str, ...]
    append: bool = False
    stdin: bytes = b""
    within: str | None = None

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """Files; -a."""
        words = split(argv, "a", append="a")
        if words is None or not words.operands:
            return None
        return cls(words.operands, "a" in words.options)

    def perform(self) -> ExecResult:
        """All are opened before the first is written."""
        for path in self.paths:
            self._look(path)
        opened = [self._open(path) for path in self.paths]
        failures = [file for file in opened if isinstance(file, ExecResult)]
        for path, file in zip(self.paths, opened, strict=True):
            if isinstance(file, int):
                failures += self._write(path, file)
        return together([*failures, ExecResult(0, self.stdin, b"")])

    def _look(self, path: str) -> None:
        """Before anything is opened for writing, which empties it; again when it is."""
        try:
            with reached(path, self.within) as place, pinned(place, self.within) as file:
                mode = os.stat(file).st_mode  # noqa: PTH116 - pathlib costs 5 ms
                if stat.S_ISDIR(mode):
                    return
                if not stat.S_ISREG(mode):
                    raise LeftToTool(f"{path} is no regular file")
        except OSError:
            return  # opening it says what is wrong

    def _open(self, path: str) -> int | ExecResult:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        flags |= os.O_APPEND if self.append else os.O_TRUNC
        flags |= 0 if self.within is None else os.O_NOFOLLOW
        try:
            with reached(path, self.within) as place:
                file = os.open(place, flags, created_mode(place, 0o666))
            try:
                expect_plain(file)
            except BaseException:
                os.close(file)
                raise
        except OSError as error:
            return failure("tee", quoted(path), error)
        return file

    def _write(self, path: str, file: int) -> list[ExecResult]:
        left = memoryview(self.stdin)
        try:
            while left:
                left = left[os.write(file, left) :]
        except OSError as error:
            return [failure("tee", quoted(path), error)]
        finally:
            os.close(file)
        return []
