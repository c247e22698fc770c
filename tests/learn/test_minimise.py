"""The search for the smallest set, against commands whose needs are known."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from privmigrate.learn.minimise import Attempt, by_power, minimise, power, repair, substitute
from privmigrate.linux.capabilities import NONE, Capability, CapabilitySet, every

ALL = CapabilitySet((1 << 41) - 1)
sets = st.frozensets(st.integers(0, 40), max_size=4).map(CapabilitySet.from_numbers)
larger = st.frozensets(st.integers(0, 40), max_size=41).map(CapabilitySet.from_numbers)


class Model:
    """Works with every set that holds one of `alternatives`; counts how often it is run."""

    def __init__(self, *alternatives: CapabilitySet) -> None:
        self.alternatives = alternatives
        self.runs = 0

    def __call__(self, held: CapabilitySet) -> Attempt:
        self.runs += 1
        works = any(needed <= held for needed in self.alternatives)
        asked = CapabilitySet()
        for needed in self.alternatives:
            asked |= needed
        return Attempt(works, asked - held)


def is_minimal(attempt: Callable[[CapabilitySet], Attempt], found: CapabilitySet) -> bool:
    return attempt(found).works and not any(
        attempt(found - CapabilitySet.of(number)).works for number in found
    )


@given(needed=sets, base=larger)
def test_what_is_missing_is_found_and_nothing_else(
    needed: CapabilitySet, base: CapabilitySet
) -> None:
    assert repair(Model(needed), base, ALL) == base | needed


@given(needed=sets)
def test_by_trial_alone_few_runs_are_enough(needed: CapabilitySet) -> None:
    model = Model(needed)
    assert repair(model, NONE, ALL) == needed
    assert model.runs <= 2 + 14 * max(1, len(needed))


def test_what_cannot_be_repaired_costs_one_run() -> None:
    model = Model(CapabilitySet.of(63))
    assert repair(model, NONE, ALL) is None
    assert model.runs == 1


@given(one=sets, other=sets, more=larger)
def test_the_smallest_set_is_enough_and_every_capability_in_it_is_needed(
    one: CapabilitySet, other: CapabilitySet, more: CapabilitySet
) -> None:
    model = Model(one, other)
    assert is_minimal(model, minimise(model, one | more))


def test_the_more_powerful_goes_first() -> None:
    admin = CapabilitySet.of(Capability.CAP_SYS_ADMIN)
    nice = CapabilitySet.of(Capability.CAP_SYS_NICE)
    assert minimise(Model(admin, nice), admin | nice) == nice


def test_the_weaker_of_two_takes_the_place_of_the_one_that_was_asked_for() -> None:
    admin = CapabilitySet.of(Capability.CAP_SYS_ADMIN)
    nice = CapabilitySet.of(Capability.CAP_SYS_NICE)
    assert substitute(Model(admin, nice), admin) == nice
    assert substitute(Model(admin, nice), nice) == nice


def test_a_capability_that_was_refused_and_does_not_help_changes_nothing() -> None:
    def attempt(held: CapabilitySet) -> Attempt:
        return Attempt(Capability.CAP_SYS_ADMIN in held, CapabilitySet.of(Capability.CAP_SYS_NICE))

    admin = CapabilitySet.of(Capability.CAP_SYS_ADMIN)
    assert substitute(attempt, admin) == admin


def test_powers_are_an_order() -> None:
    order = by_power(every())
    assert len({power(number) for number in every()}) == len(every()) == len(order)
    assert order[0] == Capability.CAP_SYS_ADMIN
