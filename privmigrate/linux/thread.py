"""What the calling thread gives up about itself: bounding set, securebits and prctl's flags.

python-prctl does what it can. It knows the capabilities and bits of the headers that it was built
with, and refuses others with ValueError; built with headers that know more capabilities than it
has names for, it cannot even be imported (NameError in prctl.py, release 1.8.1). In both cases the
same call is made by hand. Nothing here is believed: `credentials.read` asks the kernel afterwards.
"""

import functools
from enum import IntFlag
from types import ModuleType

from privmigrate.linux import _libc


class SecureBits(IntFlag):
    """The securebits of capabilities(7), by the kernel's names."""

    NOROOT = 1 << 0
    NOROOT_LOCKED = 1 << 1
    NO_SETUID_FIXUP = 1 << 2
    NO_SETUID_FIXUP_LOCKED = 1 << 3
    KEEP_CAPS = 1 << 4
    KEEP_CAPS_LOCKED = 1 << 5
    NO_CAP_AMBIENT_RAISE = 1 << 6
    NO_CAP_AMBIENT_RAISE_LOCKED = 1 << 7
    EXEC_RESTRICT_FILE = 1 << 8
    EXEC_RESTRICT_FILE_LOCKED = 1 << 9
    EXEC_DENY_INTERACTIVE = 1 << 10
    EXEC_DENY_INTERACTIVE_LOCKED = 1 << 11

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of the bits; a bit without a name by its value."""
        known = [bit for bit in SecureBits if bit in self]
        unknown = int(self) & ~sum(SecureBits)
        return (*(str(bit.name) for bit in known), *((hex(unknown),) if unknown else ()))

    def __str__(self) -> str:
        """Names with spaces between, or ``none``."""
        return " ".join(self.names) or "none"


@functools.cache
def _python_prctl() -> ModuleType | None:
    """python-prctl, if this build of it can be imported at all."""
    try:
        import prctl
    except (ImportError, NameError):
        return None
    else:
        return prctl  # type: ignore[no-any-return]


def drop_from_bounding(number: int) -> None:
    """Remove one capability from the bounding set, for ever; needs CAP_SETPCAP."""
    library = _python_prctl()
    if library is not None:
        try:
            library.capbset_drop(number)
        except ValueError:
            pass  # newer than the headers it was built with
        else:
            return
    _libc.prctl(_libc.PR_CAPBSET_DROP, number)


def read_securebits() -> SecureBits:
    """The calling thread's securebits: no other thread can read them."""
    return SecureBits(_libc.prctl(_libc.PR_GET_SECUREBITS))


def set_securebits(bits: SecureBits) -> None:
    """Set all securebits at once; needs CAP_SETPCAP."""
    library = _python_prctl()
    if library is not None:
        try:
            library.set_securebits(int(bits))
        except ValueError:
            pass  # it refuses every bit above KEEP_CAPS_LOCKED
        else:
            return
    _libc.prctl(_libc.PR_SET_SECUREBITS, int(bits))


def set_keepcaps(*, enable: bool) -> None:
    """Keep the permitted set when the thread leaves uid 0; an exec clears this."""
    _libc.prctl(_libc.PR_SET_KEEPCAPS, int(enable))


def read_no_new_privs() -> bool:
    """Whether an exec can no longer add privilege."""
    return bool(_libc.prctl(_libc.PR_GET_NO_NEW_PRIVS))


def set_no_new_privs() -> None:
    """Let no exec of this thread add privilege, for ever; needs no capability."""
    library = _python_prctl()
    if library is None:
        _libc.prctl(_libc.PR_SET_NO_NEW_PRIVS, 1)
    else:
        library.set_no_new_privs(1)


def read_dumpable() -> int:
    """0: no core dumps, and no ptrace and no /proc/PID/mem for the same user; 1: usual."""
    return _libc.prctl(_libc.PR_GET_DUMPABLE)


def set_dumpable(*, enable: bool) -> None:
    """Set dumpable for the whole process; an exec sets it back."""
    _libc.prctl(_libc.PR_SET_DUMPABLE, int(enable))


def read_death_signal() -> int:
    """The signal that this process gets when its parent thread ends, or 0."""
    return _libc.get_pdeathsig()


def set_death_signal(signal: int) -> None:
    """Ask for a signal when the parent ends: the parent THREAD that forked us, not its process."""
    _libc.prctl(_libc.PR_SET_PDEATHSIG, signal)


def become_subreaper() -> None:
    """Let descendants of this process whose parents end become its children (Linux 3.4)."""
    _libc.prctl(_libc.PR_SET_CHILD_SUBREAPER, 1)
