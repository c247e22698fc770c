"""From checks to a candidate: which of the capabilities that were asked for may matter."""

from collections.abc import Iterable
from dataclasses import dataclass

from privmigrate.linux.capabilities import NONE, CapabilitySet
from privmigrate.observe.sources.base import Check


@dataclass(frozen=True, slots=True)
class Observed:
    """What the kernel was asked for by a command and by all that it started.

    Attributes:
        granted: asked for and there.
        unaudited: granted, but only ever in checks that leave no audit record. Many of these
            decide nothing, some do: they are tried when the others are not enough.
        refused: asked for in vain.
        events: how many checks were seen, those of no account included.
        lost: how many more there were.
    """

    granted: CapabilitySet = NONE
    unaudited: CapabilitySet = NONE
    refused: CapabilitySet = NONE
    events: int = 0
    lost: int = 0


def summarise(checks: Iterable[Check], lost: int = 0) -> Observed:
    """Sort the checks; what belongs to a user namespace that the command made does not count.

    Memory is accounted in the first user namespace, so where such a check was granted, its
    namespace is the one that counts.
    """
    everything = list(checks)
    first = {check.namespace for check in everything if check.noise and check.granted}
    audited: set[int] = set()
    unaudited: set[int] = set()
    refused: set[int] = set()
    for check in everything:
        if check.noise:
            continue
        if not check.granted:
            refused.add(check.capability)
        elif not first or check.namespace in first:
            (audited if check.audited else unaudited).add(check.capability)
    return Observed(
        granted=CapabilitySet.from_numbers(audited),
        unaudited=CapabilitySet.from_numbers(unaudited - audited),
        refused=CapabilitySet.from_numbers(refused),
        events=len(everything),
        lost=lost,
    )
