"""``sysctl -w KEY=VALUE``, ``sysctl -n KEY``: settings of the kernel, below /proc/sys."""

import os
import re
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.natives.base import LeftToTool, split
from privmigrate.privsep.running import ExecResult

_ROOT: Final = "/proc/sys/"
_KEY: Final = re.compile(r"[A-Za-z0-9][\w./:@-]*[\w@]", re.ASCII)
_VALUE: Final = re.compile(r"[!-~]+(?: [!-~]+)*", re.ASCII)
_SWAP: Final = str.maketrans("./", "/.")
_CHUNK: Final = 2**16


@dataclass(frozen=True, slots=True)
class Sysctl:
    """Read or write keys; where a key's first separator is a dot, dots and slashes change places.

    So that ``net.ipv4.conf.eth0/100.forwarding`` and ``net/ipv4/conf/eth0.100/forwarding`` mean
    the same. Errors are the tool's own, its exit codes differ between versions. In front may stand
    a network namespace.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (
        Capability.CAP_DAC_OVERRIDE,
        Capability.CAP_NET_ADMIN,
        Capability.CAP_SYS_ADMIN,
    )
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same("a key", "", ("sysctl", "kernel.ostype")),
        Same("the value alone", "", ("sysctl", "-n", "net.ipv4.tcp_rmem")),
        Same("without a newline", "", ("sysctl", "-b", "kernel.ostype")),
        Same("several", "", ("sysctl", "kernel.ostype", "net.ipv4.tcp_rmem")),
        Same("by slashes", "", ("sysctl", "net/ipv4/conf/lo/forwarding")),
        Same("a dot in a part", "", ("sysctl", "-n", "net.ipv4.conf.lo.forwarding")),
        Same("write", "", ("sysctl", "-w", "kernel.domainname=a=b")),
        Same("write two", "", ("sysctl", "kernel.domainname=c d", "kernel.domainname=e")),
        Same("write, the value alone", "", ("sysctl", "-nw", "kernel.domainname=f")),
        Same("write quietly", "", ("sysctl", "-q", "-w", "kernel/domainname=g")),
        Same("write as it was", "", ("sysctl", "-w", "kernel.domainname=(none)")),
        Kept("all", ("sysctl", "-a"), "a walk"),
        Kept("from a file", ("sysctl", "-p"), "reads files"),
        Kept("by a pattern", ("sysctl", "net.ipv4.conf.*.forwarding"), "several keys"),
        Kept("ignoring errors", ("sysctl", "-e", "a.b"), "about messages"),
        Kept("blanks around", ("sysctl", "-w", "kernel.domainname = a"), "easily read otherwise"),
        Kept("no value", ("sysctl", "-w", "kernel.domainname="), "easily read otherwise"),
        Kept("-w without a value", ("sysctl", "-w", "kernel.domainname"), "the tool says so"),
        Kept("a way out", ("sysctl", "../version"), "is no key"),
        Kept("nothing", ("sysctl",), "the tool says what is wrong"),
    )
    NAMESPACED: ClassVar[bool] = True

    words: tuple[tuple[str, str | None], ...]  # where below /proc/sys, and what to write
    names: bool = True
    newline: bool = True
    quiet: bool = False
    within: None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """Keys are none."""
        return ()

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """Keys with or without values; -w, -n, -b, -q."""
        words = split(argv, "wnbq", write="w", values="n", binary="b", quiet="q")
        if words is None or not words.operands:
            return None
        found = [_parse(word) for word in words.operands]
        known = tuple(each for each in found if each is not None)
        if len(known) < len(found):
            return None
        options = words.options
        written = sum(value is not None for _, value in known)
        if ("w" in options and written < len(known)) or ("b" in options and written):
            return None
        return cls(known, not {"n", "b"} & set(options), "b" not in options, "q" in options)

    def perform(self) -> ExecResult:
        """One after the other; LeftToTool where one fails: writing twice is no harm."""
        lines: list[bytes] = []
        try:
            for place, value in self.words:
                lines.append(self._line(place, value))
        except OSError as error:
            raise LeftToTool(str(error.strerror)) from None
        return ExecResult(0, b"".join(lines), b"")

    def _line(self, place: str, value: str | None) -> bytes:
        if value is None:
            found = _read(_ROOT + place)
            if found.count(b"\n") != 1:
                raise LeftToTool("not one line")
        else:
            file = os.open(_ROOT + place, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
            try:
                os.write(file, value.encode() + b"\n")
            finally:
                os.close(file)
            if self.quiet:
                return b""
            found = value.encode()
        name = place.translate(_SWAP).encode() + b" = " if self.names else b""
        return name + found.removesuffix(b"\n") + (b"\n" if self.newline else b"")


def _parse(word: str) -> tuple[str, str | None] | None:
    """Where a key is below /proc/sys, and the value behind it."""
    key, written, value = word.partition("=")
    if not _KEY.fullmatch(key) or (written and not _VALUE.fullmatch(value)):
        return None
    first = min((key.index(sign) for sign in "./" if sign in key), default=-1)
    if first < 0:
        return None
    place = key.translate(_SWAP) if key[first] == "." else key
    if any(part in {"", ".", ".."} for part in place.split("/")):
        return None
    return place, value if written else None


def _read(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        while chunk := os.read(file, _CHUNK):
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        os.close(file)
