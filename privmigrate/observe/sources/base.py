"""What every source of capability checks has in common: events as text, and checks made of them.

The text is the kernel's (Documentation/trace/ftrace.rst); a stack follows its event as an event of
its own, with those of other CPUs possibly in between, so the two are joined by the pid.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from privmigrate.observe.tracefs import Tracefs

_EVENT: Final = re.compile(r".*-(\d+) +\[\d+\] +\S+ +[\d.]+: (.*)")
_STACK: Final = "<stack trace>"
_FRAME: Final = " => "
_MARK: Final = "tracing_mark_write"
# The kernel asks for CAP_SYS_ADMIN whenever memory is mapped, to see whether the reserve for
# administrators may be used: every program does that, and none needs the answer.
_NOISE: Final = "vm_enough_memory"


@dataclass(slots=True)
class Event:
    """One line of the trace, and the functions that led to it."""

    pid: int
    name: str
    text: str
    stack: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Check:
    """One question of the kernel: may this process use that capability?

    Attributes:
        pid: the process, by its number outside of all PID namespaces.
        capability: the capability's number.
        granted: the answer.
        noise: asked when memory was mapped, and of no account.
        audited: False where the kernel only looks, and often can do without.
        namespace: where the answer comes from, if the source tells; two that differ are two
            user namespaces.
    """

    pid: int
    capability: int
    granted: bool
    noise: bool
    audited: bool
    namespace: str = ""


class Source(Protocol):
    """One way to see the checks; `name` stands in evidence."""

    name: str

    def why_not(self, tracefs: Tracefs) -> str | None:
        """Say why this kernel cannot do it; None if it can."""

    def prepare(self, tracefs: Tracefs, owner: str) -> tuple[str, ...]:
        """Set up what has to be; return the events to enable, as paths below ``events``."""

    def remove(self, tracefs: Tracefs, owner: str) -> None:
        """Undo that, when no instance uses it any more."""

    def remove_abandoned(self, tracefs: Tracefs) -> tuple[str, ...]:
        """Undo it for processes of ours that were killed; return what was removed."""

    def checks(self, events: list[Event]) -> Iterator[Check]:
        """Read the events."""


def parse_trace(text: str) -> list[Event]:
    """Read a trace; a line that is none of the kernel's is passed over."""
    events: list[Event] = []
    last: dict[int, Event] = {}
    open_stack: Event | None = None
    for line in text.splitlines():
        if line.startswith(_FRAME):
            if open_stack is not None:
                open_stack.stack.append(line[len(_FRAME) :].strip())
            continue
        open_stack = None
        found = _EVENT.fullmatch(line)
        if found is None:
            continue
        pid = int(found[1])
        if found[2] == _STACK:
            open_stack = last.get(pid)
            continue
        name, _, rest = found[2].partition(": ")
        last[pid] = Event(pid, name, rest)
        events.append(last[pid])
    return events


def find_mark(text: str, token: str) -> int | None:
    """The global pid of the process that wrote `token` into the trace."""
    for event in parse_trace(text):
        if event.name == _MARK and event.text == token:
            return event.pid
    return None


def is_noise(stack: list[str]) -> bool:
    """Whether the check is memory accounting's."""
    return any(_NOISE in frame for frame in stack)
