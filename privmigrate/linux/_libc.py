"""Calls of the kernel that Python does not offer: ctypes, here and nowhere else.

Every function is the call of its name, acts on the calling thread alone where the kernel does so
(prctl, capset, setns), and raises OSError as the kernel gives it. Numbers come from the kernel's
uapi headers and are the same on every architecture that Python runs on, where no table says else.
"""

import ctypes
import errno
import functools
import os
import signal
from collections.abc import Sequence
from typing import Final

# linux/prctl.h
PR_SET_PDEATHSIG: Final = 1
PR_GET_PDEATHSIG: Final = 2
PR_GET_DUMPABLE: Final = 3
PR_SET_DUMPABLE: Final = 4
PR_SET_KEEPCAPS: Final = 8
PR_CAPBSET_DROP: Final = 24
PR_GET_SECUREBITS: Final = 27
PR_SET_SECUREBITS: Final = 28
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
PR_GET_NO_NEW_PRIVS: Final = 39
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_IS_SET: Final = 1
PR_CAP_AMBIENT_RAISE: Final = 2
PR_CAP_AMBIENT_LOWER: Final = 3

# spawn.h of glibc
_POSIX_SPAWN_SETPGROUP: Final = 0x02
_POSIX_SPAWN_SETSIGDEF: Final = 0x04
_POSIX_SPAWN_SETSIGMASK: Final = 0x08
_POSIX_SPAWN_SETSID: Final = 0x80
# Python ignores the first two; glibc's posix_spawn ignores two of its own wherever it is not told
_DEFAULT_SIGNALS: Final = (signal.SIGPIPE, signal.SIGXFSZ, 32, 33)
_FIRST_OTHER: Final = 3

# linux/openat2.h
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_BENEATH: Final = 0x08

# linux/mount.h
MS_BIND: Final = 1 << 12
MS_REC: Final = 1 << 14
MS_UNBINDABLE: Final = 1 << 17
MS_PRIVATE: Final = 1 << 18
MS_SLAVE: Final = 1 << 19
MS_SHARED: Final = 1 << 20
MNT_DETACH: Final = 2
UMOUNT_NOFOLLOW: Final = 8

# linux/fs.h
_RENAME_EXCHANGE: Final = 2
_AT_FDCWD: Final = -100

_FSOPEN_CLOEXEC: Final = 1
_FSCONFIG_CMD_CREATE: Final = 6
_FSMOUNT_CLOEXEC: Final = 1

_CAPABILITY_VERSION_3: Final = 0x20080522
_SYS_OPENAT2: Final = 437
_SYS_FSOPEN: Final = 430
_SYS_FSCONFIG: Final = 431
_SYS_FSMOUNT: Final = 432
# asm/unistd.h: older than the common numbers
_SYS_IOPRIO_GET: Final = {"x86_64": 252, "aarch64": 31, "riscv64": 31, "loongarch64": 31,
                          "ppc64le": 274, "s390x": 283}  # fmt: skip
_IOPRIO_WHO_PROCESS: Final = 1
_LOW_WORD: Final = 0xFFFFFFFF
_WORD_BITS: Final = 32


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    # effective, permitted, inheritable: the low words, then the high words
    _fields_ = (("words", ctypes.c_uint32 * 6),)


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


_libc = ctypes.CDLL(None, use_errno=True)
_prctl = _libc.prctl
_prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
_prctl.restype = ctypes.c_int
_capget = _libc.capget
_capget.argtypes = (ctypes.POINTER(_CapHeader), ctypes.POINTER(_CapData))
_capset = _libc.capset
_capset.argtypes = _capget.argtypes
_setns = _libc.setns
_setns.argtypes = (ctypes.c_int, ctypes.c_int)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


def _error(name: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{name}: {os.strerror(number)}")


def prctl(option: int, first: int = 0, second: int = 0) -> int:
    """Set or get something of the calling thread; newer options insist on zeros at the end."""
    result = _prctl(option, first, second, 0, 0)
    if result < 0:
        raise _error(f"prctl({option}, {first}, {second})")
    return int(result)


def get_pdeathsig() -> int:
    """PR_GET_PDEATHSIG, the one option that answers through a pointer."""
    signal = ctypes.c_int()
    prctl(PR_GET_PDEATHSIG, ctypes.addressof(signal))
    return signal.value


def capget() -> tuple[int, int, int]:
    """Effective, permitted and inheritable set of the calling thread as bit masks."""
    data = _CapData()
    if _capget(ctypes.byref(_CapHeader(_CAPABILITY_VERSION_3, 0)), ctypes.byref(data)):
        raise _error("capget")
    low_e, low_p, low_i, high_e, high_p, high_i = data.words
    return (
        low_e | high_e << _WORD_BITS,
        low_p | high_p << _WORD_BITS,
        low_i | high_i << _WORD_BITS,
    )


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Set three sets of the calling thread in one call; the ambient set shrinks by itself."""
    masks = (effective, permitted, inheritable)
    data = _CapData(
        (ctypes.c_uint32 * 6)(
            *(mask & _LOW_WORD for mask in masks),
            *(mask >> _WORD_BITS for mask in masks),
        )
    )
    if _capset(ctypes.byref(_CapHeader(_CAPABILITY_VERSION_3, 0)), ctypes.byref(data)):
        raise _error("capset")


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace that `fd` stands for."""
    if _setns(fd, kind):
        raise _error("setns")


def unshare(kind: int) -> None:
    """Give the calling thread a namespace of its own."""
    if _libc.unshare(ctypes.c_int(kind)):
        raise _error("unshare")


def mount(source: str | None, target: str, flags: int) -> None:
    """Bind, or change propagation: what needs no type and no data."""
    text = None if source is None else os.fsencode(source)
    if _libc.mount(text, os.fsencode(target), None, ctypes.c_ulong(flags), None):
        raise _error("mount")


def umount2(target: str, flags: int) -> None:
    """Take a mount away."""
    if _libc.umount2(os.fsencode(target), ctypes.c_int(flags)):
        raise _error("umount2")


def openat2(path: bytes, flags: int, resolve: int, *, dir_fd: int) -> int:
    """Open what exists, with limits on the way there (Linux 5.6); close-on-exec."""
    how = _OpenHow(flags | os.O_CLOEXEC, 0, resolve)
    fd = _syscall(
        ctypes.c_long(_SYS_OPENAT2),
        ctypes.c_int(dir_fd),
        ctypes.c_char_p(path),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fsdecode(path))
    return int(fd)


def fstatfs_type(fd: int) -> int:
    """The kind of the file system that a file is on, as a magic number of linux/magic.h."""
    buffer = (ctypes.c_long * 64)()  # struct statfs is shorter, and begins with f_type
    if _libc.fstatfs(ctypes.c_int(fd), ctypes.byref(buffer)):
        raise _error("fstatfs")
    return int(buffer[0])


def mount_detached(kind: bytes) -> int:
    """Mount a new file system that no path leads to (Linux 5.2); closing the descriptor ends it."""
    context = _checked(
        "fsopen",
        _syscall(ctypes.c_long(_SYS_FSOPEN), ctypes.c_char_p(kind), ctypes.c_uint(_FSOPEN_CLOEXEC)),
    )
    try:
        create = _syscall(
            ctypes.c_long(_SYS_FSCONFIG),
            ctypes.c_int(context),
            ctypes.c_uint(_FSCONFIG_CMD_CREATE),
            ctypes.c_void_p(None),
            ctypes.c_void_p(None),
            ctypes.c_int(0),
        )
        _checked("fsconfig", create)
        mount = _syscall(
            ctypes.c_long(_SYS_FSMOUNT),
            ctypes.c_int(context),
            ctypes.c_uint(_FSMOUNT_CLOEXEC),
            ctypes.c_uint(0),
        )
        return _checked("fsmount", mount)
    finally:
        os.close(context)


def _checked(name: str, result: int) -> int:
    if result < 0:
        raise _error(name)
    return result


def ioprio_get(pid: int) -> int:
    """The I/O priority of a process: class and level in one number."""
    number = _SYS_IOPRIO_GET.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    result = _syscall(ctypes.c_long(number), ctypes.c_int(_IOPRIO_WHO_PROCESS), ctypes.c_int(pid))
    return _checked("ioprio_get", result)


def exchange(first: str, second: str) -> None:
    """Let what two paths name change places in one step (Linux 3.15, renameat2)."""
    renameat2 = getattr(_libc, "renameat2", None)  # glibc 2.28
    if renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    paths = (os.fsencode(first), os.fsencode(second))
    if renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], ctypes.c_uint(_RENAME_EXCHANGE)):
        raise _error("renameat2")


# Both structures are opaque, and smaller than this with every C library that is known: 336 bytes
# at most, with words of 32 bits as of 64. A set is of 1024 signals everywhere.
_Opaque = ctypes.c_uint64 * 64
_WORD = ctypes.sizeof(ctypes.c_ulong) * 8
_SignalSet = ctypes.c_ulong * (1024 // _WORD)
CAN_SPAWN: Final = hasattr(_libc, "posix_spawn_file_actions_addclosefrom_np")
"""Whether `posix_spawn` works here: with glibc 2.34 or newer."""


@functools.cache
def _spawn_attributes(flags: int) -> ctypes.Array[ctypes.c_uint64]:
    """What is the same for every program: read by the C library and never written again."""
    attributes = _Opaque()
    _spawned(_libc.posix_spawnattr_init(attributes))
    defaults = _SignalSet()
    for number in _DEFAULT_SIGNALS:
        defaults[(number - 1) // _WORD] |= 1 << (number - 1) % _WORD
    _spawned(_libc.posix_spawnattr_setsigdefault(attributes, defaults))
    _spawned(_libc.posix_spawnattr_setsigmask(attributes, _SignalSet()))
    flags |= _POSIX_SPAWN_SETSIGDEF | _POSIX_SPAWN_SETSIGMASK
    _spawned(_libc.posix_spawnattr_setflags(attributes, ctypes.c_short(flags)))
    return attributes


if CAN_SPAWN:
    _posix_spawn = _libc.posix_spawn
    _posix_spawn.argtypes = (
        ctypes.POINTER(ctypes.c_int),
        ctypes.c_char_p,
        *(ctypes.c_void_p,) * 4,
    )
    _actions_init = _libc.posix_spawn_file_actions_init
    _actions_dup2 = _libc.posix_spawn_file_actions_adddup2
    _actions_chdir = _libc.posix_spawn_file_actions_addchdir_np
    _actions_close_from = _libc.posix_spawn_file_actions_addclosefrom_np
    _actions_destroy = _libc.posix_spawn_file_actions_destroy
    _environ = ctypes.c_void_p.in_dll(_libc, "environ")


def posix_spawn(
    path: bytes,
    argv: Sequence[bytes],
    environ: Sequence[bytes] | None,
    streams: tuple[int, int, int],
    *,
    cwd: bytes | None = None,
    new_group: bool = False,
    new_session: bool = False,
) -> int:
    """Start a program by vfork and give its pid; other threads run on meanwhile, unlike with Popen.

    Its streams are these descriptors, which have to be above 2, and it has no others; its
    environment is ours where none is given. No signal is blocked, and those are not ignored that
    Python ignores. None of the texts may hold a NUL. Where the C library offers it: `CAN_SPAWN`.
    """
    actions = _Opaque()
    words = (ctypes.c_char_p * (len(argv) + 1))(*argv)
    variables: object = _environ
    if environ is not None:
        variables = (ctypes.c_char_p * (len(environ) + 1))(*environ)
    flags = (_POSIX_SPAWN_SETPGROUP if new_group else 0) | (
        _POSIX_SPAWN_SETSID if new_session else 0
    )
    attributes = _spawn_attributes(flags)
    pid = ctypes.c_int()
    _spawned(_actions_init(actions))
    try:
        if cwd is not None:
            _spawned(_actions_chdir(actions, cwd))
        for number, descriptor in enumerate(streams):
            _spawned(_actions_dup2(actions, descriptor, number))
        _spawned(_actions_close_from(actions, _FIRST_OTHER))
        _spawned(_posix_spawn(pid, path, actions, attributes, words, variables))
    finally:
        _actions_destroy(actions)
    return pid.value


def _spawned(number: int) -> None:
    if number:
        raise OSError(number, os.strerror(number))
