"""Start the daemon, by fork or by the helper, and make sure of who answers."""

import logging
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from privmigrate.linux.process import Process, read_peer
from privmigrate.linux.spawn import Program, spawn
from privmigrate.privsep import green, settings
from privmigrate.privsep.client.answers import Listener
from privmigrate.privsep.client.channel import Channel, disown_all
from privmigrate.privsep.comm import FailedToDropPrivileges
from privmigrate.privsep.marks import Evidence
from privmigrate.privsep.messages import (
    DATAGRAM,
    ERROR,
    HELLO,
    VERSION,
    WELCOME,
    Encoder,
    Message,
    ProtocolError,
)
from privmigrate.privsep.wire import above_standard, receive_control

if TYPE_CHECKING:
    from privmigrate.privsep.context import PrivContext
    from privmigrate.privsep.settings import Settings

_LOG: Final = logging.getLogger(__name__)

_STEP_SECONDS: Final = 0.05
START_SECONDS: Final = 120.0
"""How long a daemon may take to answer HELLO: sudo may ask somebody, imports may be slow."""

_LAST_LINES: Final = 5
_REST_SECONDS: Final = 1.0

Become = Callable[[socket.socket, "PrivContext", "Settings"], None]
"""What turns a forked child into the daemon, and does not return."""


def fork(context: "PrivContext", become: Become) -> Channel:
    """Start the daemon as a child of this process, which has all the privilege it needs."""
    own = settings.read(context)
    ours, theirs = map(above_standard, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()  # else both processes write what is buffered
    pid = os.fork()
    if pid == 0:
        try:
            green.unpatch()
            disown_all()
            become(theirs, context, own)
        finally:
            os._exit(1)
    theirs.close()
    return _greet(context, own, ours, pid)


def run_helper(context: "PrivContext") -> Channel:
    """Start the daemon by the helper's command, which gains privilege by sudo or rootwrap.

    We listen and the daemon connects, so that nothing of the privileged side can be reached; the
    socket is in a folder of our own, and gone once the daemon has connected.
    """
    own = settings.read(context)
    folder = tempfile.mkdtemp(prefix="privsep-")
    path = os.path.join(folder, "privsep.sock")  # noqa: PTH118 - text is what sudoers compares
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        try:
            _listen(listener, path)
            words = context.helper_command(path)
            _LOG.info("Running privsep helper: %s", words)
            control = _accept(listener, _start(words))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    peer = read_peer(control)
    if peer.pidfd is not None:
        os.close(peer.pidfd)
    if peer.uid not in {0, os.geteuid()}:
        control.close()
        raise FailedToDropPrivileges(f"uid {peer.uid} answered in place of the privsep daemon")
    return _greet(context, own, control, None)


def _listen(listener: socket.socket, path: str) -> None:
    try:
        listener.bind(path)
    except OSError as error:  # above all a TMPDIR that is too long for a socket's path
        raise FailedToDropPrivileges(
            f"the privsep daemon cannot find us at {path}: {error}"
        ) from None
    listener.listen(1)


class _Helper(NamedTuple):
    """The helper's process, and what it says on stderr."""

    process: Process
    follower: threading.Thread
    said: deque[str]
    words: list[str]

    def why(self) -> str:
        """The end of what it said, which is sudo's reason or the helper's own, and the command."""
        self.follower.join(_REST_SECONDS)
        said = f": {'; '.join(self.said)}" if self.said else ""
        return f"{said} (it was: {shlex.join(self.words)})"


def find_object(path: str) -> object:
    """The object of a dotted name, if this process has imported its module."""
    module, _, name = path.rpartition(".")
    return getattr(sys.modules.get(module), name, None)


def _start(words: list[str]) -> _Helper:
    executable = shutil.which(words[0])
    if executable is None:
        raise FailedToDropPrivileges(f"the privsep helper cannot start: no {words[0]} in PATH")
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    try:
        process = spawn(
            Program(
                executable,
                words,
                os.environ,
                cwd=".",
                umask=-1,  # as it is here
                stderr=theirs,
                new_group=False,  # sudo may ask on our terminal
            )
        )
    except OSError as error:
        os.close(ours)
        raise FailedToDropPrivileges(f"the privsep helper cannot start: {error}") from error
    finally:
        os.close(theirs)
    os.set_blocking(ours, False)
    said: deque[str] = deque(maxlen=_LAST_LINES)
    follower = threading.Thread(
        target=_follow, args=(ours, process, said), name="privsep_stderr", daemon=True
    )
    follower.start()
    return _Helper(process, follower, said, words)


def _follow(fd: int, process: Process, said: deque[str]) -> None:
    """Reap the helper, and log what it and then the daemon write to stderr, until both are gone."""
    rest = b""
    running = True
    with os.fdopen(fd, "rb", buffering=0) as pipe:
        while True:
            ready = green.wait(fd, _STEP_SECONDS if running else None)
            if running and process.poll() is not None:
                running = False
            if not ready:
                continue
            data = pipe.read(DATAGRAM)
            if data is None:
                continue
            *lines, rest = (rest + data).split(b"\n") if data else (rest, b"")
            for line in lines:
                if text := os.fsdecode(line.rstrip()):
                    said.append(text.lstrip())
                    _LOG.warning("privsep log: %s", text)
            if not data:
                process.wait()
                process.close()
                return


def _accept(listener: socket.socket, helper: _Helper) -> socket.socket:
    """Wait for the daemon to connect, or for its helper to fail."""
    deadline = time.monotonic() + START_SECONDS
    listener.settimeout(_STEP_SECONDS)
    while True:
        code = helper.process.poll()
        try:
            control, _ = listener.accept()
        except TimeoutError:
            pass
        else:
            control.setblocking(True)
            return above_standard(control)
        if code:
            raise FailedToDropPrivileges(
                f"privsep helper command exited non-zero ({code}){helper.why()}"
            )
        if code == 0:
            raise FailedToDropPrivileges(
                f"the privsep helper ended without connecting{helper.why()}"
            )
        if time.monotonic() > deadline:
            with suppress(PermissionError):  # sudo is not ours to signal
                helper.process.send(signal.SIGKILL)
            raise FailedToDropPrivileges(
                f"the privsep helper did not connect in time{helper.why()}"
            )


def _greet(
    context: "PrivContext", own: "Settings", control: socket.socket, pid: int | None
) -> Channel:
    """Exchange HELLO and WELCOME; raise FailedToDropPrivileges for any other answer."""
    listener = Listener(own.logger_name, tracebacks=own.log_daemon_traceback)
    channel = Channel(control, listener, pid)
    try:
        control.settimeout(START_SECONDS)
        hello = (HELLO, VERSION, listener.level, own.log_daemon_traceback)
        control.send(Encoder().encode(hello))
        while (message := _receive(control, channel))[0] not in {WELCOME, ERROR}:
            listener.hear(message)
        _check(context, message, marked=channel.evidence is not None)
        control.settimeout(None)
    except (OSError, ProtocolError) as error:
        channel.close()
        raise FailedToDropPrivileges(f"Privsep daemon failed to start: {error}") from None
    except FailedToDropPrivileges:
        channel.close()
        raise
    return channel


def _receive(control: socket.socket, channel: Channel) -> Message:
    # eventlet has no green recvmsg
    if not green.wait(control.fileno(), START_SECONDS):
        raise ProtocolError("it does not answer")
    try:
        message, fds = receive_control(control, socket.MSG_DONTWAIT)
    except EOFError:
        raise ProtocolError("it ended before it answered") from None
    for fd in fds:
        channel.evidence = Evidence(fd)  # which closes it
    return message


def _check(context: "PrivContext", welcome: Message, *, marked: bool) -> None:
    if welcome[0] == ERROR:
        raise FailedToDropPrivileges(" ".join(map(str, cast("tuple[object, ...]", welcome[4]))))
    _, version, name, uid, gid, permitted = welcome
    if version != VERSION:
        raise FailedToDropPrivileges(
            f"the privsep daemon speaks version {version} of the protocol, and we {VERSION}:"
            " service and helper must be of one installation"
        )
    if name != str(context):
        raise FailedToDropPrivileges(f"{name} answered in place of {context}")
    if not marked:
        raise FailedToDropPrivileges(f"the daemon of {context} does not say which calls begin")
    _LOG.debug("%s runs as uid %s, gid %s, capabilities %#x", name, uid, gid, permitted)
