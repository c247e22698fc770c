"""Sets of capabilities: written, read, compared."""

import prctl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privmigrate.linux.capabilities import (
    NONE,
    Capability,
    CapabilitySet,
    every,
    last_cap,
    name_of,
    parse_capability,
    read_sets,
)
from privmigrate.linux.credentials import read_own

sets = st.integers(min_value=0, max_value=(1 << 64) - 1).map(CapabilitySet)


@given(sets)
def test_names_read_back_as_the_same_set(some: CapabilitySet) -> None:
    assert CapabilitySet.parse(" ".join(some.names)) == some
    assert CapabilitySet.parse(",".join(name.lower() for name in some.names)) == some
    assert CapabilitySet.from_numbers(some) == some
    assert len(some) == len(some.names)


@given(sets, sets)
def test_sets_are_sets(one: CapabilitySet, other: CapabilitySet) -> None:
    a, b = set(one), set(other)
    assert set(one | other) == a | b
    assert set(one & other) == a & b
    assert set(one - other) == a - b
    assert (one <= other) == (a <= b)
    assert bool(one) == bool(a)


@pytest.mark.parametrize("word", ["CAP_NET_ADMIN", "cap_net_admin", "net_admin", "12", " 12 "])
def test_ways_to_write_a_capability(word: str) -> None:
    assert parse_capability(word) == Capability.CAP_NET_ADMIN


@pytest.mark.parametrize("word", ["", "CAP_", "NETADMIN", "64", "-1", "1.0", "²", "CAP_12"])
def test_what_is_no_capability(word: str) -> None:
    with pytest.raises(ValueError, match="is no capability"):
        parse_capability(word)


def test_words_for_none_and_all() -> None:
    assert CapabilitySet.parse("none") == CapabilitySet.parse("") == NONE
    assert CapabilitySet.parse("all") == every()
    assert str(NONE) == "none"
    assert str(every()) == "all"
    assert str(every() - CapabilitySet.of(24)) == "all but CAP_SYS_RESOURCE"
    assert str(CapabilitySet.of(12, 0)) == "CAP_CHOWN CAP_NET_ADMIN"


def test_numbers_that_no_kernel_could_have_are_refused() -> None:
    for number in (-1, 64):
        with pytest.raises(ValueError, match="is no capability"):
            CapabilitySet.of(number)


def test_a_capability_newer_than_our_list_keeps_its_number() -> None:
    assert name_of(63) == "63"
    assert CapabilitySet.of(63, 0).names == ("CAP_CHOWN", "63")


def test_the_list_agrees_with_the_headers_of_python_prctl() -> None:
    theirs = {name: getattr(prctl, name) for name in dir(prctl) if name.startswith("CAP_")}
    for flag in ("CAP_EFFECTIVE", "CAP_INHERITABLE", "CAP_PERMITTED", "CAP_LAST_CAP"):
        theirs.pop(flag)
    assert theirs
    assert theirs.items() <= {capability.name: int(capability) for capability in Capability}.items()


def test_the_list_has_a_name_for_all_of_this_kernel() -> None:
    if last_cap() > max(Capability):
        assert name_of(last_cap()) == str(last_cap())
    else:
        assert not any(name_of(number).isdigit() for number in every())


def test_every_capability_is_explained() -> None:
    assert all(capability.meaning for capability in Capability)


def test_capget_and_proc_agree() -> None:
    ours, own = read_sets(), read_own()
    assert (ours.effective, ours.permitted) == (own.effective, own.permitted)
    assert ours.inheritable == own.inheritable
