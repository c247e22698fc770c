"""Natives in real daemons: limited like commands, and every thread as it was afterwards."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from privmigrate.linux.capabilities import Capability, CapabilitySet
from privmigrate.privsep import ProcessExecutionError
from privmigrate.privsep.types import Netns
from tests.privsep.conftest import wait_until
from tests.privsep.service import by_natives, calls
from tests.root.test_runtime import sets, started

pytestmark = pytest.mark.root

ALL = (
    Capability.CAP_CHOWN,
    Capability.CAP_DAC_OVERRIDE,
    Capability.CAP_FOWNER,
    Capability.CAP_FSETID,
    Capability.CAP_NET_ADMIN,
    Capability.CAP_SYS_ADMIN,
)
MASK = CapabilitySet.of(*ALL).mask


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where everybody may go; /tmp may be mounted apart."""
    path = Path(tempfile.mkdtemp(prefix="pm-natives-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def theirs(folder: Path) -> Path:
    """A file of another user."""
    path = folder / "theirs"
    path.write_text("x")
    path.chmod(0o600)
    os.chown(path, 4321, 4321)
    return path


def threads(pid: int) -> set[tuple[int, int, int]]:
    """Permitted, effective and inheritable set of every thread."""
    found = [sets(path.read_text()) for path in Path(f"/proc/{pid}/task").glob("*/status")]
    return {(each["CapPrm"], each["CapEff"], each["CapInh"]) for each in found}


@pytest.mark.parametrize("user", [None, "nobody"])
def test_a_native_has_what_its_entrypoint_has_and_no_more(user: str | None, theirs: Path) -> None:
    # INV-14
    with started(user=user, capabilities=list(ALL)):
        with pytest.raises(ProcessExecutionError) as caught:
            by_natives.chmod_without("0640", str(theirs))
        assert caught.value.exit_code == 1
        assert caught.value.stderr is not None
        assert "Operation not permitted" in caught.value.stderr
        assert by_natives.held() == MASK
        by_natives.chmod("2755", str(theirs))
        assert theirs.stat().st_mode & 0o7777 == 0o755  # without CAP_FSETID, as for the tool
        by_natives.chmod_with_all("2755", str(theirs))
        assert theirs.stat().st_mode & 0o7777 == 0o2755
        assert threads(calls.getpid()) == {(MASK, MASK, MASK)}


def test_reading_is_limited_too(theirs: Path) -> None:
    with started(user="nobody", capabilities=list(ALL)):
        with pytest.raises(ProcessExecutionError, match="Permission denied"):
            by_natives.cat_without(str(theirs))
        assert by_natives.held() == MASK


def test_calls_at_the_same_time_do_not_lend_each_other_capabilities(folder: Path) -> None:
    paths = [folder / str(number) for number in range(200)]
    for path in paths:
        path.touch()
        os.chown(path, 4321, 4321)

    def change(number: int) -> bool:
        try:
            (by_natives.chmod_without, by_natives.chmod)[number % 2]("0640", str(paths[number]))
        except ProcessExecutionError:
            return False
        return True

    with started(capabilities=list(ALL)), ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(change, range(200)))
        assert threads(calls.getpid()) == {(MASK, MASK, MASK)}
    assert outcomes == [False, True] * 100


def test_owners_by_name_and_modes_of_new_files(folder: Path) -> None:
    path = folder / "f"
    with started(capabilities=list(ALL)):
        assert by_natives.tee(str(path), "hello") == ("hello", "")
        by_natives.chown("nobody:daemon", str(path))
    status = path.stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o644, 65534, 1)


def test_a_tree_is_removed_and_not_what_a_link_in_it_leads_to(folder: Path) -> None:
    (folder / "d/e").mkdir(parents=True)
    (folder / "kept").touch()
    (folder / "d/e/l").symlink_to(folder / "kept")
    (folder / "d/m").symlink_to(folder)
    with started(capabilities=list(ALL)):
        by_natives.rm(str(folder / "d"))
    assert [path.name for path in folder.iterdir()] == ["kept"]


def test_a_namespace_is_made_entered_and_taken_away() -> None:
    """The first is made by the tool, which prepares the folder; settings are the namespace's."""
    names = ("pm-first", "pm-second")
    try:
        with started(capabilities=list(ALL)):
            before = by_natives.sysctl("net.ipv4.ip_forward").stdout
            for name in names:
                by_natives.netns("add", name)
                under = Netns(name)
                written = by_natives.sysctl("net.ipv4.ip_forward=1", under=under)
                assert written == ("net.ipv4.ip_forward = 1\n", "")
                read = by_natives.sysctl("net.ipv4.ip_forward", under=under)
                assert read.stdout == "net.ipv4.ip_forward = 1\n"
            assert by_natives.sysctl("net.ipv4.ip_forward").stdout == before
            # threads that were limited for one call may only just be ending
            wait_until(lambda: threads(calls.getpid()) == {(MASK, MASK, MASK)})
            for name in names:
                by_natives.netns("del", name)
                assert not Path("/run/netns", name).exists()
            with pytest.raises(ProcessExecutionError) as caught:
                by_natives.sysctl("net.ipv4.ip_forward", under=Netns("pm-first"))
            assert caught.value.exit_code == 255
            assert caught.value.stderr is not None
            assert "No such file or directory" in caught.value.stderr
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def test_interfaces_with_a_dot_in_their_names() -> None:
    made = ["ip", "netns", "add", "pm-dotted"]
    link = ["ip", "-n", "pm-dotted", "link", "add", "eth0.100", "type"]
    subprocess.run(made, check=True)
    try:
        kinds = (["bridge"], ["veth", "peer", "name", "other"], ["ifb"], ["dummy"])
        done = [subprocess.run([*link, *kind], check=False, capture_output=True) for kind in kinds]
        if all(each.returncode for each in done):
            pytest.skip("this kernel makes no interface")
        with started(capabilities=list(ALL)):
            for key in (
                "net.ipv4.conf.eth0/100.forwarding",
                "net/ipv4/conf/eth0.100/forwarding",
            ):
                for value in "01":
                    by_natives.sysctl(f"{key}={value}", under=Netns("pm-dotted"))
                    read = by_natives.sysctl(key, under=Netns("pm-dotted")).stdout
                    assert read == f"net.ipv4.conf.eth0/100.forwarding = {value}\n"
            with pytest.raises(ProcessExecutionError, match="eth0/100/forwarding"):
                by_natives.sysctl("net.ipv4.conf.eth0.100.forwarding", under=Netns("pm-dotted"))
    finally:
        subprocess.run(["ip", "netns", "del", "pm-dotted"], check=False)
