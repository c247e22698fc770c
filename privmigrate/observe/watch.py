"""Watches one process and its descendants, by the best source that this kernel has.

Before it is believed, a source has to show what a process certainly asked for. Where it shows
nothing (another kernel's format, a function that the compiler inlined), a command that seems to
need nothing would be the most dangerous answer.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from privmigrate.linux.capabilities import Capability
from privmigrate.linux.spawn import Program, spawn
from privmigrate.observe.candidate import Observed, summarise
from privmigrate.observe.sources import SOURCES
from privmigrate.observe.sources.base import Source, find_mark, parse_trace
from privmigrate.observe.tracefs import BUFFER_KILOBYTES, CannotTrace, Instance, Tracefs, own_name

_ASK: Final = ("-I", "-S", "-c", "import os; os.chroot('/')")
_ASKED_FOR: Final = Capability.CAP_SYS_CHROOT
_PROOF_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Watch:
    """A source at work. One process at a time is watched."""

    source: Source
    instance: Instance
    events: tuple[str, ...]
    marker: int

    def begin(self, token: str) -> int:
        """Watch the process that has written `token`, from now on; give its global pid.

        In a PID namespace the kernel's tracing knows other numbers than we do; what it records
        with the mark is the number that it knows.
        """
        pid = find_mark(self.instance.read_trace(), token)
        if pid is None:
            raise CannotTrace("the trace does not show what was written to it")
        self.instance.enable(self.events, pid)
        return pid

    def begin_here(self) -> int:
        """Watch what the calling thread starts from now on; give its global pid."""
        token = f"privmigrate-{os.urandom(8).hex()}"
        os.write(self.marker, token.encode())
        return self.begin(token)

    def end(self, pid: int) -> Observed:
        """Say what the descendants of the process asked for; watch no more."""
        self.instance.disable(self.events)
        events = parse_trace(self.instance.read_trace())
        lost = self.instance.count_lost()
        self.instance.clear()
        checks = (check for check in self.source.checks(events) if check.pid != pid)
        return summarise(checks, lost)


@contextmanager
def watching(
    name: str = "auto",
    sources: tuple[Source, ...] = SOURCES,
    kilobytes: int = BUFFER_KILOBYTES,
) -> Iterator[Watch]:
    """Set a source up (the first that works, or the one of this name), and remove it at the end.

    Raise CannotTrace with every reason if there is none. `kilobytes` are the buffer's, for each
    CPU.
    """
    chosen = [source for source in sources if name in {"auto", source.name}]
    with ExitStack() as stack:
        tracefs = stack.enter_context(Tracefs.open())
        tracefs.remove_abandoned()
        reasons = []
        for source in chosen:
            source.remove_abandoned(tracefs)
            why = source.why_not(tracefs)
            if why is not None:
                reasons.append(why)
                continue
            try:
                watch = _set_up(stack, tracefs, source, kilobytes)
            except CannotTrace as error:
                reasons.append(str(error))
                continue
            yield watch
            return
        raise CannotTrace("; ".join(reasons))


def _set_up(stack: ExitStack, tracefs: Tracefs, source: Source, kilobytes: int) -> Watch:
    owner = own_name()
    with ExitStack() as trying:
        # an instance that uses a probe keeps it from being removed: so the instance goes first
        trying.callback(source.remove, tracefs, owner)
        events = source.prepare(tracefs, owner)
        instance = trying.enter_context(Instance(tracefs, owner, kilobytes))
        marker = instance.open_marker()
        trying.callback(os.close, marker)
        watch = Watch(source, instance, events, marker)
        _prove(watch)
        stack.enter_context(trying.pop_all())
    return watch


def _prove(watch: Watch) -> None:
    """Watch a process that certainly uses a capability; raise CannotTrace if that is not seen."""
    pid = watch.begin_here()
    with spawn(Program(sys.executable, (sys.executable, *_ASK), {})) as process:
        process.wait(_PROOF_SECONDS)
    if _ASKED_FOR not in watch.end(pid).granted:
        raise CannotTrace(f"{watch.source.name}: shows nothing of a process that is there")
