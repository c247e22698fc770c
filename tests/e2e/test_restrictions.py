"""What daemons and their commands hold, who may start them, and how they end."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.conftest import Driver, Service
from tests.e2e.test_entrypoints import probe

pytestmark = pytest.mark.root

CHOWN: Final = 1 << 0
DAC_OVERRIDE: Final = 1 << 1
NET_RAW: Final = 1 << 13
CONFIG: Final = Path("/etc/sample/privsep.conf")


@pytest.fixture(scope="session", params=["sudo", "fork"])
def own(request: pytest.FixtureRequest, service: Service) -> Iterator[Driver]:
    """The service under our runtime alone."""
    running = service.driver(request.param, "privileged")
    yield running
    running.close()


def daemons(service: Service) -> dict[int, str]:
    """The daemons that this service's helper has become, by pid; each leads a session."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                session = (entry / "stat").read_text().rpartition(")")[2].split()[3]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(service.stage.helper) in line and session == entry.name:
                found[int(entry.name)] = line
    return found


def gone(pid: int, *, within: float = 10) -> bool:
    """Whether a process ends in time."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        end = time.monotonic() + within
        while time.monotonic() < end:
            try:
                signal.pidfd_send_signal(handle, 0)
            except ProcessLookupError:
                return True
            os.sched_yield()
    finally:
        os.close(handle)
    return False


def test_a_command_holds_its_own_capabilities_and_no_more(own: Driver) -> None:
    seen = probe(own, 'probe.probe("x")')["capabilities"]
    assert seen["CapEff"] == seen["CapPrm"] == seen["CapAmb"] == CHOWN | NET_RAW


def test_nothing_below_the_daemon_can_go_beyond_the_context(own: Driver) -> None:
    numbers = own.value("contexts.declared_context.capabilities")
    seen = probe(own, 'probe.probe("x")')
    assert seen["capabilities"]["CapBnd"] == sum(1 << number for number in numbers)
    assert seen["capabilities"]["CapBnd"] & DAC_OVERRIDE == 0
    assert seen["no_new_privs"] == "1"


def test_a_command_that_needs_none_has_none(own: Driver) -> None:
    answer = own.ask('probe.leave("code", 3)')
    assert answer["exit_code"] == 3


def test_only_entrypoints_can_be_called(own: Driver, tmp_path: Path) -> None:
    """The client sends a CALL that names any function that it likes."""
    mark = tmp_path / "mark"
    for function in ("__import__('os').system", "__import__('shutil').rmtree", "eval"):
        answer = own.ask(f"contexts.declared_context._wrap({function}, 'touch {mark}')")
        assert answer["error"] == "NameError", answer
    assert not mark.exists()


def test_calls_of_another_context_are_refused(own: Driver) -> None:
    """volume.mount is an entrypoint of the context for storage, not of the one for files."""
    answer = own.ask('contexts.files_context.call(volume.mount, ("-V",), {})')
    assert answer["error"] == "NameError", answer


def test_the_daemon_is_the_users_of_the_configuration(service: Service) -> None:
    CONFIG.write_text("[privileged_declared]\nuser = nobody\ncapabilities = CAP_NET_RAW\n")
    running = service.driver("sudo", "privileged", "--config-file", str(CONFIG))
    try:
        answer = running.ask("probe.absent()")
        assert answer["exit_code"] == 96
        (pid,) = [p for p, line in daemons(service).items() if str(CONFIG) in line]
        status = Path(f"/proc/{pid}/status").read_text()
        assert "Uid:\t65534\t65534\t65534\t65534" in status
        assert f"CapEff:\t{NET_RAW:016x}" in status
        assert f"CapBnd:\t{NET_RAW:016x}" in status
    finally:
        running.close()
        CONFIG.unlink()
    assert gone(pid)


@pytest.mark.parametrize("where", ["file", "folder"])
def test_a_configuration_that_others_can_write_is_refused(service: Service, where: str) -> None:
    CONFIG.write_text("[privileged_declared]\nuser = root\n")
    changed = CONFIG if where == "file" else CONFIG.parent
    mode = changed.stat().st_mode
    changed.chmod(mode | 0o002)
    running = service.driver("sudo", "privileged", "--config-file", str(CONFIG))
    try:
        answer = running.ask("probe.absent()")
        assert answer["error"] not in {"PrivilegeDenied", "ProcessExecutionError"}, answer
        assert [p for p, line in daemons(service).items() if str(CONFIG) in line] == []
    finally:
        err = running.close()
        changed.chmod(mode)
        CONFIG.unlink()
    assert "could be changed by others than root" in str(answer) + err


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_daemons_end_with_their_service(service: Service, how: signal.Signals) -> None:
    before = set(daemons(service))
    running = service.driver("sudo", "privileged")
    running.ask("probe.absent()")
    running.ask("volume.read_backend_key()")
    started = set(daemons(service)) - before
    assert len(started) == 2
    running.process.send_signal(how)
    running.process.wait()
    running.close()
    assert [pid for pid in started if not gone(pid)] == []


def test_a_daemon_that_was_killed_is_replaced(service: Service) -> None:
    before = set(daemons(service))
    running = service.driver("sudo", "privileged")
    try:
        first = probe(running, 'probe.probe("x")')["parent"]
        (pid,) = set(daemons(service)) - before
        assert first == pid
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)
        assert probe(running, 'probe.probe("x")')["parent"] != pid
    finally:
        running.close()


def test_the_daemon_imports_what_is_listed_and_nothing_else(ours: Driver) -> None:
    """A reviewed list: what is in it runs as root, or costs memory in each of many daemons."""
    ours.ask('process.guest_identity("-u")')
    loaded = set(ours.value("__import__('privileged.loaded').loaded.modules()"))
    golden = Path(__file__).resolve().parents[1] / "golden" / "daemon_modules.txt"
    listed = set(golden.read_text().split())
    assert {"not listed": loaded - listed, "not loaded": listed - loaded} == {
        "not listed": set(),
        "not loaded": set(),
    }
