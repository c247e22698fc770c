"""A private instance of the kernel's tracing: nobody else's buffers or settings are touched.

tracefs is mounted where no path leads to, so that its mount needs no undoing; where the kernel
cannot do that, the usual mount point serves. An instance is a folder in it, and outlives its
maker: each bears its maker's pid and start time, and those of makers that have ended are removed
before one is made.
"""

import errno
import os
import re
import time
from contextlib import suppress
from typing import Final, Self

from privmigrate.errors import PrivmigrateError
from privmigrate.linux.mount import open_detached
from privmigrate.linux.process import read_start_time

MOUNT_POINTS: Final = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
# For each CPU. A check with its stack takes some 250 bytes.
BUFFER_KILOBYTES: Final = 8192

_OURS: Final = re.compile(r"privmigrate_(\d+)_(\d+)_[0-9a-f]{8}")
_INSTANCES: Final = "instances"
_CHUNK: Final = 1 << 20
_BUSY_SECONDS: Final = 1.0


class CannotTrace(PrivmigrateError):  # noqa: N818 - names the outcome
    """Tracing is not to be had; the message says why."""


def own_name() -> str:
    """A new name for things of this process in tracefs, of which others can tell the owner."""
    pid = os.getpid()
    return f"privmigrate_{pid}_{read_start_time(pid)}_{os.urandom(4).hex()}"


def is_abandoned(name: str) -> bool:
    """Whether a name is of that kind, and its process has ended."""
    found = _OURS.fullmatch(name)
    if found is None:
        return False
    try:
        return read_start_time(int(found[1])) != int(found[2])
    except (FileNotFoundError, ProcessLookupError):
        return True


class Tracefs:
    """The root of tracefs. Use it in `with`."""

    def __init__(self, root: int) -> None:
        self.root: Final = root

    @classmethod
    def open(cls, mount_points: tuple[str, ...] = MOUNT_POINTS) -> Self:
        """Mount it for ourselves, or take the one that is mounted; raise CannotTrace."""
        try:
            return cls(open_detached("tracefs"))
        except OSError as error:
            why = error.strerror
        for path in mount_points:
            with suppress(OSError):
                root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                if _INSTANCES in os.listdir(root):  # noqa: PTH208 - of a descriptor
                    return cls(root)
                os.close(root)
        raise CannotTrace(f"the kernel's tracing cannot be reached: {why}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self.root)

    def has(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        return has(self.root, path)

    def instances(self) -> list[str]:
        """The names of all instances."""
        folder = os.open(_INSTANCES, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.root)
        try:
            return sorted(os.listdir(folder))  # noqa: PTH208 - the same
        finally:
            os.close(folder)

    def remove_abandoned(self) -> tuple[str, ...]:
        """Remove the instances of processes of ours that were killed; say which."""
        removed = []
        for name in filter(is_abandoned, self.instances()):
            try:
                self.remove(name)
            except OSError as error:
                # Another process like us was faster, or its maker lives after all, in another
                # PID namespace: its marker is open.
                if error.errno not in {errno.ENOENT, errno.EBUSY}:
                    raise
            else:
                removed.append(name)
        return tuple(removed)

    def remove(self, name: str) -> None:
        """Remove an instance, and with it its buffers and all its settings."""
        os.rmdir(f"{_INSTANCES}/{name}", dir_fd=self.root)


class Instance:
    """An instance of our own. Use it in `with`: it is removed at the end, whatever happens."""

    def __init__(self, tracefs: Tracefs, name: str, kilobytes: int = BUFFER_KILOBYTES) -> None:
        self._tracefs: Final = tracefs
        self._name: Final = name
        self._kilobytes: Final = kilobytes
        self._folder = -1

    def __enter__(self) -> Self:
        path = f"{_INSTANCES}/{self._name}"
        try:
            os.mkdir(path, dir_fd=self._tracefs.root)
        except OSError as error:
            raise CannotTrace(f"no instance of tracing can be made: {error.strerror}") from error
        try:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            self._folder = os.open(path, flags, dir_fd=self._tracefs.root)
            self.write("buffer_size_kb", str(self._kilobytes))
            # what is recorded first stays: the beginning of a command says more than its end
            self.write("options/overwrite", "0")
            self.write("options/event-fork", "1")
            self.write("options/stacktrace", "1")
        except OSError as error:
            self.__exit__()
            raise CannotTrace(f"tracing cannot be set up: {error}") from error
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1
        # a child that another thread starts has copies of our descriptors until it executes
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                self._tracefs.remove(self._name)
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() >= deadline:
                    raise
                time.sleep(_BUSY_SECONDS / 1000)
            else:
                return

    def open_marker(self) -> int:
        """A descriptor for lines that appear in the trace, with the global pid of their writer."""
        return os.open("trace_marker", os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._folder)

    def enable(self, events: tuple[str, ...], pid: int) -> None:
        """Record these events of a process and of all that it starts from now on."""
        # without a pid, an event is everybody's: so first the pid
        self.write("set_event_pid", str(pid))
        for event in events:
            self.write(f"events/{event}/enable", "1")

    def disable(self, events: tuple[str, ...]) -> None:
        """Record no more."""
        for event in events:
            self.write(f"events/{event}/enable", "0")
        self.write("set_event_pid", "")

    def clear(self) -> None:
        """Forget what was recorded."""
        self.write("trace", "")

    def read_trace(self) -> str:
        """What was recorded, as text."""
        return read(self._folder, "trace")

    def count_lost(self) -> int:
        """How many events found no room."""
        lost = 0
        for line in self._statistics():
            kind, _, number = line.partition(":")
            if kind in {"overrun", "commit overrun", "dropped events"}:
                lost += int(number)
        return lost

    def _statistics(self) -> list[str]:
        folder = os.open("per_cpu", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._folder)
        try:
            cpus = os.listdir(folder)  # noqa: PTH208 - the same
        finally:
            os.close(folder)
        texts = (read(self._folder, f"per_cpu/{cpu}/stats") for cpu in cpus)
        return [line for text in texts for line in text.splitlines()]

    def write(self, path: str, text: str) -> None:
        """Write to a file of the instance, in place of what it says."""
        write(self._folder, path, text)


def has(folder: int, path: str) -> bool:
    """Whether there is such a file or folder below `folder`."""
    try:
        os.stat(path, dir_fd=folder)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.EACCES}:
            return False
        raise
    return True


def read(folder: int, path: str) -> str:
    """The text of a file; a process may have chosen any bytes for its name."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(fd, "rb", buffering=_CHUNK) as file:
        return file.read().decode("utf-8", "backslashreplace")


def write(folder: int, path: str, text: str, *, append: bool = False) -> None:
    """Write to a file that exists: tracefs makes none."""
    how = os.O_APPEND if append else os.O_TRUNC
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | how, dir_fd=folder)
    try:
        if text:
            os.write(fd, text.encode())
    finally:
        os.close(fd)
