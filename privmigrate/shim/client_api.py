"""Commands from inside a service: oslo_rootwrap.client.Client's place, without its detour.

    client = Client(["sudo", "cinder-rootwrap-daemon", "/etc/cinder/rootwrap.conf"])
    status, out, err = client.execute(["lvs", "--noheadings"])

The daemon is started once, by the words that oslo.rootwrap's client takes; a command is one
message to it, with the ends of three pipes. Threads have a connection each while they need one, so
that commands run side by side, up to a hundred; more wait. A command is sent again only where it
certainly was not started.
"""

import os
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from shutil import which
from typing import Final

from privmigrate.errors import ChannelClosed, InputError, Refused
from privmigrate.linux.process import Process
from privmigrate.linux.spawn import Program, spawn
from privmigrate.shim import frames, manager
from privmigrate.shim.pipes import communicate

_MOST_ERRORS: Final = 1 << 16
# As many as a daemon runs at once by default. Each takes up to seven descriptors there, of 1024.
_MOST_CONNECTIONS: Final = 100


class Client:
    """Runs commands through a rootwrap daemon of ours, which it starts when it is first needed."""

    def __init__(self, rootwrap_daemon_cmd: Sequence[str]) -> None:
        """Take the command that starts the daemon, such as sudo's; nothing is started yet."""
        self._command: Final = tuple(rootwrap_daemon_cmd)
        self._lock: Final = threading.Lock()
        self._daemon: _Daemon | None = None

    def execute(self, cmd: Sequence[str], stdin: str | bytes | None = None) -> tuple[int, str, str]:
        """Run a command as root and give status (-n for signal n), output and errors.

        As under oslo.rootwrap, 99 is a command that no filter allows, 96 one whose executable is
        not there. Raise ChannelClosed if the daemon went away while the command may have run.
        """
        request = frames.pack_request(cmd)
        data = os.fsencode(stdin) if stdin is not None else b""
        daemon = self._ensure()
        try:
            return daemon.run(request, data)
        except ChannelClosed as error:
            self._forget(daemon)
            if error.may_have_run:
                raise
        # it had ended, being idle or replaced, before it read the request
        return self._ensure().run(request, data)

    def close(self) -> None:
        """Have the daemon end."""
        with self._lock:
            daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.stop()

    def _ensure(self) -> "_Daemon":
        with self._lock:
            if self._daemon is None:
                self._daemon = _Daemon(self._command)
            return self._daemon

    def _forget(self, daemon: "_Daemon") -> None:
        with self._lock:
            if self._daemon is daemon:
                self._daemon = None
        daemon.drop()


class _Daemon:
    """One running daemon, and the connections to it that nobody uses."""

    def __init__(self, command: Sequence[str]) -> None:
        out, stdout = os.pipe()
        err, stderr = os.pipe()
        try:
            self._process: Final = _start(command, stdout, stderr)
            os.close(stdout)
            os.close(stderr)
            stdout = stderr = -1
            self._path, self._key = _read_address(out, err)
        finally:
            for end in (out, err, stdout, stderr):
                if end >= 0:
                    os.close(end)
        self._lock: Final = threading.Lock()
        self._unused: Final[list[socket.socket]] = []
        self._places: Final = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        # whoever started it has to wait for it, or it stays as a zombie
        threading.Thread(target=self._process.wait, daemon=True).start()

    def run(self, request: bytes, data: bytes) -> tuple[int, str, str]:
        with self._places:
            return self._run(request, data)

    def _run(self, request: bytes, data: bytes) -> tuple[int, str, str]:
        sock = self._take()
        message = ""
        begun = b""

        def start(*ends: int) -> Callable[[], int]:
            frames.send_request(sock, request, ends)
            return wait

        def wait() -> int:
            nonlocal begun, message
            begun = frames.receive_begun(sock)
            status, message = frames.receive_result(sock, begun)
            return status

        try:
            status, out, err = communicate(start, data)
        except (EOFError, OSError, Refused) as error:
            sock.close()
            when = "while the command may have run" if begun else "before it began the command"
            raise ChannelClosed(f"the daemon ended {when}", may_have_run=bool(begun)) from error
        with self._lock:
            self._unused.append(sock)
        return status, os.fsdecode(out), message + os.fsdecode(err)

    def _take(self) -> socket.socket:
        with self._lock:
            if self._unused:
                return self._unused.pop()
        return self._connect("privmigrate")

    def _connect(self, method: str) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(self._path)
            manager.answer_challenge(sock, self._key)
            manager.challenge(sock, self._key)
            manager.send(sock, [None, method, ["client"], {}])
            if manager.receive(sock) != [manager.RETURN, None]:
                raise Refused("no daemon of ours")  # noqa: TRY301 - as every other failure here
            return sock  # noqa: TRY300 - the same
        except (EOFError, OSError, Refused) as error:
            sock.close()
            raise ChannelClosed(f"the daemon is gone: {error}", may_have_run=False) from error

    def drop(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            while self._unused:
                self._unused.pop().close()

    def stop(self) -> None:
        """Ask the daemon to end; it finishes what it began."""
        with suppress(ChannelClosed, EOFError, OSError, Refused):
            sock = self._connect("accept_connection")
            manager.send(sock, ["", "shutdown", [], {}])
            manager.receive(sock)
            sock.close()
        self.drop()


def _start(command: Sequence[str], stdout: int, stderr: int) -> Process:
    executable = which(command[0])
    if executable is None:
        raise InputError(f"{command[0]}: there is no such program")
    program = Program(
        executable,
        tuple(command),
        None,
        cwd=None,
        umask=-1,
        stdout=stdout,
        stderr=stderr,
        new_group=False,
    )
    return spawn(program)


def _read_address(out: int, err: int) -> tuple[str, bytes]:
    """Read the path of the socket and the key; raise InputError with what the daemon says."""
    with os.fdopen(os.dup(out), "rb", buffering=0) as file:
        said = b""
        while chunk := file.read(4096):
            said += chunk
            path, newline, key = said.partition(b"\n")
            if newline and len(key) == manager.KEY_SIZE:
                return os.fsdecode(path), key
    why = os.read(err, _MOST_ERRORS).decode(errors="replace").strip()
    raise InputError(f"the daemon did not start: {why}")
