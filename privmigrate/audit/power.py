"""What can be done with commands: concrete command lines, and whether they fit into a shape."""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.runnable import Place, Runnable
from privmigrate.linux.capabilities import Capability, CapabilitySet


class Gain(Enum):
    """What somebody gains, and what that is worth of being root (100), for the score.

    Attributes:
        by_uid: uid 0 has it without any capability, for it owns root's files, devices and
            processes, and whoever asks for a uid, as systemd does, obeys it.
    """

    RUN = ("runs any program", 100, True)
    LOAD = ("changes the running kernel", 100, False)
    WRITE = ("writes any file", 100, True)
    OWN = ("takes over any file", 100, False)
    USER = ("makes or changes users", 100, True)
    MOUNT = ("puts any filesystem over any folder", 90, False)
    DEVICE = ("reads and writes any disk", 90, True)
    SERVICE = ("starts and stops any service", 80, True)
    READ = ("reads any file", 60, True)
    REMOVE = ("removes any file", 50, True)
    NETWORK = ("redirects the machine's traffic", 40, False)
    KILL = ("ends any process", 20, True)
    STOP = ("stops the machine", 20, True)

    def __init__(self, phrase: str, weight: int, by_uid: bool) -> None:  # noqa: FBT001 - a row
        self.phrase = phrase
        self.weight = weight
        self.by_uid = by_uid

    @property
    def level(self) -> Level:
        """How bad it is where root does it."""
        return Level.HIGH if self.weight >= _ROOT else Level.MEDIUM


_ROOT: Final = 80
_OF_OWNERS: Final = frozenset({"chmod", "setfacl"})
"""Programs that take a file over for its owner, where others need a capability for that."""


@dataclass(frozen=True, slots=True)
class Way:
    """A command line that does something nobody meant to allow.

    Attributes:
        programs: the programs that take it, separated by spaces.
        line: the words behind the program, in the shell's spelling.
        needs: those of them that matter, in order; all of them where it is empty.
        place: where they have to stand.
    """

    programs: str
    line: str
    gain: Gain
    needs: str = ""
    place: Place = Place.ANYWHERE

    @property
    def words(self) -> tuple[str, ...]:
        """The words that a shape has to take."""
        return tuple(shlex.split(self.needs or self.line))

    def fit(self, runnable: Runnable) -> str | None:
        """The command line with which the runnable does it, or None."""
        if runnable.program not in self.programs.split():
            return None
        if runnable.shape.is_free:
            return f"{runnable.program} {self.line}".strip()
        words = runnable.shape.fit(self.words, self.place)
        return None if words is None else " ".join((runnable.program, *map(_quoted, words)))


def _quoted(word: str) -> str:
    return word if word == "..." else shlex.quote(word)


@dataclass(frozen=True, slots=True)
class Reach:
    """What a runnable gives: by which command line, for how much of being root."""

    runnable: Runnable
    gain: Gain
    line: str
    power: int


def open_ways(evidence: Evidence, ways: Iterable[Way]) -> Iterator[Found]:
    """Say for every runnable the first way that fits it.

    The command lines that one call may be are one runnable here.
    """
    by_program = _by_program(ways)
    said: set[tuple[object, ...]] = set()
    for runnable in evidence.runnables:
        place = (runnable.span, runnable.name, runnable.program)
        for way in by_program.get(runnable.program, ()) if place not in said else ():
            line = way.fit(runnable)
            if line is not None:
                yield _found(runnable, way, line)
                said.add(place)
                break


def reach(runnables: Iterable[Runnable], ways: Iterable[Way]) -> Iterator[Reach]:
    """For every runnable the most powerful way, if there is one."""
    by_program = _by_program(ways)
    for runnable in runnables:
        fitting = []
        for way in by_program.get(runnable.program, ()):
            line = way.fit(runnable)
            if line is not None:
                fitting.append(Reach(runnable, way.gain, line, power_of(way.gain, runnable)))
        if fitting:
            yield max(fitting, key=lambda found: found.power)


def _by_program(ways: Iterable[Way]) -> dict[str, list[Way]]:
    table: dict[str, list[Way]] = {}
    for way in ways:
        for program in way.programs.split():
            table.setdefault(program, []).append(way)
    return table


def _found(runnable: Runnable, way: Way, line: str) -> Found:
    level = way.gain.level
    if runnable.run_as not in {"root", "0"}:
        level = Level.LOW
    elif power_of(way.gain, runnable) < _ROOT:
        level = min(level, Level.MEDIUM)
    return Found(runnable.span, f"{runnable.name} {way.gain.phrase} as {_who(runnable)}: {line}",
                 _ADVICE[runnable.kind], level)  # fmt: skip


def _who(runnable: Runnable) -> str:
    if runnable.limit is None:
        return runnable.run_as
    return f"{runnable.run_as} with {runnable.limit}"


_ADVICE: Final = {
    "filter": (
        "allow only the words that the service uses (RegExpFilter), or let privmigrate convert"
        " write an entrypoint with typed parameters from the call sites"
    ),
    "entrypoint": "make the words that callers do not choose constants, and type the others",
}

# What a program with nothing but one capability can reach (capabilities(7)), of 100 for root.
_CAPABILITY_POWER: Final = {
    Capability.CAP_SYS_ADMIN: 90,
    Capability.CAP_SYS_MODULE: 100,
    Capability.CAP_SYS_PTRACE: 90,
    Capability.CAP_SYS_RAWIO: 90,
    Capability.CAP_SETUID: 90,
    Capability.CAP_SETFCAP: 90,
    Capability.CAP_CHOWN: 90,
    Capability.CAP_FOWNER: 90,
    Capability.CAP_DAC_OVERRIDE: 90,
    Capability.CAP_MKNOD: 80,
    Capability.CAP_SETGID: 80,  # the group of disks, of shadow, of whoever may ask a daemon of root
    Capability.CAP_DAC_READ_SEARCH: 60,
    Capability.CAP_SYS_BOOT: 50,
    Capability.CAP_NET_ADMIN: 40,
    Capability.CAP_NET_RAW: 20,
    Capability.CAP_KILL: 20,
}
_OTHER_CAPABILITY: Final = 10


def capability_power(capabilities: CapabilitySet) -> int:
    """The most that a program can reach that holds these and belongs to nobody special."""
    powers = [_CAPABILITY_POWER.get(Capability(c), _OTHER_CAPABILITY) for c in capabilities]
    return max(powers, default=0)


def as_good_as_root(capabilities: CapabilitySet) -> CapabilitySet:
    """Those by one of which alone a program that does what it likes becomes root."""
    return CapabilitySet.from_numbers(
        number for number in capabilities if _CAPABILITY_POWER.get(Capability(number), 0) >= _ROOT
    )


def power_of(gain: Gain, runnable: Runnable) -> int:
    """What the gain is worth where the capabilities end: not less than what uid 0 has anyway."""
    if runnable.run_as not in {"root", "0"}:
        return _OTHER_CAPABILITY
    if runnable.limit is None or gain.by_uid or runnable.program in _OF_OWNERS:
        return gain.weight
    return min(gain.weight, max(capability_power(runnable.limit), _OTHER_CAPABILITY))
