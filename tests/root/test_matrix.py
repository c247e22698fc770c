"""What a daemon and everything below it hold: read from the kernel, for every configuration.

Each row of the table is a real daemon, which starts a command, a grandchild, a setuid program and
programs with file capabilities. Their sets are compared with what the table says, and with what
`exec_rules`, by which ``privmigrate caps show`` speaks, foretells.
"""

import errno
import os
import threading

import pytest

from privmigrate.linux import thread
from privmigrate.linux.capabilities import NONE, Capability, CapabilitySet
from privmigrate.linux.credentials import Credentials, Identity, parse_status, read_own
from privmigrate.linux.exec_rules import predict
from privmigrate.linux.spawn import Program, spawn
from privmigrate.privsep.daemon.profile import Profile
from tests.root.real import Programs, Report, held_by, in_daemon

pytestmark = pytest.mark.root

SYS_ADMIN = CapabilitySet.of(Capability.CAP_SYS_ADMIN)
NET_ADMIN = CapabilitySet.of(Capability.CAP_NET_ADMIN)
IDENTITY = CapabilitySet.of(Capability.CAP_CHOWN, Capability.CAP_SETUID, Capability.CAP_SETGID)
KEEPS = {"nothing": NONE, "SYS_ADMIN": SYS_ADMIN, "NET_ADMIN": NET_ADMIN, "identity": IDENTITY}
BOTH = SYS_ADMIN | NET_ADMIN
SHELL = ("-c", "cat /proc/self/status; :")


def as_report(found: Credentials | OSError) -> Report:
    if isinstance(found, OSError):
        return {"errno": found.errno}
    return {
        "permitted": found.permitted.mask,
        "effective": found.effective.mask,
        "inheritable": found.inheritable.mask,
        "ambient": found.ambient.mask,
        "bounding": found.bounding.mask,
        "euid": found.uids.effective,
        "groups": list(found.groups),
        "no_new_privs": found.no_new_privs,
    }


def observe(programs: Programs, limit: CapabilitySet | None = None) -> dict[str, Report]:
    """Start one of each, and look at ourselves before and after."""
    before = as_report(read_own())
    found = {
        "command": as_report(held_by(programs.plain, limit=limit)),
        "grandchild": as_report(held_by("/bin/sh", *SHELL, limit=limit)),
        "setuid": as_report(held_by(programs.setuid, limit=limit)),
        "file NET_RAW": as_report(held_by(programs.net_raw, limit=limit)),
        "file SYS_ADMIN": as_report(held_by(programs.sys_admin, limit=limit)),
    }
    assert as_report(read_own()) == before
    return {"daemon": before, **found}


def expected(
    holds: CapabilitySet,
    daemon: Profile,
    *,
    ambient: CapabilitySet | None = None,
    inheritable: CapabilitySet | None = None,
) -> Report:
    kept = daemon.capabilities
    assert kept is not None
    return {
        "permitted": holds.mask,
        "effective": holds.mask,
        "inheritable": (kept if inheritable is None else inheritable).mask,
        "ambient": (holds if ambient is None else ambient).mask,
        "bounding": kept.mask,
        "euid": daemon.uid or 0,
        "groups": [],
        "no_new_privs": True,
    }


# INV-1
@pytest.mark.parametrize("uid", [0, 2000])
@pytest.mark.parametrize("keep", KEEPS)
def test_nothing_below_the_daemon_holds_more(programs: Programs, uid: int, keep: str) -> None:
    kept = KEEPS[keep]
    profile = Profile(kept, uid=uid, gid=uid)

    def body() -> object:
        own = read_own()
        rules = predict(own, thread.read_securebits())
        return {
            "seen": observe(programs),
            "securebits": int(thread.read_securebits()),
            "dumpable": own.dumpable,
            "foretold": [rules.command.mask, rules.setuid_root.mask],
        }

    value = in_daemon(profile, body)["value"]
    assert isinstance(value, dict)
    assert value["securebits"] == thread.SecureBits.NOROOT | thread.SecureBits.NOROOT_LOCKED
    assert value["dumpable"] is False
    full = expected(kept, profile)
    refused = {"errno": errno.EPERM}
    by_file = expected(SYS_ADMIN, profile, ambient=NONE)
    assert value["seen"] == {
        "daemon": full,
        "command": full,
        "grandchild": full,
        # no_new_privs: the bit is ignored, and the program is as any other
        "setuid": full,
        "file NET_RAW": refused,
        "file SYS_ADMIN": by_file if Capability.CAP_SYS_ADMIN in kept else refused,
    }
    assert value["foretold"] == [kept.mask, kept.mask]


# INV-5
@pytest.mark.parametrize("uid", [0, 2000])
@pytest.mark.parametrize("limit", [NONE, NET_ADMIN, SYS_ADMIN, BOTH, BOTH | IDENTITY])
def test_a_command_holds_at_most_its_own_subset(
    programs: Programs, uid: int, limit: CapabilitySet
) -> None:
    profile = Profile(BOTH, uid=uid, gid=uid)
    value = in_daemon(profile, lambda: observe(programs, limit))["value"]
    assert isinstance(value, dict)
    holds = limit & BOTH
    full = expected(holds, profile, inheritable=holds)
    assert value == {
        "daemon": expected(BOTH, profile),
        "command": full,
        "grandchild": full,
        "setuid": full,
        "file NET_RAW": {"errno": errno.EPERM},
        # what the file gives is cut to what the command may hold
        "file SYS_ADMIN": expected(holds & SYS_ADMIN, profile, ambient=NONE, inheritable=holds),
    }


def test_setuid_programs_work_where_they_are_allowed_and_stay_within_the_context(
    programs: Programs,
) -> None:
    profile = Profile(BOTH, uid=2000, gid=2000, allow_setuid_binaries=True)

    def body() -> object:
        rules = predict(read_own(), thread.read_securebits())
        return [observe(programs), observe(programs, NET_ADMIN), rules.setuid_root.mask]

    value = in_daemon(profile, body)["value"]
    assert isinstance(value, list)
    free, limited, foretold = value
    assert free["setuid"]["permitted"] == free["setuid"]["effective"] == BOTH.mask == foretold
    assert free["setuid"]["euid"] == 0
    assert free["command"]["permitted"] == BOTH.mask
    assert free["file NET_RAW"] == {"errno": errno.EPERM}
    # a command with a subset of its own is under no_new_privs all the same
    for name in ("command", "grandchild", "setuid"):
        assert limited[name]["permitted"] == NET_ADMIN.mask
        assert limited[name]["euid"] == 2000
    assert limited["file SYS_ADMIN"]["permitted"] == 0


def test_the_leak_is_what_oslo_privsep_does(programs: Programs) -> None:
    everything = read_own().bounding.mask

    def body() -> object:
        rules = predict(read_own(), thread.read_securebits())
        return [observe(programs), observe(programs, NET_ADMIN), rules.command.mask]

    value = in_daemon(Profile(BOTH, leak=True), body)["value"]
    assert isinstance(value, list)
    leaking, limited, foretold = value
    assert leaking["daemon"]["permitted"] == BOTH.mask
    assert leaking["command"]["permitted"] == everything == foretold
    assert leaking["setuid"]["permitted"] == everything
    # a subset that is asked for holds even here
    for name in ("command", "grandchild", "setuid"):
        assert limited[name]["permitted"] == NET_ADMIN.mask

    value = in_daemon(Profile(BOTH, uid=2000, leak=True), lambda: observe(programs))["value"]
    assert isinstance(value, dict)
    assert value["command"]["permitted"] == 0
    assert value["setuid"]["permitted"] == everything


# INV-5
@pytest.mark.parametrize("uid", [0, 2000])
def test_commands_of_concurrent_threads_get_their_own_sets(programs: Programs, uid: int) -> None:
    limits = (NONE, NET_ADMIN, SYS_ADMIN, BOTH)

    def body() -> object:
        wrong: list[str] = []
        right = []

        def work(limit: CapabilitySet) -> None:
            for _ in range(50):
                found = held_by(programs.plain, limit=limit)
                if isinstance(found, OSError) or found.permitted != limit:
                    wrong.append(repr(found))
                else:
                    right.append(1)
            if read_own().ambient != BOTH or read_own().inheritable != BOTH:
                wrong.append(f"thread of {limit} was not restored")

        threads = [threading.Thread(target=work, args=(limit,)) for limit in limits]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        return [wrong, len(right)]

    report = in_daemon(Profile(BOTH, uid=uid, gid=uid), body)
    assert report == {"value": [[], 200]}


# INV-7
def test_a_command_of_another_user_holds_nothing(programs: Programs) -> None:
    def body() -> object:
        out, inlet = os.pipe()
        program = Program(programs.plain, ("cat", "/proc/self/status"), {}, stdout=inlet)
        with spawn(program, user=Identity(3000, 3001, (3002,))) as process:
            os.close(inlet)
            with os.fdopen(out, "rb") as stream:
                found = parse_status(stream.read().decode(), 0)
            assert process.wait() == 0
        return [
            [str(found.uids), str(found.gids), list(found.groups)],
            [found.permitted.mask, found.ambient.mask, found.inheritable.mask],
            as_report(read_own())["permitted"],
        ]

    kept = IDENTITY | NET_ADMIN
    for uid in (0, 2000):
        value = in_daemon(Profile(kept, uid=uid, gid=uid), body)["value"]
        assert value == [["3000", "3001", [3002]], [0, 0, 0], kept.mask]
