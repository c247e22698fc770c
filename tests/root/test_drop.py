"""The privilege drop, step by step: each is necessary, and its absence is noticed."""

import os
import signal
import threading
from types import SimpleNamespace

import pytest

from privmigrate.linux import thread
from privmigrate.linux.capabilities import Capability, CapabilitySet, every, read_sets, write_sets
from privmigrate.linux.credentials import read_own
from privmigrate.linux.thread import SecureBits
from privmigrate.privsep.daemon.drop import STEPS, Step
from privmigrate.privsep.daemon.profile import CannotDropError, Profile, make_plan
from tests.root.real import in_daemon

pytestmark = pytest.mark.root

KEPT = CapabilitySet.of(Capability.CAP_SYS_ADMIN, Capability.CAP_NET_ADMIN)
USER = Profile(KEPT, uid=2000, gid=2000, death_signal=signal.SIGTERM)
ROOT = Profile(KEPT, death_signal=signal.SIGTERM)


def nothing() -> None:
    return


def with_groups() -> None:
    os.setgroups([4, 6])


def without(number: int) -> tuple[Step, ...]:
    return tuple(
        step._replace(act=lambda _plan: None) if step.number == number else step for step in STEPS
    )


def test_steps_are_numbered_in_their_order() -> None:
    assert [step.number for step in STEPS] == list(range(1, len(STEPS) + 1))


# INV-2
@pytest.mark.parametrize("number", [step.number for step in STEPS])
def test_a_step_that_does_nothing_is_noticed(number: int) -> None:
    # leaving uid 0 makes the process undumpable by itself, so that step is tried as root
    profile = ROOT if number == 9 else USER
    report = in_daemon(profile, nothing, steps=without(number), before=with_groups)
    assert report.get("number") == number
    assert report["exit"] == 50 + number


def test_all_steps_together_succeed() -> None:
    for profile in (ROOT, USER):
        assert in_daemon(profile, nothing, before=with_groups) == {"value": None}


# INV-3
def test_a_capability_that_is_not_there_stops_the_start() -> None:
    def lose() -> None:
        held = read_sets().permitted - CapabilitySet.of(Capability.CAP_SYS_ADMIN)
        write_sets(held, held, CapabilitySet())

    report = in_daemon(USER, nothing, before=lose)
    assert report["exit"] == 50
    assert "CAP_SYS_ADMIN, which this process does not hold" in str(report["why"])
    assert "CAP_NET_ADMIN" not in str(report["why"])


def test_a_context_that_asks_for_all_gets_what_there_is() -> None:
    def lose() -> None:
        held = read_sets().permitted - CapabilitySet.of(Capability.CAP_SYS_ADMIN)
        write_sets(held, held, CapabilitySet())

    report = in_daemon(Profile(None), lambda: read_own().permitted.mask, before=lose)
    mask = read_own().permitted.mask & ~(1 << Capability.CAP_SYS_ADMIN)
    assert report == {"value": mask}


def test_without_setpcap_the_message_says_so() -> None:
    def lose() -> None:
        held = read_sets().permitted - CapabilitySet.of(Capability.CAP_SETPCAP)
        write_sets(held, held, CapabilitySet())

    report = in_daemon(USER, nothing, before=lose)
    assert report["number"] == 4
    assert "started without CAP_SETPCAP" in str(report["why"])


def test_a_second_thread_stops_the_start() -> None:
    release = threading.Event()
    other = threading.Thread(target=release.wait)
    other.start()
    try:
        with pytest.raises(CannotDropError, match="threads are running"):
            make_plan(ROOT, read_own())
    finally:
        release.set()
        other.join()


# INV-4
def test_a_build_of_prctl_that_knows_fewer_capabilities_drops_them_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(number: int) -> None:
        raise ValueError(f"Unknown capability: {number}")

    real = thread._python_prctl()
    assert real is not None
    old = SimpleNamespace(
        capbset_drop=refuse, set_securebits=refuse, set_no_new_privs=real.set_no_new_privs
    )
    monkeypatch.setattr(thread, "_python_prctl", lambda: old)
    report = in_daemon(USER, lambda: read_own().bounding.mask)
    assert report == {"value": KEPT.mask}


def test_without_prctl_the_drop_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread, "_python_prctl", lambda: None)
    report = in_daemon(USER, lambda: [read_own().bounding.mask, int(thread.read_securebits())])
    assert report == {"value": [KEPT.mask, 3]}


def test_a_capability_that_stays_in_the_bounding_set_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = thread.drop_from_bounding
    newest = max(every())

    def forgetful(number: int) -> None:
        if number != newest:
            real(number)

    monkeypatch.setattr(thread, "drop_from_bounding", forgetful)
    report = in_daemon(USER, nothing)
    assert report["number"] == 4


def test_unwanted_securebits_of_the_starter_are_cleared() -> None:
    def set_them() -> None:
        thread.set_securebits(SecureBits.NO_SETUID_FIXUP | SecureBits.NO_CAP_AMBIENT_RAISE)

    # the raise of the ambient set comes before the securebits: it cannot be done
    assert in_daemon(USER, nothing, before=set_them)["number"] == 5
    report = in_daemon(
        USER,
        lambda: int(thread.read_securebits()),
        before=lambda: thread.set_securebits(SecureBits.NO_SETUID_FIXUP),
    )
    assert report == {"value": 3}


def test_locked_unwanted_securebits_stop_the_start() -> None:
    report = in_daemon(
        USER,
        nothing,
        before=lambda: thread.set_securebits(
            SecureBits.NO_SETUID_FIXUP | SecureBits.NO_SETUID_FIXUP_LOCKED
        ),
    )
    assert report["number"] == 6


def test_a_process_without_privilege_stays_as_it_is() -> None:
    def become_nobody() -> None:
        os.setgroups([100])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)

    report = in_daemon(
        Profile(CapabilitySet()),
        lambda: [read_own().no_new_privs, list(os.getgroups())],
        before=become_nobody,
    )
    assert report == {"value": [True, [100]]}
    report = in_daemon(Profile(CapabilitySet(), uid=2000), nothing, before=become_nobody)
    assert report["number"] == 3
