"""Start a program with these words, descriptors, folder, umask, environment and capabilities.

Facts, from capabilities(7) and measured on Linux 6.18 with Python 3.11:

* Capabilities belong to threads, and a child starts with those of the thread that made it. The
  child never runs code of ours between vfork and exec, so vfork stays possible: 0.5 ms, and no
  copy of the page tables of a large daemon (a `preexec_fn` or `user=` forks: 15 times slower at
  320 MB).
* Narrowing a thread's ambient and inheritable set can be undone; narrowing its permitted set
  cannot. The former decides what an ordinary program gets, and costs about 15 us.
* A program with file capabilities is no ordinary one: it gets what the file says as far as the
  thread's permitted and bounding set allow, whatever the ambient set. A thread that is not under
  no_new_privs can also start a setuid program, and an exec by uid 0 without NOROOT restores
  everything.

* subprocess holds Python's lock from vfork to exec, which is until the kernel runs the child and
  then the parent again: of eight threads that start commands one gets on. The C library's
  posix_spawn is called without the lock, and costs as much: 100 us. It knows no umask and no user.

So an ordinary program is started by the calling thread itself, between two switches; all else by
a thread that gives up everything but the asked capabilities for ever, starts it, and ends (about
100 us). What does not work: changing the uid of a thread, because whoever has that uid may then
kill it, and with it the whole process. A command of another user is therefore forked.
"""

import errno
import functools
import os
import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

from privmigrate.linux import _libc, thread
from privmigrate.linux.capabilities import (
    NONE,
    Capability,
    CapabilitySet,
    ThreadSets,
    limit,
    lower_ambient,
    raise_ambient,
    read_ambient,
    read_sets,
    write_sets,
)
from privmigrate.linux.credentials import Identity
from privmigrate.linux.disposable import call_in_thread
from privmigrate.linux.process import Process

CHANGE_USER: Final = CapabilitySet.of(Capability.CAP_SETUID, Capability.CAP_SETGID)
_ELF: Final = b"\x7fELF"
_LAST_STREAM: Final = 2
FILE_CAPABILITIES: Final = "security.capability"


class Program(NamedTuple):
    """What to start. `executable` is an absolute path; nothing is looked up in PATH.

    Descriptors that are None are /dev/null; beside the three only `pass_fds` reach the program.
    An environment that is None is this process's own, and so is a folder, with or without a name.
    With `new_group` it leads a process group of its own, with `new_session` a session.
    """

    executable: str
    argv: Sequence[str | bytes]
    environment: Mapping[str, str] | Mapping[bytes, bytes] | None
    cwd: str | bytes | None = "/"
    umask: int = 0o022
    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None
    pass_fds: tuple[int, ...] = ()
    new_group: bool = True
    new_session: bool = False


def spawn(
    program: Program,
    *,
    capabilities: CapabilitySet | None = None,
    user: Identity | None = None,
) -> Process:
    """Start a program; raise OSError as the kernel gives it, with the path that it is about.

    With `capabilities` it and all that it starts hold at most these, and at most those of the
    calling thread, which is unchanged afterwards. With `user` it runs as that user, without any
    capability; the calling thread needs CAP_SETUID and CAP_SETGID unless it is that user already.
    """
    if user is not None and not _is_already(user):
        if capabilities:
            raise ValueError("a command of another user gets no capabilities")
        return call_in_thread(functools.partial(_start_as, program, user))
    if capabilities is None:
        return _start(program)
    # INV-5: at most the asked set, and this thread as it was.
    held = read_sets()
    kept = capabilities & held.permitted
    if _thread_is_bound() and held.inheritable <= held.permitted and _is_ordinary(program):
        with _narrowed(held, kept):
            return _start(program)
    return call_in_thread(functools.partial(_start_limited, program, kept))


def _thread_is_bound() -> bool:
    """Whether an ordinary program started by this thread gets its ambient set and nothing else."""
    if not thread.read_no_new_privs():
        return False
    if thread.SecureBits.NOROOT in thread.read_securebits():
        return True
    return 0 not in os.getresuid()


def _is_ordinary(program: Program) -> bool:
    try:
        status = os.stat(program.executable)  # noqa: PTH116 - pathlib costs 5 ms
    except OSError:
        return True  # the exec says what is wrong
    return _file_is_ordinary(program.executable, status.st_dev, status.st_ino, status.st_ctime_ns)


@functools.lru_cache(maxsize=256)
def _file_is_ordinary(path: str, _device: int, _inode: int, _changed: int) -> bool:
    """Whether the file is a binary without file capabilities.

    Of a script the interpreter's would count: it is left to the thread that is bound for ever, as
    is everything that cannot be looked at. Changing the file capabilities changes the ctime.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            if file.read(len(_ELF)) != _ELF:
                return False
            return FILE_CAPABILITIES not in os.listxattr(file.fileno())
    except OSError as error:
        return error.errno == errno.ENOTSUP  # without attributes no capabilities either


@contextmanager
def _narrowed(held: ThreadSets, kept: CapabilitySet) -> Generator[None]:
    """Inside, children of this thread get `kept`; afterwards all is as it was."""
    ambient = read_ambient(held.permitted & held.inheritable)
    if ambient == kept == held.inheritable:
        yield
        return
    added = kept - ambient
    try:
        # what leaves the inheritable set leaves the ambient set with it
        write_sets(held.effective, held.permitted, kept)
        raise_ambient(added)
        yield
    finally:
        lower_ambient(added)
        write_sets(held.effective, held.permitted, held.inheritable)
        raise_ambient(ambient - kept)


def _start_limited(program: Program, kept: CapabilitySet) -> Process:
    # Without NOROOT an exec by uid 0 adds the whole bounding set, without no_new_privs a setuid
    # program or a file capability adds it: under no_new_privs none exceeds the permitted set.
    thread.set_no_new_privs()
    limit(kept)
    raise_ambient(kept - read_ambient(kept))
    return _start(program)


def _start_as(program: Program, user: Identity) -> Process:
    """Fork, change group, groups and user, exec.

    Leaving uid 0 clears the sets; for a daemon of another uid the exec does, because nothing is
    inheritable or ambient. To become uid 0 without NOROOT would add everything.
    """
    if user.uid == 0 and thread.SecureBits.NOROOT not in thread.read_securebits():
        raise PermissionError("only a process that is bound by NOROOT may start a command of root")
    # INV-7: nothing is left that the other uid could use.
    able = CHANGE_USER & read_sets().permitted
    write_sets(able, able, NONE)
    return _start(program, user)


def _start(program: Program, user: Identity | None = None) -> Process:
    # INV-6: without a user there is nothing to do between vfork and exec.
    if user is None and _libc.CAN_SPAWN and _is_simple(program):
        pid = _start_simple(program)
        if pid:
            return _own(pid)
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    if masked:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        child = subprocess.Popen(
            program.argv,
            executable=program.executable,
            stdin=_descriptor(program.stdin),
            stdout=_descriptor(program.stdout),
            stderr=_descriptor(program.stderr),
            pass_fds=program.pass_fds,
            cwd=program.cwd,
            env=program.environment,
            umask=program.umask,
            start_new_session=program.new_session,
            process_group=0 if program.new_group and not program.new_session else None,
            user=None if user is None else user.uid,
            group=None if user is None else user.gid,
            extra_groups=None if user is None else user.groups,
        )
    finally:
        if masked:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
    # from here on the child is ours, by its pidfd: Popen must neither wait for it nor warn
    child.returncode = 0
    return _own(child.pid)


def _is_simple(program: Program) -> bool:
    """Whether posix_spawn can do it: no umask of its own, and no descriptor in another's place."""
    streams = (program.stdin, program.stdout, program.stderr)
    return (
        program.umask < 0
        and not program.pass_fds
        and all(fd is not None and fd > _LAST_STREAM for fd in streams)
    )


def _start_simple(program: Program) -> int:
    """Give the pid, or 0 if nothing was started: Popen fails too, and says about which path."""
    argv = [os.fsencode(word) for word in program.argv]
    environ = None
    if program.environment is not None:
        environ = [_variable(*pair) for pair in program.environment.items()]
    path = os.fsencode(program.executable)
    cwd = None if program.cwd is None else os.fsencode(program.cwd)
    # the C library would see the end of a text there
    if any(b"\0" in text for text in (path, cwd or b"", *argv, *(environ or ()))):
        raise ValueError("embedded null byte")
    try:
        return _libc.posix_spawn(
            path,
            argv,
            environ,
            (program.stdin or -1, program.stdout or -1, program.stderr or -1),
            cwd=cwd,
            new_group=program.new_group and not program.new_session,
            new_session=program.new_session,
        )
    except OSError:
        return 0


def _variable(name: str | bytes, value: str | bytes) -> bytes:
    name = os.fsencode(name)
    if b"=" in name:
        raise ValueError("illegal environment variable name")
    return name + b"=" + os.fsencode(value)


def _own(pid: int) -> Process:
    """Take a child by its pidfd; what runs already must not be lost for want of a descriptor."""
    try:
        return Process(pid, os.pidfd_open(pid))
    except OSError:
        return Process(pid, -1)


def _descriptor(fd: int | None) -> int:
    return subprocess.DEVNULL if fd is None else fd


def _is_already(user: Identity) -> bool:
    return (
        set(os.getresuid()) == {user.uid}
        and set(os.getresgid()) == {user.gid}
        and set(os.getgroups()) | {user.gid} == {*user.groups, user.gid}
    )
