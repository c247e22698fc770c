"""A daemon's listening socket: a thread for each connection, a bounded number of commands, an end.

A signal, a client, or a time without commands ends it; what was begun is finished before.
"""

import os
import select
import signal
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from privmigrate.errors import EXIT_NO_EXECUTABLE, EXIT_UNAUTHORIZED, Refused
from privmigrate.shim import client
from privmigrate.shim.daemon import Executor, Outgrown, Started, Streams
from privmigrate.shim.report import Report, remove_dead

_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


class Server(ABC):
    """One socket, one thread for each connection; `answer` says what is spoken there."""

    def __init__(self, executor: Executor, listener: socket.socket) -> None:
        self.executor: Final = executor
        self._listener: Final = listener
        # systemd's, too, which listens on when we end: it must be neither shut down nor waited in
        listener.setblocking(False)
        self._wake: Final = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._slots: Final = threading.BoundedSemaphore(executor.built.settings.max_commands)
        self._lock: Final = threading.Lock()
        self._open: Final[dict[socket.socket, threading.Thread]] = {}
        self._used = time.monotonic()
        self._running = 0
        self._stop: Final = threading.Event()
        self.report: Final = Report(executor.config, str(executor.held))

    def serve(self) -> None:
        """Serve until stopped by a signal, a client, or for want of commands."""
        for number in _STOPPING:
            signal.signal(number, lambda *_: self._stop.set())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)  # sudo passes on what is blocked
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, nobody could say how one ended
        accepting = threading.Thread(target=self._accept, daemon=True)
        accepting.start()
        limit = self.executor.built.config.daemon_timeout
        remove_dead()
        self.report.write()
        while not self._stop.wait(1):
            self.report.write()
            self.executor.trail.write(wait=False)
            with self._lock:
                if not self._running and time.monotonic() - self._used > limit:
                    break
        self._stop.set()
        os.eventfd_write(self._wake, 1)
        accepting.join()
        os.close(self._wake)
        with self._lock:
            threads = list(self._open.values())
            for sock in self._open:
                # whoever waits for a request ends; whoever runs one may still answer
                _shutdown(sock, socket.SHUT_RD)
        for thread in threads:
            while thread.is_alive():
                thread.join(1)
                self.executor.trail.write(wait=False)  # of a client that does not read its answer
        self.executor.trail.write()
        self.report.remove()

    def stop(self) -> None:
        """Have `serve` return."""
        self._stop.set()

    def is_stopping(self) -> bool:
        """Whether no new request is to be read."""
        return self._stop.is_set()

    def _accept(self) -> None:
        poller = select.poll()
        poller.register(self._listener, select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        while not self._stop.is_set():
            poller.poll()
            if self._stop.is_set():
                return
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                continue  # whoever wanted to connect has gone
            except OSError:
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

    @abstractmethod
    def answer(self, sock: socket.socket) -> None:
        """Serve one connection; raise EOFError, OSError or Refused to end it, Outgrown to stop."""

    def _serve_connection(self, sock: socket.socket) -> None:
        try:
            self.answer(sock)
        except Refused as refused:
            self.executor.log.to_syslog_only(client.ERROR, f"refused: {refused}")
        except (EOFError, OSError):
            return
        except Outgrown:
            self.stop()
        finally:
            self._forget(sock)

    @contextmanager
    def using(self) -> Iterator[None]:
        """Do not count as idle in it."""
        with self._lock:
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                self._used = time.monotonic()

    def place(self) -> AbstractContextManager[object]:
        """Wait for one of `max_commands` places; for no longer than the command runs."""
        return self._slots

    def start(
        self, command: client.Command, streams: Streams, *, cwd: str | None = None, umask: int = -1
    ) -> Started:
        """Start what was prepared; raise client.Quit where it cannot be, with what to tell."""
        log = self.executor.log
        if log.to_syslog:
            log.write(client.INFO, client.describe(command, self.executor.environ))
        try:
            started = self.executor.start(command, streams, cwd=cwd, umask=umask)
        except (OSError, ValueError) as error:
            why = f"{command.executable}: {getattr(error, 'strerror', None) or error}"
            self.report.count("failed", why)
            raise client.Quit(client.EXIT_FAILED, why) from None
        self.report.count("run")
        return started

    def refuse(self, why: str) -> None:
        """Note what was asked that is no command."""
        self.report.count("refused", f"refused: {why}")
        self.executor.log.to_syslog_only(client.ERROR, f"refused: {why}")

    def _prepare(self, argv: list[str], environ: dict[bytes, bytes] | None) -> client.Command:
        try:
            return self.executor.prepare(argv, environ)
        except (OSError, ValueError) as error:  # a word with NUL, a file that went away
            raise client.Quit(client.EXIT_FAILED, f"{argv[:1]}: {error}") from None

    def prepare(self, argv: list[str], environ: dict[bytes, bytes] | None = None) -> client.Command:
        """Decide what runs, and log as oslo-rootwrap-daemon does if nothing is to."""
        try:
            return self._prepare(argv, environ)
        except client.Quit as quit_:
            log, words = self.executor.log, " ".join(argv)
            self.report.count("refused", quit_.message)
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
