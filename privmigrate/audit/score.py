"""The reachable power of a set of filters or entrypoints: one number, and how it came about.

Every program that callers can have run counts once, with the most that one of its filters or
entrypoints gives: what its worst open command line is worth (100 is root), at most what its
capabilities and being uid 0 are worth. Where no such line is known, any arguments count UNKNOWN,
words that may be options OPTIONS, and words that are held NARROW. So the number is the same measure
before a migration and after it, and falls with each entry that is narrowed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.power import Reach, Way, reach
from privmigrate.audit.runnable import Runnable, Slot
from privmigrate.diagnostics import Diagnostic, Span
from privmigrate.linux.capabilities import CapabilitySet

UNKNOWN: Final = 30
OPTIONS: Final = 10
NARROW: Final = 1
ROOT: Final = 100
ANY_PROGRAM: Final = "any program"
_OPTION: Final = "--config=/tmp/x"


@dataclass(frozen=True, slots=True)
class Line:
    """What one program adds to the score, by which entry, and why."""

    program: str
    power: int
    name: str
    kind: str
    span: Span
    why: str
    limit: CapabilitySet | None
    gain: str


@dataclass(frozen=True, slots=True)
class Score:
    """The sum, its lines (worst first), and how many of them are root."""

    total: int
    lines: tuple[Line, ...]

    @property
    def root_ways(self) -> int:
        """How many programs give root."""
        return sum(line.power >= ROOT for line in self.lines)


def score(evidence: Evidence, ways: Iterable[Way]) -> Score:
    """Add up what is reachable."""
    best: dict[str, Line] = {}
    reached = {id(one.runnable): one for one in reach(evidence.runnables, ways)}
    lines = [_line(one, reached.get(id(one))) for one in evidence.runnables]
    lines += [*_chains(evidence), *_others(evidence)]
    for line in lines:
        known = best.get(line.program)
        if known is None or line.power > known.power:
            best[line.program] = line
    ranked = sorted(best.values(), key=lambda line: (-line.power, line.program))
    return Score(sum(line.power for line in ranked), tuple(ranked))


def _line(runnable: Runnable, reached: Reach | None) -> Line:
    if not runnable.program:
        power, why, gain = ROOT, "callers name the program", "runs any program"
    elif reached is not None:
        power, why, gain = reached.power, reached.line, reached.gain.phrase
    elif runnable.shape.is_free:
        power, why, gain = UNKNOWN, "any arguments, of which nothing is known", "unknown"
    elif any(slot.takes(_OPTION) for slot in _open_slots(runnable)):
        power, why, gain = OPTIONS, "words that may be options", "unknown options"
    else:
        power, why, gain = NARROW, "every word is held", "what it is for"
    program = runnable.program or ANY_PROGRAM
    return Line(
        program, power, runnable.name, runnable.kind, runnable.span, why, runnable.limit, gain
    )


def _open_slots(runnable: Runnable) -> tuple[Slot, ...]:
    rest = runnable.shape.rest
    return (*runnable.shape.slots, *(() if rest is None else (rest,)))


def _chains(evidence: Evidence) -> Iterator[Line]:
    """A chain beside any other filter of its user: see PM122."""
    from privmigrate.audit.rules import chain_path

    for found in chain_path.check(evidence):
        name, _, why = found.message.partition(" ")
        yield Line(ANY_PROGRAM, ROOT, name, "filter", found.span, why, None, "runs any program")


def _others(evidence: Evidence) -> Iterator[Line]:
    """Signals, and entrypoints that run no command."""
    for entry in evidence.of_class("KillFilter"):
        if not isinstance(entry.bound, Diagnostic):
            program = f"kill {entry.bound.args[0].rpartition('/')[2]}"
            why = "signals for the processes of one program"
            yield Line(
                program, NARROW, entry.name, "filter", entry.span, why, None, "what it is for"
            )
    for module in evidence.modules:
        for entrypoint in module.entrypoints:
            if not entrypoint.executions:
                yield Line(
                    f"{entrypoint.name}()",
                    NARROW,
                    entrypoint.name,
                    "entrypoint",
                    entrypoint.span,
                    "runs no command",
                    entrypoint.limit,
                    "what it is for",
                )
