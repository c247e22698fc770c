"""Credentials as /proc shows them."""

import os
import subprocess
import sys

import pytest

from privmigrate.errors import InputError
from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.linux.credentials import (
    Ids,
    identity_of,
    parse_status,
    read,
    read_own,
    read_threads,
)
from privmigrate.linux.thread import SecureBits

STATUS = """\
Name:\tUid:\\n evil
State:\tS (sleeping)
Tgid:\t7
Uid:\t1000\t0\t0\t0
Gid:\t5\t5\t5\t5
Groups:\t4 27
Threads:\t3
CapInh:\t0000000000000000
CapPrm:\t000001ffffffffff
CapEff:\t0000000000200000
CapBnd:\t8000000000000000
CapAmb:\t0000000000000000
NoNewPrivs:\t1
Seccomp:\t2
"""


def test_a_status_is_read() -> None:
    found = parse_status(STATUS, 7)
    assert found.name == "Uid:\\n evil"
    assert found.uids == Ids(1000, 0, 0, 0)
    assert str(found.uids) == "real 1000 effective 0 saved 0 filesystem 0"
    assert str(found.gids) == "5"
    assert found.groups == (4, 27)
    assert found.effective == CapabilitySet.of(21)
    assert found.bounding == CapabilitySet.of(63)
    assert found.no_new_privs
    assert (found.threads, found.seccomp) == (3, 2)
    assert found.securebits is None


def test_a_status_without_a_line_is_refused() -> None:
    with pytest.raises(ValueError, match="no CapAmb in the status of 7"):
        parse_status(STATUS.replace("CapAmb", "CapBmA"), 7)


def test_our_own_credentials() -> None:
    own = read_own()
    assert own.uids.real == os.getuid()
    assert own.securebits == SecureBits(0)
    assert own.dumpable is True
    assert read_threads(os.getpid())[0].permitted == own.permitted


def test_a_process_that_is_not_there_is_bad_input() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
        with pytest.raises(InputError, match=f"there is no process {child.pid}"):
            read(child.pid)


def test_users_by_name_and_number() -> None:
    assert identity_of("root").uid == 0
    assert identity_of("0") == identity_of("root")
    for nobody in ("no-such-user", "4294967290", "9" * 30):
        with pytest.raises(InputError, match="there is no user"):
            identity_of(nobody)


def test_securebits_by_name() -> None:
    assert str(SecureBits(0)) == "none"
    assert str(SecureBits(0x3)) == "NOROOT NOROOT_LOCKED"
    assert SecureBits(1 << 20 | 1).names == ("NOROOT", "0x100000")


@pytest.mark.root
def test_dumpable_of_another_process_follows_from_its_files() -> None:
    for change, dumpable in ((1, True), (0, False)):
        script = (
            "import os, prctl; os.setresuid(2000, 2000, 2000);"
            f"prctl.set_dumpable({change}); print('ready', flush=True); input()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            assert read(child.pid).dumpable is dumpable
            child.communicate(b"\n")
    assert read(os.getpid()).dumpable is None
