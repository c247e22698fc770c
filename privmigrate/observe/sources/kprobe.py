"""A kprobe at the kernel's function cap_capable, for kernels without the tracepoint.

The probe is the whole machine's (instances only choose what they record), so it bears our name and
is removed by it. Of the function's return there is a second probe; a process is asked one question
at a time, so its next return is the answer. Memory accounting may not be seen at all: the compiler
puts a copy of the function there.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from privmigrate.observe.sources.base import Check, Event, is_noise
from privmigrate.observe.tracefs import CannotTrace, Tracefs, is_abandoned, read, write

_PROBES: Final = "kprobe_events"
_ASKED: Final = "cap_asked"
_ANSWERED: Final = "cap_answered"
_QUESTION: Final = re.compile(r"\(.*\) cap=(\d+) opts=(\d+)")
_ANSWER: Final = re.compile(r"\(.*\) ret=(-?\d+)")
_NOAUDIT: Final = 2  # CAP_OPT_NOAUDIT in include/linux/security.h


class Kprobe:
    """Works on kernels that are built with CONFIG_KPROBE_EVENTS."""

    name = "kprobe"

    def why_not(self, tracefs: Tracefs) -> str | None:
        """The file tells."""
        if tracefs.has(_PROBES):
            return None
        return "this kernel has no kprobe events"

    def prepare(self, tracefs: Tracefs, owner: str) -> tuple[str, ...]:
        """Add the two probes; raise CannotTrace where the kernel refuses."""
        lines = (
            f"p:{owner}/{_ASKED} cap_capable cap=$arg3:s32 opts=$arg4:u32",
            f"r:{owner}/{_ANSWERED} cap_capable ret=$retval:s32",
        )
        try:
            for line in lines:
                write(tracefs.root, _PROBES, line, append=True)
        except OSError as error:
            self.remove(tracefs, owner)
            raise CannotTrace(f"the kernel takes no kprobe: {error.strerror}") from error
        return tuple(f"{owner}/{name}" for name in (_ASKED, _ANSWERED))

    def remove(self, tracefs: Tracefs, owner: str) -> None:
        """Remove the probes of that name."""
        for name in (_ASKED, _ANSWERED):
            with suppress(OSError):  # it was never added
                write(tracefs.root, _PROBES, f"-:{owner}/{name}", append=True)

    def remove_abandoned(self, tracefs: Tracefs) -> tuple[str, ...]:
        """Remove the probes of processes that have ended."""
        owners = {line.partition(":")[2].partition("/")[0] for line in self._lines(tracefs)}
        abandoned = tuple(sorted(filter(is_abandoned, owners)))
        for owner in abandoned:
            self.remove(tracefs, owner)
        return abandoned

    def checks(self, events: list[Event]) -> Iterator[Check]:
        """Join questions and answers."""
        asked: dict[int, Event] = {}
        for event in events:
            if event.name == _ASKED:
                asked[event.pid] = event
            elif event.name == _ANSWERED and event.pid in asked:
                question = asked.pop(event.pid)
                what = _QUESTION.fullmatch(question.text)
                answer = _ANSWER.fullmatch(event.text)
                if what is not None and answer is not None:
                    yield Check(
                        pid=event.pid,
                        capability=int(what[1]),
                        granted=answer[1] == "0",
                        noise=is_noise(question.stack),
                        audited=not int(what[2]) & _NOAUDIT,
                    )

    @staticmethod
    def _lines(tracefs: Tracefs) -> list[str]:
        if not tracefs.has(_PROBES):
            return []
        return read(tracefs.root, _PROBES).splitlines()
