"""`mode = learn`: commands run as before, and what the kernel granted them is written down.

Watched as `privmigrate learn` watches, by the best source that this kernel has. A line is written
where it says more than those before it, so that a busy service fills no disk.
"""

import errno
import json
import os
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Self

from privmigrate.errors import InputError
from privmigrate.linux.capabilities import NONE, CapabilitySet
from privmigrate.observe.candidate import Observed
from privmigrate.observe.tracefs import CannotTrace
from privmigrate.observe.watch import Watch, watching
from privmigrate.shim import client

LEARNED: Final = "/var/lib/privmigrate/learned"
# For each CPU, and as often as commands are watched at once: some 4,000 checks with their stacks.
_BUFFER_KILOBYTES: Final = 1024
_WATCHED_AT_ONCE: Final = 8
_places: Final = threading.BoundedSemaphore(_WATCHED_AT_ONCE)


class Learning:
    """Watches what the calling thread starts inside `with`: one command."""

    def __init__(self, config: str, log: client.Log) -> None:
        """Say whose command it will be; why nothing can be learned of it goes to the log."""
        self._config: Final = config
        self._log: Final = log
        self._stack: Final = ExitStack()
        self._watch: Watch | None = None
        self._pid = 0
        self._begun = False

    def __enter__(self) -> Self:
        """Begin, unless that was done already or cannot be."""
        if self._begun:
            return self
        self._begun = True
        if not _places.acquire(blocking=False):
            self._complain(f"{_WATCHED_AT_ONCE} commands are watched already")
            return self
        self._stack.callback(_places.release)
        try:
            self._watch = self._stack.enter_context(watching(kilobytes=_BUFFER_KILOBYTES))
            self._pid = self._watch.begin_here()
        except (CannotTrace, OSError) as error:
            self._complain(str(error))
            self._watch = None
            self._stack.close()
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self._stack.close()
        except OSError as error:  # the command has run, whatever becomes of the watching
            self._log.to_syslog_only(client.WARNING, f"watching could not be ended: {error}")

    def keep(self, command: client.Command, status: int) -> None:
        """The command has ended: write down what it was granted."""
        if self._watch is None:
            return
        try:
            observed = self._watch.end(self._pid)
            if observed.lost:
                self._complain(f"{observed.lost} events of {command.name} found no room")
            elif command.user == "root":
                record(self._config, command, status, observed)
            else:  # becoming that user is our part
                record(self._config, command, status, Observed())
        except (OSError, InputError) as error:
            self._complain(str(error))

    def _complain(self, why: str) -> None:
        self._log.to_syslog_only(client.WARNING, f"nothing was learned: {why}")


@dataclass(frozen=True, slots=True)
class Seen:
    """What the commands of a filter were granted; `unaudited` in checks that are no record's."""

    granted: CapabilitySet = NONE
    unaudited: CapabilitySet = NONE

    def __or__(self, other: "Seen") -> "Seen":
        """Both together."""
        return Seen(self.granted | other.granted, self.unaudited | other.unaudited)


def record(config: str, command: client.Command, status: int, observed: Observed) -> None:
    """Add a line to what is known of a configuration; raise OSError where it cannot be kept."""
    new = Seen(observed.granted, observed.unaudited)
    known = read_learned(config).get(command.name)
    if known is not None and known | new == known:
        return
    value = {
        "filter": command.name,
        "argv": client.mask_secrets(command.argv),
        "capabilities": list(new.granted.names),
        "unaudited": list(new.unaudited.names),
        "status": status,
    }
    path = learned_path(config)
    os.makedirs(LEARNED, mode=0o700, exist_ok=True)  # noqa: PTH103 - pathlib costs 5 ms
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    line = f"{json.dumps(value)}\n".encode()
    with os.fdopen(os.open(path, flags, 0o600), "ab", buffering=0) as file:
        written = file.write(line)
        if written != len(line):  # a full disk, or a limit of whoever called sudo
            os.ftruncate(file.fileno(), os.fstat(file.fileno()).st_size - written)
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))


def read_learned(config: str) -> dict[str, Seen]:
    """What the commands of each filter were granted, all together; raise InputError."""
    found: dict[str, Seen] = {}
    path = learned_path(config)
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - as above
            for number, line in enumerate(file, 1):
                name, seen = _parse(line, f"{path}:{number}")
                found[name] = found.get(name, Seen()) | seen
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"{path}: error: cannot be read: {error.strerror}") from error
    return found


def _parse(line: str, place: str) -> tuple[str, Seen]:
    try:
        value = json.loads(line)
        sets = (CapabilitySet.parse(" ".join(value[key])) for key in ("capabilities", "unaudited"))
        return str(value["filter"]), Seen(*sets)
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{place}: error: not a line of what was learned; remove it") from None


def learned_path(config: str) -> str:
    """Where the lines of a configuration are."""
    name = client.index_path(config).rpartition("/")[2].removesuffix(".index")
    return f"{LEARNED}/{name}.jsonl"
