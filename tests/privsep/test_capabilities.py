"""The capabilities under oslo.privsep's names mean what oslo.privsep's mean."""

import inspect
import threading
from collections.abc import Callable

import pytest
from oslo_privsep import capabilities as theirs

from privmigrate.linux.capabilities import Capability
from privmigrate.privsep import capabilities as ours


def in_thread(call: Callable[[], object]) -> object:
    """Capabilities belong to the thread: what is given up goes with it."""
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


def test_every_name_of_oslo_privsep_is_there_with_its_value() -> None:
    names = [name for name in dir(theirs) if name.startswith("CAP_")]
    assert names
    for name in names:
        assert getattr(ours, name) == getattr(theirs, name)
        assert isinstance(getattr(ours, name), int)
    assert {c.name: int(c) for c in ours.Capabilities} == {
        c.name: int(c) for c in theirs.Capabilities
    }
    assert ours.CAPS_BYNAME == theirs.CAPS_BYNAME
    assert ours.CAPS_BYVALUE == theirs.CAPS_BYVALUE


@pytest.mark.parametrize("name", ["set_keepcaps", "drop_all_caps_except", "get_caps"])
def test_functions_have_the_same_parameters(name: str) -> None:
    mine, other = inspect.signature(getattr(ours, name)), inspect.signature(getattr(theirs, name))
    assert list(mine.parameters) == list(other.parameters)


def test_what_is_held_is_the_same() -> None:
    assert ours.get_caps() == theirs.get_caps()


@pytest.mark.root
def test_a_drop_is_seen_by_both() -> None:
    def drop() -> object:
        ours.drop_all_caps_except([Capability.CAP_KILL], [0, 5], [])
        return ours.get_caps(), theirs.get_caps()

    expected: tuple[list[int], ...] = ([5], [0, 5], [])
    assert in_thread(drop) == (expected, expected)


@pytest.mark.root
def test_what_is_not_held_cannot_be_taken() -> None:
    def drop() -> object:
        ours.drop_all_caps_except([], [], [])
        with pytest.raises(PermissionError):
            ours.drop_all_caps_except([0], [0], [])
        return True

    assert in_thread(drop)


def test_keepcaps_is_set_and_cleared() -> None:
    prctl = pytest.importorskip("prctl")

    def toggle() -> object:
        ours.set_keepcaps(True)
        first = prctl.get_keepcaps()
        ours.set_keepcaps(False)
        return [bool(first), bool(prctl.get_keepcaps())]

    assert in_thread(toggle) == [True, False]
