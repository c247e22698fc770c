"""How the daemon gives privilege up: an ordered table of steps, each proved by the kernel.

Facts, from capabilities(7), each read back by tests/root:

* An exec by uid 0 restores the whole bounding set, whatever the effective and permitted sets
  were. An exec by any other uid keeps only the ambient set; a setuid or file-capability program
  adds what it says, up to the bounding set.
* Capabilities, bounding set, securebits and no_new_privs belong to the calling thread, and threads
  made later inherit them. Ids are changed by glibc in all threads.
* Leaving uid 0 clears permitted (unless keepcaps), effective and ambient set.
* Dropping from the bounding set and setting securebits needs CAP_SETPCAP; python-prctl does not
  see capabilities that are newer than the headers it was built with.

What does not work: capset alone (oslo.privsep: commands of a root daemon regain everything, and
those of another uid get nothing). NO_SETUID_FIXUP: then tools that drop privilege by setuid (su,
setpriv, dnsmasq) keep all of it. A locked KEEP_CAPS: then tools that use it fail.
NO_CAP_AMBIENT_RAISE: then no thread can give a command fewer capabilities and take them back, and
a command gains nothing by the raise, which never exceeds its own permitted set.

Solution: the table below, run before the first other thread. Every step ends in a state that the
proof reads from the kernel after the last step; one difference, and the daemon does not serve.

Trade-offs: what it costs to serve with setuid programs or with oslo.privsep's leak is said where
both are described, in `profile.Profile`.
"""

import contextlib
import errno
import functools
import os
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from privmigrate.linux import thread
from privmigrate.linux.capabilities import (
    NONE,
    Capability,
    CapabilitySet,
    every,
    last_cap,
    raise_ambient,
    read_ambient,
    read_sets,
    write_sets,
)
from privmigrate.linux.credentials import Credentials, read_own
from privmigrate.linux.thread import SecureBits
from privmigrate.privsep.daemon.profile import CannotDropError, Plan, Profile, make_plan
from privmigrate.privsep.daemon.record import Record, write_record

_NOROOT: Final = SecureBits.NOROOT | SecureBits.NOROOT_LOCKED
# Of each the docstring above says what it breaks; a starter (SecureBits= of systemd) may set them.
_UNWANTED_BITS: Final = (
    SecureBits.NO_SETUID_FIXUP | SecureBits.KEEP_CAPS | SecureBits.NO_CAP_AMBIENT_RAISE
)


class Step(NamedTuple):
    """One row of the table.

    `act` changes the state; `proof` says what is wrong with the state at the end, or None; `undo`
    tries to go back, where success would be a fault, and says whether it could.
    """

    number: int
    name: str
    reason: str
    applies: Callable[[Plan], bool]
    act: Callable[[Plan], None]
    proof: Callable[[Plan, Credentials], str | None]
    undo: Callable[[Plan], bool] | None = None


def _differs(what: str, found: object, expected: object) -> str | None:
    return None if found == expected else f"{what} is {found}, and should be {expected}"


def _clear_groups(plan: Plan) -> None:
    if plan.start.groups:
        os.setgroups([])


def _has_no_groups(_plan: Plan, now: Credentials) -> str | None:
    return _differs("the list of supplementary groups", now.groups, ())


def _change_group(plan: Plan) -> None:
    os.setresgid(plan.gid, plan.gid, plan.gid)


def _has_group(plan: Plan, now: Credentials) -> str | None:
    return _differs("the gid", str(now.gids), str(plan.gid))


def _retake_group(plan: Plan) -> bool:
    if plan.gid == 0 or Capability.CAP_SETGID in plan.kept:
        return False
    return _works(lambda: os.setresgid(-1, 0, -1))


def _change_user(plan: Plan) -> None:
    thread.set_keepcaps(enable=True)
    os.setresuid(plan.uid, plan.uid, plan.uid)
    thread.set_keepcaps(enable=False)
    held = read_sets()
    write_sets(held.permitted, held.permitted, held.inheritable)


def _has_user(plan: Plan, now: Credentials) -> str | None:
    return _differs("the uid", str(now.uids), str(plan.uid))


def _retake_user(plan: Plan) -> bool:
    if plan.uid == 0 or Capability.CAP_SETUID in plan.kept:
        return False
    return _works(lambda: os.setresuid(-1, 0, -1))


def _drop_bounding(plan: Plan) -> None:
    # INV-4: up to the last capability of the running kernel, whatever any library knows.
    for number in range(last_cap() + 1):
        if number in plan.start.bounding and number not in plan.kept:
            thread.drop_from_bounding(number)


def _is_bounded(plan: Plan, now: Credentials) -> str | None:
    return _differs("the bounding set", now.bounding, plan.kept & plan.start.bounding)


def _pass_on(plan: Plan) -> None:
    held = read_sets()
    write_sets(held.effective, held.permitted, plan.kept)
    raise_ambient(plan.kept - read_ambient(plan.kept))


def _passes_on(plan: Plan, now: Credentials) -> str | None:
    wrong = _differs("the inheritable set", now.inheritable, plan.kept)
    return wrong or _differs("the ambient set", now.ambient, plan.kept)


def _set_noroot(plan: Plan) -> None:
    bits = (plan.start.securebits or SecureBits(0)) & ~_UNWANTED_BITS | _NOROOT
    if bits != thread.read_securebits():
        thread.set_securebits(bits)


def _is_noroot(_plan: Plan, now: Credentials) -> str | None:
    bits = (now.securebits or SecureBits(0)) & (_NOROOT | _UNWANTED_BITS)
    return _differs("the mask of securebits", str(bits), str(_NOROOT))


def _clear_securebits(_plan: Plan) -> bool:
    return _works(lambda: thread.set_securebits(SecureBits(0)))


def _set_no_new_privs(_plan: Plan) -> None:
    thread.set_no_new_privs()


def _is_no_new_privs(_plan: Plan, now: Credentials) -> str | None:
    return _differs("no_new_privs", now.no_new_privs, expected=True)


def _limit(plan: Plan) -> None:
    write_sets(plan.kept, plan.kept, plan.kept if plan.bind else NONE)


def _is_limited(plan: Plan, now: Credentials) -> str | None:
    wrong = _differs("the permitted set", now.permitted, plan.kept)
    wrong = wrong or _differs("the effective set", now.effective, plan.kept)
    if plan.bind:
        return wrong
    wrong = wrong or _differs("the inheritable set", now.inheritable, NONE)
    return wrong or _differs("the ambient set", now.ambient, NONE)


def _regain(plan: Plan) -> bool:
    others = every() - plan.kept
    return any(
        _works(functools.partial(write_sets, plan.kept, plan.kept | one, NONE))
        for one in (CapabilitySet.of(number) for number in others)
    )


def _hide_memory(_plan: Plan) -> None:
    thread.set_dumpable(enable=False)


def _is_hidden(_plan: Plan, now: Credentials) -> str | None:
    return _differs("dumpable", now.dumpable, expected=False)


def _die_with_starter(plan: Plan) -> None:
    thread.set_death_signal(plan.death_signal)


def _dies_with_starter(plan: Plan, _now: Credentials) -> str | None:
    return _differs("the death signal", thread.read_death_signal(), plan.death_signal)


def _works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _always(_plan: Plan) -> bool:
    return True


def _is_privileged(plan: Plan) -> bool:
    return not plan.unprivileged


# INV-1: nothing below the daemon ever holds more than its context.
# The order matters, and is the reason that each row gives.
STEPS: Final = (
    Step(
        1,
        "groups",
        "first, while CAP_SETGID is held; root's groups (disk, shadow) are privileges of their own",
        _is_privileged,
        _clear_groups,
        _has_no_groups,
    ),
    Step(
        2,
        "group",
        "before the user, for the same reason",
        _always,
        _change_group,
        _has_group,
        _retake_group,
    ),
    Step(
        3,
        "user",
        "under keepcaps, since leaving uid 0 clears what later steps need; then effective again",
        _always,
        _change_user,
        _has_user,
        _retake_user,
    ),
    Step(
        4,
        "bounding set",
        "no exec below the daemon can go beyond it, whatever its uid; needs CAP_SETPCAP, so early",
        lambda plan: plan.bind and not plan.unprivileged,
        _drop_bounding,
        _is_bounded,
    ),
    Step(
        5,
        "inheritable and ambient set",
        "commands hold what the context asks for: under NOROOT this is the only way they get it",
        lambda plan: plan.bind,
        _pass_on,
        _passes_on,
    ),
    Step(
        6,
        "securebits",
        "uid 0 is an ordinary uid at exec, so that the ambient set decides; needs CAP_SETPCAP",
        lambda plan: plan.noroot and not plan.unprivileged,
        _set_noroot,
        _is_noroot,
        _clear_securebits,
    ),
    Step(
        7,
        "no_new_privs",
        "setuid and file-capability programs add nothing; under NOROOT a setuid one would lose all",
        lambda plan: plan.no_new_privs,
        _set_no_new_privs,
        _is_no_new_privs,
    ),
    Step(
        8,
        "permitted and effective set",
        "in one call, and last of the sets: the earlier steps used what is given up here",
        _always,
        _limit,
        _is_limited,
        _regain,
    ),
    Step(
        9,
        "dumpable",
        "nobody of the same uid may trace the daemon or read its memory; a uid change sets it anew",
        _always,
        _hide_memory,
        _is_hidden,
    ),
    Step(
        10,
        "death signal",
        "after the uid change, which clears it",
        lambda plan: plan.death_signal != 0,
        _die_with_starter,
        _dies_with_starter,
    ),
)


class Dropped(NamedTuple):
    """The state that was proved, and what the log should say about it."""

    credentials: Credentials
    remarks: tuple[str, ...]


def drop(profile: Profile, steps: tuple[Step, ...] = STEPS) -> Dropped:
    """Become what the profile says, for ever; raise CannotDropError unless the kernel confirms it.

    For the only thread of a process, before anything was received. After an error the process is
    in an undefined state between the two and must end.
    """
    plan = make_plan(profile, read_own())
    rows = tuple(step for step in steps if step.applies(plan))
    for step in rows:
        try:
            step.act(plan)
        except OSError as error:
            raise CannotDropError(step.number, step.name, _explain(error, plan)) from error
    # INV-2: no step is believed to have worked.
    now = read_own()
    # first what is, then whether it can be undone: an attempt may change what is
    for step in rows:
        if (why := step.proof(plan, now)) is not None:
            raise CannotDropError(step.number, step.name, why)
    for step in rows:
        if step.undo is not None and step.undo(plan):
            raise CannotDropError(step.number, step.name, "it can be undone")
    with contextlib.suppress(OSError):  # nothing depends on it
        write_record(Record(profile.name, now.securebits or SecureBits(0)))
    return Dropped(now, tuple(_remarks(profile, plan)))


def _explain(error: OSError, plan: Plan) -> str:
    why = error.strerror or str(error)
    if error.errno == errno.EPERM:
        needed = CapabilitySet.of(
            Capability.CAP_SETUID, Capability.CAP_SETGID, Capability.CAP_SETPCAP
        )
        if absent := needed - plan.start.permitted:
            why += f" (the process was started without {' '.join(absent.names)})"
    return why


def _remarks(profile: Profile, plan: Plan) -> Iterator[str]:
    if profile.leak and plan.uid == 0:
        yield "leak: every command of this daemon regains all capabilities, as with oslo.privsep"
    elif profile.leak:
        yield "leak: commands of this daemon hold no capabilities, as with oslo.privsep"
    if profile.allow_setuid_binaries and plan.bind:
        yield (
            "allow_setuid_binaries: setuid and file-capability programs may gain up to"
            f" {plan.kept}, except in commands that are limited to fewer"
        )
    if plan.unprivileged and plan.start.groups:
        yield "started without privilege: the supplementary groups are those of the starter"
