"""The tracepoint ``capability:cap_capable`` (Linux 6.14): every check with its answer."""

import re
from collections.abc import Iterator
from typing import Final

from privmigrate.observe.sources.base import Check, Event, is_noise
from privmigrate.observe.tracefs import Tracefs

_EVENT: Final = "capability/cap_capable"
_FIELDS: Final = re.compile(r"cred \S+, target_ns \S+, capable_ns (\S+), cap (\d+), ret (-?\d+)")
_UNAUDITED: Final = "noaudit"  # in the name of the function that asked


class Tracepoint:
    """Needs nothing to be set up, and leaves nothing behind."""

    name = "tracepoint"

    def why_not(self, tracefs: Tracefs) -> str | None:
        """The folder tells; versions do not, since distributions carry changes back."""
        if tracefs.has(f"events/{_EVENT}"):
            return None
        return "this kernel has no tracepoint capability:cap_capable (Linux 6.14 has)"

    def prepare(self, tracefs: Tracefs, owner: str) -> tuple[str, ...]:
        """Return the event."""
        del tracefs, owner
        return (_EVENT,)

    def remove(self, tracefs: Tracefs, owner: str) -> None:
        """Nothing is to be undone."""

    def remove_abandoned(self, tracefs: Tracefs) -> tuple[str, ...]:
        """Nothing can be abandoned."""
        del tracefs
        return ()

    def checks(self, events: list[Event]) -> Iterator[Check]:
        """Read what the tracepoint prints; it does not tell audited checks, but stacks do."""
        for event in events:
            found = _FIELDS.fullmatch(event.text) if event.name == "cap_capable" else None
            if found is not None:
                yield Check(
                    pid=event.pid,
                    capability=int(found[2]),
                    granted=found[3] == "0",
                    noise=is_noise(event.stack),
                    audited=not any(_UNAUDITED in frame for frame in event.stack),
                    namespace=found[1],
                )
