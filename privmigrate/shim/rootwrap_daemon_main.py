"""`privmigrate-rootwrap-daemon rootwrap.conf`: oslo-rootwrap-daemon's place for its own clients.

Says on standard output where its socket is and what the key is, closes the three standard
descriptors, and serves whoever has the key until it was idle for `daemon_timeout` seconds, or is
told to end by SIGTERM, SIGINT or a client; what was begun is finished before.
"""

import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from privmigrate.errors import (
    EXIT_BAD_CONFIG,
    EXIT_NO_COMMAND,
    EXIT_NO_EXECUTABLE,
    EXIT_UNAUTHORIZED,
    InputError,
    Refused,
)
from privmigrate.privsep.daemon.profile import CannotDropError
from privmigrate.shim import client, manager
from privmigrate.shim.daemon import Executor, Outgrown, Started, Streams
from privmigrate.shim.direct import serve_direct
from privmigrate.shim.index import Source
from privmigrate.shim.pipes import communicate
from privmigrate.shim.rootwrap_main import explain, parse, take_name

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
_IDENT: Final = "privmigrate"
_EXPOSED: Final = (
    "cancel_timer",
    "handle_timeout",
    "prepare_timer",
    "reset_timer",
    "run_one_command",
    "shutdown",
)
_BACKLOG: Final = 128


class Server:
    """One socket, one thread for each connection."""

    def __init__(self, executor: Executor, key: bytes, listener: socket.socket) -> None:
        self.executor: Final = executor
        self._key: Final = key
        self._listener: Final = listener
        self._slots: Final = threading.BoundedSemaphore(executor.built.settings.max_commands)
        self._lock: Final = threading.Lock()
        self._open: Final[dict[socket.socket, threading.Thread]] = {}
        self._used = time.monotonic()
        self._running = 0
        self._stop: Final = threading.Event()

    def serve(self) -> None:
        """Serve until stopped by a signal, a client, or for want of commands."""
        for number in _STOPPING:
            signal.signal(number, lambda *_: self._stop.set())
        threading.Thread(target=self._accept, daemon=True).start()
        limit = self.executor.built.config.daemon_timeout
        while not self._stop.wait(1):
            with self._lock:
                if not self._running and time.monotonic() - self._used > limit:
                    break
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        with self._lock:
            threads = list(self._open.values())
            for sock in self._open:
                # whoever waits for a request ends; whoever runs one may still answer
                _shutdown(sock, socket.SHUT_RD)
        for thread in threads:
            thread.join()

    def stop(self) -> None:
        """Have `serve` return."""
        self._stop.set()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                if self._stop.is_set():
                    return
                time.sleep(0.05)  # too many open files: some will be closed
                continue
            thread = threading.Thread(target=self._serve_connection, args=(sock,), daemon=True)
            with self._lock:
                self._open[sock] = thread
            try:
                thread.start()
            except RuntimeError:
                self._forget(sock)

    def _forget(self, sock: socket.socket) -> None:
        with self._lock:
            self._open.pop(sock, None)
        sock.close()

    def _serve_connection(self, sock: socket.socket) -> None:
        try:
            manager.challenge(sock, self._key)
            manager.answer_challenge(sock, self._key)
            match manager.receive(sock):
                case [_, "accept_connection", _, _]:
                    manager.send(sock, [manager.RETURN, None])
                    self._serve_proxy(sock)
                case [_, "create", ["rootwrap", *_], _]:
                    manager.send(sock, [manager.RETURN, [_IDENT, _EXPOSED]])
                case [_, "get_methods", _, _]:
                    manager.send(sock, [manager.RETURN, _EXPOSED])
                case [_, "dummy" | "incref" | "decref", _, _]:
                    manager.send(sock, [manager.RETURN, None])
                case [_, "privmigrate", _, _]:
                    manager.send(sock, [manager.RETURN, None])
                    serve_direct(sock, self)
                case _:
                    manager.send(sock, [manager.TRACEBACK, "unrecognized request"])
        except (EOFError, OSError, Refused):
            return
        except Outgrown:
            self.stop()
        finally:
            self._forget(sock)

    def _serve_proxy(self, sock: socket.socket) -> None:
        while not self._stop.is_set():
            match manager.receive(sock):
                case [_, "run_one_command", [list() as argv, *rest], _] if all(
                    isinstance(word, str) for word in argv
                ):
                    stdin = rest[0] if rest else None
                    manager.send(sock, self._run([str(word) for word in argv], stdin))
                case [_, "shutdown", _, _]:
                    manager.send(sock, [manager.RETURN, None])
                    self.stop()
                case [_, str() as method, *_] if method in _EXPOSED:
                    manager.send(sock, [manager.RETURN, None])
                case _:
                    manager.send(sock, [manager.TRACEBACK, "unrecognized request"])

    def _run(self, argv: list[str], stdin: object) -> list[object]:
        data = b""
        if isinstance(stdin, str):
            data = os.fsencode(stdin)
        elif isinstance(stdin, bytes):
            data = stdin
        with self.using():
            try:
                command = self.prepare(argv)
                status, out, err = communicate(
                    lambda *ends: self.start(command, Streams(*ends)).wait, data
                )
            except client.Quit as quit_:
                message = quit_.message if quit_.status == EXIT_BAD_CONFIG else ""
                return [manager.RETURN, [quit_.status, "", message]]
            except OSError as error:
                return [manager.UNSERIALIZABLE, f"{argv[:1]}: {error}"]
            return [manager.RETURN, [status, os.fsdecode(out), os.fsdecode(err)]]

    @contextmanager
    def using(self) -> Iterator[None]:
        """Take one of `max_commands` places, and do not count as idle in it."""
        with self._lock:
            self._running += 1
        try:
            with self._slots:
                yield
        finally:
            with self._lock:
                self._running -= 1
                self._used = time.monotonic()

    def start(self, command: client.Command, streams: Streams) -> Started:
        """Start what was prepared."""
        log = self.executor.log
        text = client.describe(command, self.executor.environ)
        log.to_syslog_only(client.INFO, text)
        return self.executor.start(command, streams)

    def prepare(self, argv: list[str]) -> client.Command:
        """Decide what runs, and log as oslo-rootwrap-daemon does if nothing is to."""
        log = self.executor.log
        words = " ".join(argv)
        try:
            return self.executor.prepare(argv)
        except client.Quit as quit_:
            if quit_.status == EXIT_NO_EXECUTABLE:
                log.to_syslog_only(client.WARNING, f"Executable not found for: {words}")
            elif quit_.status == EXIT_UNAUTHORIZED:
                text = f"Unauthorized command: {words} (no filter matched)"
                log.to_syslog_only(client.WARNING, text)
            else:
                log.to_syslog_only(client.ERROR, quit_.message)
            raise


def _shutdown(sock: socket.socket, how: int) -> None:
    try:
        sock.shutdown(how)
    except OSError:
        return  # the other side was faster


def main() -> int:
    """Serve; the exit statuses are rootwrap's."""
    call = parse(sys.argv)
    take_name(call.name)
    if len(call.words) != 1:
        quit_ = client.Quit(EXIT_NO_COMMAND, "Extra arguments to daemon")
        return client.give_up(call.name, quit_)
    (config,) = call.words
    try:
        executor = Executor(call.name, Source(config, dict(os.environ), call.accepted))
        remarks = executor.give_up_the_rest()
    except InputError as error:
        why = explain(config) or str(error)
        return client.give_up(call.name, client.Quit(EXIT_BAD_CONFIG, why))
    except Refused as error:
        why = f"{config} will not be used: {error}"
        return client.give_up(call.name, client.Quit(EXIT_BAD_CONFIG, why))
    except CannotDropError as error:
        return client.give_up(call.name, client.Quit(error.exit_code, str(error)))
    client.limit_descriptors(executor.built.config.rlimit_nofile)
    for remark in remarks:
        executor.log.to_syslog_only(client.INFO, remark)
    return _serve(executor)


def _serve(executor: Executor) -> int:
    folder = tempfile.mkdtemp(prefix="rootwrap-")
    try:
        # the key is the gate: whoever starts the daemon reads it, and connects as another user
        os.chmod(folder, 0o755)  # noqa: PTH101, S103
        path = f"{folder}/rootwrap.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            os.chmod(path, 0o666)  # noqa: PTH101, S103
            listener.listen(_BACKLOG)
            key = os.urandom(manager.KEY_SIZE)
            os.write(1, os.fsencode(path) + b"\n" + key)
            null = os.open(os.devnull, os.O_RDWR)
            for standard in range(3):
                os.dup2(null, standard)
            Server(executor, key, listener).serve()
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
