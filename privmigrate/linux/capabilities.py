"""Capabilities by the kernel's names, sets of them, and what the calling thread holds.

Numbers above the enumeration are kept, never dropped from sight: a kernel may know more than we
do, and a set that forgets them would promise too much.
"""

import functools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Final, NamedTuple, Self

from privmigrate.linux import _libc

_LAST_CAP_FILE: Final = "/proc/sys/kernel/cap_last_cap"
_HIGHEST: Final = 63


class Capability(IntEnum):
    """The capabilities of linux/capability.h as of Linux 6.18."""

    CAP_CHOWN = 0
    CAP_DAC_OVERRIDE = 1
    CAP_DAC_READ_SEARCH = 2
    CAP_FOWNER = 3
    CAP_FSETID = 4
    CAP_KILL = 5
    CAP_SETGID = 6
    CAP_SETUID = 7
    CAP_SETPCAP = 8
    CAP_LINUX_IMMUTABLE = 9
    CAP_NET_BIND_SERVICE = 10
    CAP_NET_BROADCAST = 11
    CAP_NET_ADMIN = 12
    CAP_NET_RAW = 13
    CAP_IPC_LOCK = 14
    CAP_IPC_OWNER = 15
    CAP_SYS_MODULE = 16
    CAP_SYS_RAWIO = 17
    CAP_SYS_CHROOT = 18
    CAP_SYS_PTRACE = 19
    CAP_SYS_PACCT = 20
    CAP_SYS_ADMIN = 21
    CAP_SYS_BOOT = 22
    CAP_SYS_NICE = 23
    CAP_SYS_RESOURCE = 24
    CAP_SYS_TIME = 25
    CAP_SYS_TTY_CONFIG = 26
    CAP_MKNOD = 27
    CAP_LEASE = 28
    CAP_AUDIT_WRITE = 29
    CAP_AUDIT_CONTROL = 30
    CAP_SETFCAP = 31
    CAP_MAC_OVERRIDE = 32
    CAP_MAC_ADMIN = 33
    CAP_SYSLOG = 34
    CAP_WAKE_ALARM = 35
    CAP_BLOCK_SUSPEND = 36
    CAP_AUDIT_READ = 37
    CAP_PERFMON = 38
    CAP_BPF = 39
    CAP_CHECKPOINT_RESTORE = 40

    @property
    def meaning(self) -> str:
        """What its holder may do, in a few words; capabilities(7) has the whole."""
        return _MEANING[self]


_MEANING: Final = {
    Capability.CAP_CHOWN: "give any file to any owner",
    Capability.CAP_DAC_OVERRIDE: "read, write and enter whatever the modes say",
    Capability.CAP_DAC_READ_SEARCH: "read every file and folder",
    Capability.CAP_FOWNER: "act as the owner of every file",
    Capability.CAP_FSETID: "keep set-user-ID and set-group-ID bits",
    Capability.CAP_KILL: "signal every process",
    Capability.CAP_SETGID: "take any group",
    Capability.CAP_SETUID: "become any user",
    Capability.CAP_SETPCAP: "change bounding set and securebits",
    Capability.CAP_LINUX_IMMUTABLE: "set immutable and append-only",
    Capability.CAP_NET_BIND_SERVICE: "bind ports below 1024",
    Capability.CAP_NET_BROADCAST: "broadcast and listen to multicasts",
    Capability.CAP_NET_ADMIN: "configure the network",
    Capability.CAP_NET_RAW: "send and see raw packets",
    Capability.CAP_IPC_LOCK: "lock memory",
    Capability.CAP_IPC_OWNER: "use every System V IPC object",
    Capability.CAP_SYS_MODULE: "load code into the kernel",
    Capability.CAP_SYS_RAWIO: "reach hardware and memory directly",
    Capability.CAP_SYS_CHROOT: "change the root folder and mount namespace",
    Capability.CAP_SYS_PTRACE: "inspect and change every process",
    Capability.CAP_SYS_PACCT: "switch process accounting",
    Capability.CAP_SYS_ADMIN: "mount, swap, set up namespaces and much more",
    Capability.CAP_SYS_BOOT: "reboot, load another kernel",
    Capability.CAP_SYS_NICE: "raise priorities, place processes",
    Capability.CAP_SYS_RESOURCE: "exceed limits and quotas",
    Capability.CAP_SYS_TIME: "set the clock",
    Capability.CAP_SYS_TTY_CONFIG: "configure and hang up terminals",
    Capability.CAP_MKNOD: "make device nodes",
    Capability.CAP_LEASE: "take leases on every file",
    Capability.CAP_AUDIT_WRITE: "write to the audit log",
    Capability.CAP_AUDIT_CONTROL: "configure auditing",
    Capability.CAP_SETFCAP: "give capabilities to files",
    Capability.CAP_MAC_OVERRIDE: "override mandatory access control",
    Capability.CAP_MAC_ADMIN: "configure mandatory access control",
    Capability.CAP_SYSLOG: "read and clear the kernel's log",
    Capability.CAP_WAKE_ALARM: "wake the machine by timer",
    Capability.CAP_BLOCK_SUSPEND: "keep the machine from sleeping",
    Capability.CAP_AUDIT_READ: "read the audit log",
    Capability.CAP_PERFMON: "observe performance of everything",
    Capability.CAP_BPF: "load BPF programs",
    Capability.CAP_CHECKPOINT_RESTORE: "checkpoint and restore processes",
}

_BY_NAME: Final = {capability.name: capability for capability in Capability}
_BY_NUMBER: Final = {int(capability): capability.name for capability in Capability}


def name_of(number: int) -> str:
    """The kernel's name, or the bare number of one newer than this list, as libcap prints it."""
    return _BY_NUMBER.get(number, str(number))


def parse_capability(word: str) -> int:
    """Read ``CAP_NET_ADMIN``, ``net_admin`` or ``12``; raise ValueError for anything else."""
    text = word.strip().upper()
    if text.isascii() and text.isdigit() and int(text) <= _HIGHEST:
        return int(text)
    name = text if text.startswith("CAP_") else f"CAP_{text}"
    if name not in _BY_NAME:
        raise ValueError(f"{word!r} is no capability")
    return int(_BY_NAME[name])


class CapabilitySet:
    """Several capabilities, as a bit mask: hashable, ordered by inclusion, printable."""

    __slots__ = ("mask",)

    def __init__(self, mask: int = 0) -> None:
        self.mask: Final = mask

    def __repr__(self) -> str:
        return f"CapabilitySet({self.mask:#x})"

    def __eq__(self, other: object) -> bool:
        return self.mask == other.mask if isinstance(other, CapabilitySet) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.mask)

    @classmethod
    def of(cls, *numbers: int) -> Self:
        """The set of exactly these."""
        return cls.from_numbers(numbers)

    @classmethod
    def from_numbers(cls, numbers: Iterable[int]) -> Self:
        """The set of exactly these; raise ValueError for what no kernel could have."""
        mask = 0
        for number in numbers:
            if not 0 <= number <= _HIGHEST:
                raise ValueError(f"{number} is no capability")
            mask |= 1 << number
        return cls(mask)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read names or numbers separated by spaces or commas; ``all`` and ``none`` are words."""
        words = text.replace(",", " ").split()
        lowered = [word.lower() for word in words]
        if lowered == ["all"]:
            return cls(every().mask)
        if lowered in ([], ["none"], ["(none)"]):
            return cls()
        return cls.from_numbers(parse_capability(word) for word in words)

    def __contains__(self, number: int) -> bool:
        return bool(self.mask >> number & 1)

    def __iter__(self) -> Iterator[int]:
        mask = self.mask
        while mask:
            low = mask & -mask
            yield low.bit_length() - 1
            mask ^= low

    def __len__(self) -> int:
        return self.mask.bit_count()

    def __bool__(self) -> bool:
        return bool(self.mask)

    def __or__(self, other: "CapabilitySet") -> "CapabilitySet":
        return CapabilitySet(self.mask | other.mask)

    def __and__(self, other: "CapabilitySet") -> "CapabilitySet":
        return CapabilitySet(self.mask & other.mask)

    def __sub__(self, other: "CapabilitySet") -> "CapabilitySet":
        return CapabilitySet(self.mask & ~other.mask)

    def __le__(self, other: "CapabilitySet") -> bool:
        return not self.mask & ~other.mask

    @property
    def names(self) -> tuple[str, ...]:
        """Kernel names in numeric order."""
        return tuple(name_of(number) for number in self)

    def __str__(self) -> str:
        """Names with spaces between, ``none``, or ``all`` with what is missing from it."""
        if not self.mask:
            return "none"
        missing = every() - self
        if not missing and self <= every():
            return "all"
        if self <= every() and len(missing) <= len(self) // 4:
            return f"all but {' '.join(missing.names)}"
        return " ".join(self.names)


NONE: Final = CapabilitySet()


@functools.cache
def last_cap() -> int:
    """The highest capability of the running kernel, which may be above or below our list."""
    with open(_LAST_CAP_FILE, encoding="ascii") as file:  # noqa: PTH123 - pathlib costs 5 ms
        return int(file.read())


def every() -> CapabilitySet:
    """All capabilities of the running kernel."""
    return CapabilitySet((1 << last_cap() + 1) - 1)


class ThreadSets(NamedTuple):
    """The three sets that capset(2) sets together."""

    effective: CapabilitySet
    permitted: CapabilitySet
    inheritable: CapabilitySet


def read_sets() -> ThreadSets:
    """Ask the kernel for the sets of the calling thread."""
    return ThreadSets(*(CapabilitySet(mask) for mask in _libc.capget()))


def write_sets(
    effective: CapabilitySet, permitted: CapabilitySet, inheritable: CapabilitySet
) -> None:
    """Set the calling thread's sets; what leaves permitted or inheritable leaves ambient too."""
    _libc.capset(effective.mask, permitted.mask, inheritable.mask)


@contextmanager
def acting_with(kept: CapabilitySet) -> Iterator[None]:
    """Inside, the calling thread acts with at most these; afterwards as before, whatever happens.

    The kernel is asked both times whether it is so; raise PermissionError if it is not.
    """
    held = read_sets()
    narrowed = ThreadSets(held.effective & kept, held.permitted, held.inheritable)
    _write_all(narrowed)
    try:
        yield
    finally:
        _write_all(held)  # INV-14: whatever happened, and seen to be so


def _write_all(sets: ThreadSets) -> None:
    write_sets(sets.effective, sets.permitted, sets.inheritable)
    if read_sets() != sets:
        raise PermissionError("the kernel did not switch the effective capabilities")


def limit(kept: CapabilitySet) -> None:
    """Reduce the calling thread to `kept`, for ever: effective, permitted, inheritable, ambient."""
    _libc.capset(kept.mask, kept.mask, kept.mask)


def read_ambient(among: CapabilitySet | None = None) -> CapabilitySet:
    """The calling thread's ambient set, asked one capability at a time: give few to ask."""
    asked = every() if among is None else among
    return CapabilitySet.from_numbers(
        number
        for number in asked
        if _libc.prctl(_libc.PR_CAP_AMBIENT, _libc.PR_CAP_AMBIENT_IS_SET, number)
    )


def raise_ambient(added: CapabilitySet) -> None:
    """Add to the ambient set; each must be permitted and inheritable."""
    for number in added:
        _libc.prctl(_libc.PR_CAP_AMBIENT, _libc.PR_CAP_AMBIENT_RAISE, number)


def lower_ambient(removed: CapabilitySet) -> None:
    """Take from the ambient set."""
    for number in removed:
        _libc.prctl(_libc.PR_CAP_AMBIENT, _libc.PR_CAP_AMBIENT_LOWER, number)
