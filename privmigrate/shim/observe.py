"""`mode = learn`: commands run as before, and what the kernel granted them is written down.

By the tracepoint capability:cap_capable (Linux 6.14), which tells every check of a capability. It
also tells those of the kernel's memory accounting, which asks for CAP_SYS_ADMIN at every exec and
decides nothing: these are known by their stack, and that there are some proves that we see at all.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.shim import client

TRACEFS: Final = "/sys/kernel/tracing"
LEARNED: Final = "/var/lib/privmigrate/learned"
_EVENT: Final = "events/capability/cap_capable"
_CHECK: Final = re.compile(r"-(\d+)\s+\[\d+\].*cap_capable: .*cap (\d+), ret (-?\d+)")
_ACCOUNTING: Final = "vm_enough_memory"


@dataclass(slots=True)
class Observation:
    """What was seen of one command and all that it started; `why_not` where nothing could be."""

    granted: CapabilitySet = field(default_factory=CapabilitySet)
    why_not: str = ""


@contextmanager
def observing() -> Iterator[Observation]:
    """Watch the children of this process until the end of the block."""
    found = Observation()
    instance = f"{TRACEFS}/instances/privmigrate-shim-{os.getpid()}"
    try:
        os.mkdir(instance)  # noqa: PTH102 - pathlib costs 5 ms
        _write(f"{instance}/options/event-fork", "1")
        _write(f"{instance}/options/stacktrace", "1")
        _write(f"{instance}/set_event_pid", str(os.getpid()))
        _write(f"{instance}/{_EVENT}/enable", "1")
    except OSError as error:
        found.why_not = f"{error.filename or instance}: {error.strerror}"
    try:
        yield found
    finally:
        if not found.why_not:
            _finish(found, instance)
        if os.path.isdir(instance):  # noqa: PTH112 - as above
            os.rmdir(instance)  # noqa: PTH106 - as above


def _finish(found: Observation, instance: str) -> None:
    try:
        _write(f"{instance}/{_EVENT}/enable", "0")
        with open(f"{instance}/trace", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            seen, granted = parse_trace(file.read(), os.getpid())
    except OSError as error:
        found.why_not = f"{error.filename}: {error.strerror}"
        return
    found.granted = granted
    if not seen:
        found.why_not = "the trace shows nothing of the command"


def parse_trace(text: str, own: int) -> tuple[bool, CapabilitySet]:
    """Whether anything was seen of others than `own`, and what they were granted."""
    seen = False
    granted: set[int] = set()
    pending: int | None = None
    for line in text.splitlines():
        check = _CHECK.search(line)
        if check is None:
            if _ACCOUNTING in line:
                pending = None
            continue
        if pending is not None:
            granted.add(pending)
        pid, capability, result = (int(group) for group in check.groups())
        seen = seen or pid != own
        pending = capability if pid != own and result == 0 else None
    if pending is not None:
        granted.add(pending)
    return seen, CapabilitySet.from_numbers(granted)


def record(config: str, command: client.Command, status: int, found: Observation) -> None:
    """Add a line to what is known of a configuration; raise OSError where it cannot be kept."""
    value = {
        "filter": command.name,
        "argv": client.mask_secrets(command.argv),
        "capabilities": list(found.granted.names),
        "status": status,
    }
    path = learned_path(config)
    os.makedirs(LEARNED, mode=0o700, exist_ok=True)  # noqa: PTH103 - as above
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "a") as file:
        file.write(json.dumps(value) + "\n")


def read_learned(config: str) -> dict[str, CapabilitySet]:
    """What the commands of each filter were granted, all together."""
    found: dict[str, CapabilitySet] = {}
    try:
        with open(learned_path(config), encoding="utf-8") as file:  # noqa: PTH123 - as above
            for line in file:
                value = json.loads(line)
                names = CapabilitySet.parse(" ".join(value["capabilities"]))
                found[value["filter"]] = found.get(value["filter"], CapabilitySet()) | names
    except FileNotFoundError:
        return {}
    return found


def learned_path(config: str) -> str:
    """Where the lines of a configuration are."""
    name = client.index_path(config).rpartition("/")[2].removesuffix(".index")
    return f"{LEARNED}/{name}.jsonl"


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123 - as above
        file.write(text)
