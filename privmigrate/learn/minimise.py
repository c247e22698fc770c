"""Which set is the smallest that will do: trial runs, and what the kernel refused in them.

It is taken for granted that a command which works with a set works with a larger one. Where that
is wrong (mount(8) refuses to run for a user who could become root) the experiment leaves such
capabilities out from the start.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from privmigrate.linux.capabilities import NONE, Capability, CapabilitySet

# The most powerful first: what whoever holds it can make of it. Those that are not named come
# after these, by their numbers. Order and reasons: capabilities(7), grsecurity's "False Boundaries
# and Arbitrary Code Execution".
_POWER: Final = (
    Capability.CAP_SYS_ADMIN,
    Capability.CAP_SYS_MODULE,
    Capability.CAP_SYS_RAWIO,
    Capability.CAP_DAC_OVERRIDE,
    Capability.CAP_SYS_PTRACE,
    Capability.CAP_BPF,
    Capability.CAP_SETFCAP,
    Capability.CAP_CHOWN,
    Capability.CAP_FOWNER,
    Capability.CAP_SETUID,
    Capability.CAP_SETGID,
    Capability.CAP_MKNOD,
    Capability.CAP_SYS_BOOT,
    Capability.CAP_SYS_CHROOT,
    Capability.CAP_DAC_READ_SEARCH,
    Capability.CAP_MAC_ADMIN,
    Capability.CAP_SETPCAP,
    Capability.CAP_NET_ADMIN,
    Capability.CAP_NET_RAW,
    Capability.CAP_CHECKPOINT_RESTORE,
    Capability.CAP_PERFMON,
    Capability.CAP_KILL,
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Whether the command worked, and which capabilities it was refused."""

    works: bool
    refused: CapabilitySet = NONE


Try = Callable[[CapabilitySet], Attempt]


def power(number: int) -> int:
    """The smaller, the more powerful."""
    if number in _POWER:
        return _POWER.index(Capability(number))
    return len(_POWER) + number


def by_power(capabilities: CapabilitySet) -> list[int]:
    """The most powerful first."""
    return sorted(capabilities, key=power)


def repair(attempt: Try, base: CapabilitySet, more: CapabilitySet) -> CapabilitySet | None:
    """Find what has to be added to `base` so that the command works; None if `more` will not do.

    By halving (Junker's QuickXplain): with k of n missing, some k log(n/k) runs.
    """
    if not attempt(base | more).works:
        return None
    weakest_first = tuple(reversed(by_power(more - base)))
    return base | _explain(attempt, base, weakest_first, changed=True)


def _explain(
    attempt: Try, base: CapabilitySet, more: tuple[int, ...], *, changed: bool
) -> CapabilitySet:
    """The part of `more` that is missing, where all of it is enough; early ones are preferred."""
    if changed and attempt(base).works:
        return NONE
    if len(more) <= 1:
        return CapabilitySet.from_numbers(more)
    half = len(more) // 2
    first, second = more[:half], more[half:]
    ours = CapabilitySet.from_numbers(first)
    from_second = _explain(attempt, base | ours, second, changed=bool(first))
    from_first = _explain(attempt, base | from_second, first, changed=bool(from_second))
    return from_first | from_second


def minimise(attempt: Try, enough: CapabilitySet) -> CapabilitySet:
    """Take away what can be taken away, the most powerful first."""
    kept = enough
    for number in by_power(enough):
        less = kept - CapabilitySet.of(number)
        if attempt(less).works:
            kept = less
    return kept


def substitute(attempt: Try, enough: CapabilitySet) -> CapabilitySet:
    """Put weaker capabilities in place of stronger ones where the kernel takes either.

    It asks for one first, so that is the one that was seen; without it, the other is refused.
    """
    kept = enough
    for number in by_power(enough):
        rest = kept - CapabilitySet.of(number)
        others = attempt(rest).refused - kept
        for other in reversed(by_power(others)):
            if power(other) <= power(number):
                break
            if attempt(rest | CapabilitySet.of(other)).works:
                kept = rest | CapabilitySet.of(other)
                break
    return kept
