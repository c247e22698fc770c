"""os-brick, nova and neutron do the same on our runtime as on oslo.privsep, through real sudo.

Every step of a scenario is done under each arrangement, in a folder of its own, and what the
service sees, values and exceptions alike, is compared with what oslo.privsep gave it.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.services.conftest import Service

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

MODULES: Final = {
    "IP.": "neutron.privileged.agent.linux.ip_lib.",
    "UTILS.": "neutron.privileged.agent.linux.utils.",
}
# {f}: a folder that only root can enter; {n}: a name that no other arrangement uses
BRICK: Final = (
    "os_brick.privileged.rootwrap.execute_root('id', '-u')",
    "os_brick.privileged.rootwrap.execute_root('cat', '{f}/secret')",
    "os_brick.privileged.rootwrap.execute_root('sh', '-c', 'echo out; echo err >&2; exit 3')",
    "os_brick.privileged.rootwrap.execute_root('false', check_exit_code=[0, 1])",
    "os_brick.privileged.rootwrap.execute_root('cat', process_input='to stdin')",
    "os_brick.privileged.rootwrap.execute_root('no-such-program-{n}')",
    "os_brick.privileged.rootwrap.execute_root('sleep', '9', timeout=0.2, raise_timeout=False)[0]",
    "os_brick.privileged.rootwrap.link_root('secret', '{f}/link')",
    "os_brick.privileged.rootwrap.execute_root('readlink', '{f}/link')",
    "os_brick.privileged.rootwrap.unlink_root('{f}/link')",
    "os_brick.privileged.rootwrap.unlink_root('{f}/link')",
    "os_brick.privileged.rootwrap.unlink_root('{f}/link', '{f}/other', raise_at_end=True)",
    "os_brick.privileged.rootwrap.unlink_root('{f}/link', no_errors=True)",
    # a second context with a logger of its own
    "os_brick.privileged.scaleio.get_connector_username_password('{f}/no', 'group', False)",
)
NOVA: Final = (
    "nova.privsep.path.makedirs('{f}/a/b')",
    "nova.privsep.path.writefile('{f}/a/file', 'w', 'text with \\u00e9')",
    "nova.privsep.path.writefile('{f}/a/bytes', 'wb', b'\\x00\\xff')",
    "nova.privsep.path.last_bytes('{f}/a/bytes', 1)",
    "nova.privsep.path.last_bytes('{f}/a/file', 100)",
    "nova.privsep.path.chmod('{f}/a/file', 0o600)",
    "nova.privsep.path.chown('{f}/a', 65534, 65534, recursive=True)",
    "nova.privsep.path.utime('{f}/a/file')",
    "nova.privsep.path.move_tree('{f}/a/b', '{f}/a/c')",
    "nova.privsep.path.rmdir('{f}/a/c')",
    # an exception with a constructor of its own
    "nova.privsep.path.rmdir('{f}/a/c')",
    "nova.privsep.path.writefile('{f}/missing/file', 'w', '')",
    # a TypeError of the daemon's
    "nova.privsep.path.rmdir()",
    "nova.privsep.fs.mount('tmpfs', 'none', '{f}/a', ['-o', 'size=1m'])",
    "nova.privsep.path.writefile('{f}/a/on-tmpfs', 'w', 'x')",
    "nova.privsep.fs.umount('{f}/a')",
    "nova.privsep.fs.umount('{f}/a')",
)
NEUTRON: Final = (
    "IP.create_netns('{n}')",
    "'{n}' in IP.list_netns()",
    "IP.create_interface('pm0', '{n}', 'veth', peer={'ifname': 'pm1'})",
    "IP.create_interface('pm0', '{n}', 'veth', peer={'ifname': 'pm1'})",
    "sorted(IP.get_device_names('{n}'))",
    "IP.set_link_attribute('pm0', '{n}', state='up')",
    "IP.set_link_attribute('pm1', '{n}', state='up', mtu=1300)",
    "IP.add_ip_address(4, '192.0.2.1', 24, 'pm0', '{n}', 'global')",
    "IP.add_ip_address(4, '192.0.2.1', 24, 'pm0', '{n}', 'global')",
    "[dict(a['attrs'])['IFA_ADDRESS'] for a in IP.get_ip_addresses('{n}', family=2)]",
    "IP.get_link_attributes('pm1', '{n}')['mtu']",
    "IP.get_link_attributes('missing', '{n}')",
    "IP.interface_exists('missing', '{n}')",
    "IP.get_link_attributes('pm1', 'no-such-{n}')",
    "IP.delete_interface('pm0', '{n}')",
    "IP.remove_netns('{n}')",
    "IP.remove_netns('{n}')",
    "UTILS.read_file('{f}/secret')",
    "UTILS.path_exists('{f}/secret')",
    "UTILS.execute_process(['id', '-u'], None, None)",
    "UTILS.execute_process(['cat'], b'input', {'A': 'b'})",
)
SCENARIOS: Final = {"os-brick": BRICK, "nova": NOVA, "neutron": NEUTRON}


def play(service: Service, scenario: str) -> list[dict[str, Any]]:
    """Do the steps; what differs by folder, namespace and process is made equal."""
    folder = service.folder / scenario
    folder.mkdir(mode=0o700)
    (folder / "secret").write_text("only root can read this\n")
    (folder / "secret").chmod(0o600)
    name = f"pm-{os.getpid()}-{service.arrangement}"
    answers = []
    for step in SCENARIOS[scenario]:
        expression = step.replace("{f}", str(folder)).replace("{n}", name)
        for word, module in MODULES.items():
            expression = expression.replace(word, module)
        answer = service.ask(expression)
        text = json.dumps(answer).replace(str(folder), "FOLDER").replace(name, "NAME")
        answers.append(json.loads(re.sub(r"0x[0-9a-f]{6,}", "ADDRESS", text)))
    return answers


Seen = dict[str, dict[str, list[dict[str, Any]]]]


@pytest.fixture(scope="session")
def seen(services: dict[str, Service]) -> Seen:
    """What the services see under each arrangement, which play at the same time."""

    def play_all(service: Service) -> dict[str, list[dict[str, Any]]]:
        return {name: play(service, name) for name in SCENARIOS}

    with ThreadPoolExecutor(len(services)) as pool:
        played = pool.map(play_all, services.values())
        return dict(zip(services, played, strict=True))


@pytest.fixture(scope="session", autouse=True)
def no_namespace_left() -> Iterator[None]:
    yield
    for path in Path("/run/netns").glob(f"pm-{os.getpid()}-*"):
        subprocess.run(["ip", "netns", "delete", path.name], check=False)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("arrangement", ["ours", "mixed"])
def test_a_service_sees_what_it_saw(seen: Seen, arrangement: str, scenario: str) -> None:
    triples = zip(
        SCENARIOS[scenario], seen["oslo"][scenario], seen[arrangement][scenario], strict=True
    )
    different = [
        f"{step}\n  oslo: {theirs}\n  {arrangement}: {mine}"
        for step, theirs, mine in triples
        if theirs != as_with_oslo(mine, theirs)
    ]
    assert not different, "\n".join(different)


def as_with_oslo(mine: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Drop the one thing that we keep and oslo.privsep loses: the file name of an OSError."""
    name = mine.get("filename")
    if name is None or theirs.get("filename", "") is not None:
        return mine
    return {**mine, "filename": None, "text": mine["text"].removesuffix(f": {name!r}")}


def test_the_control_did_real_work(seen: Seen) -> None:
    expected = seen["oslo"]
    assert expected["os-brick"][0] == {"value": ["0\n", ""]}
    assert expected["os-brick"][1] == {"value": ["only root can read this\n", ""]}
    assert expected["nova"][3] == {"value": ["b'\\xff'", 1]}
    assert expected["nova"][13] == {"value": ["", ""]}
    assert expected["neutron"][4] == {"value": ["lo", "pm0", "pm1"]}
    assert expected["neutron"][9] == {"value": ["192.0.2.1"]}
    every = [answer for answers in expected.values() for answer in answers]
    errors = [answer["error"] for answer in every if "error" in answer]
    assert len(errors) >= 10
    assert "nova.exception.FileNotFound" in errors
    assert "oslo_concurrency.processutils.ProcessExecutionError" in errors


def test_the_redirected_service_has_nothing_of_oslo_privsep(services: dict[str, Service]) -> None:
    answer = services["ours"].ask("sys.modules['oslo_privsep'].__name__")
    assert answer == {"value": "privmigrate.privsep"}
    answer = services["mixed"].ask("sys.modules['oslo_privsep'].__name__")
    assert answer == {"value": "oslo_privsep"}


@pytest.mark.parametrize("arrangement", ["ours", "mixed"])
def test_commands_of_our_daemon_hold_no_more_than_their_context(
    services: dict[str, Service], arrangement: str
) -> None:
    words = ("grep", "-E", "Cap(Prm|Eff|Bnd)", "/proc/self/status")
    ask = f"os_brick.privileged.rootwrap.execute_root(*{words})"
    context = "0000000000200004"  # CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH
    held = services[arrangement].ask(ask)["value"][0].split()[1::2]
    assert held == [context] * 3
    gained = services["oslo"].ask(ask)["value"][0].split()[1::2]
    assert all(int(mask, 16) & ~int(context, 16) for mask in gained)


def test_the_user_could_not_do_this_alone(services: dict[str, Service]) -> None:
    secret = services["oslo"].folder / "os-brick" / "secret"
    answer = services["ours"].ask(f"open({str(secret)!r}).read()")
    assert answer["error"] == "builtins.PermissionError"


def test_what_is_no_entrypoint_stays_refused(services: dict[str, Service]) -> None:
    for arrangement in ("ours", "mixed"):
        answer = services[arrangement].ask(
            "os_brick.privileged.default._wrap("
            "os_brick.privileged.rootwrap.custom_execute, 'id', '-u')"
        )
        assert answer["error"] == "builtins.NameError", answer
        assert "not exported" in answer["text"]


def test_the_python_of_the_tests_is_not_the_services(services: dict[str, Service]) -> None:
    answer = services["ours"].ask("sys.executable")
    assert answer["value"] != sys.executable
