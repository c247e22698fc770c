"""Who a process or thread is: ids, groups, the five sets, securebits, no_new_privs, dumpable.

The kernel shows most of it for every process in /proc/PID/status. Securebits it shows to the
thread itself alone, so for others they are None, never a guess.
"""

import os
from typing import Final, NamedTuple

from privmigrate.errors import InputError
from privmigrate.linux import thread
from privmigrate.linux.capabilities import CapabilitySet

_FIELDS: Final = (
    *("Name", "State", "Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Threads"),
    *("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"),
)


class Ids(NamedTuple):
    """Real, effective, saved and file-system id."""

    real: int
    effective: int
    saved: int
    filesystem: int

    def __str__(self) -> str:
        """One number where they agree, which is nearly always."""
        four = (self.real, self.effective, self.saved, self.filesystem)
        if len(set(four)) == 1:
            return str(self.real)
        return "real {} effective {} saved {} filesystem {}".format(*four)


class Credentials(NamedTuple):
    """What the kernel goes by when it decides about one thread.

    `securebits` is None for any thread but the calling one; `dumpable` is None where it cannot be
    told (see `read`).
    """

    tid: int
    name: str
    uids: Ids
    gids: Ids
    groups: tuple[int, ...]
    permitted: CapabilitySet
    effective: CapabilitySet
    inheritable: CapabilitySet
    bounding: CapabilitySet
    ambient: CapabilitySet
    no_new_privs: bool
    seccomp: int
    threads: int
    securebits: thread.SecureBits | None
    dumpable: bool | None


def parse_status(
    text: str,
    tid: int,
    *,
    securebits: thread.SecureBits | None = None,
    dumpable: bool | None = None,
) -> Credentials:
    """Read the text of a /proc/PID/status; raise ValueError where a line is missing or strange."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        key, _, value = line.partition(":")
        if key in _FIELDS and key not in found:
            found[key] = value.strip()
    missing = [field for field in _FIELDS if field not in found and field != "Seccomp"]
    if missing:
        raise ValueError(f"no {', '.join(missing)} in the status of {tid}")
    return Credentials(
        tid=tid,
        name=found["Name"],
        uids=Ids(*map(int, found["Uid"].split())),
        gids=Ids(*map(int, found["Gid"].split())),
        groups=tuple(map(int, found["Groups"].split())),
        permitted=CapabilitySet(int(found["CapPrm"], 16)),
        effective=CapabilitySet(int(found["CapEff"], 16)),
        inheritable=CapabilitySet(int(found["CapInh"], 16)),
        bounding=CapabilitySet(int(found["CapBnd"], 16)),
        ambient=CapabilitySet(int(found["CapAmb"], 16)),
        no_new_privs=found["NoNewPrivs"] != "0",
        seccomp=int(found.get("Seccomp", "0")),
        threads=int(found["Threads"]),
        securebits=securebits,
        dumpable=dumpable,
    )


def read_own() -> Credentials:
    """Ask for the calling thread, securebits and dumpable included."""
    text = _read_text("/proc/thread-self/status")
    return parse_status(
        text,
        _own_tid(),
        securebits=thread.read_securebits(),
        dumpable=thread.read_dumpable() == 1,
    )


def read(pid: int, tid: int | None = None) -> Credentials:
    """Ask for a thread (default: the first) of a process; raise InputError if there is none.

    `dumpable` follows from the owner of the file: the kernel gives the files of a process that is
    not dumpable to root. So of a process of uid 0 it cannot be told.
    """
    tid = pid if tid is None else tid
    path = f"/proc/{pid}/task/{tid}/status"
    try:
        text = _read_text(path)
        owner = os.stat(path).st_uid  # noqa: PTH116 - pathlib costs 5 ms
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        raise InputError(f"there is no process {pid}") from None
    except OSError as error:
        raise InputError(f"process {pid} cannot be read: {error.strerror}") from error
    found = parse_status(text, tid)
    dumpable = None if found.uids.effective == 0 else owner == found.uids.effective
    return parse_status(text, tid, dumpable=dumpable)


def read_threads(pid: int) -> tuple[Credentials, ...]:
    """Ask for every thread of a process, the first one first; threads that end are left out."""
    first = read(pid)
    others: list[Credentials] = []
    for name in sorted(os.listdir(f"/proc/{pid}/task"), key=int):  # noqa: PTH208 - as above
        if int(name) == pid:
            continue
        try:
            others.append(read(pid, int(name)))
        except InputError:
            continue
    return (first, *others)


def _own_tid() -> int:
    return int(os.readlink("/proc/thread-self").rpartition("/")[2])  # noqa: PTH115 - as above


def _read_text(path: str) -> str:
    # Name may be any bytes
    with open(path, encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123
        return file.read()


class Identity(NamedTuple):
    """A user to become: uid, gid and the supplementary groups that come with it."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def identity_of(user: str) -> Identity:
    """Look a user up by name or number, as initgroups(3) would; raise InputError if unknown."""
    import pwd

    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except (KeyError, OverflowError):
        raise InputError(f"there is no user {user!r}") from None
    return Identity(entry.pw_uid, entry.pw_gid, tuple(os.getgrouplist(entry.pw_name, entry.pw_gid)))
