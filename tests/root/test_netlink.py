"""``ip`` by netlink, beside ``ip`` itself: two namespaces that are set up alike stay alike."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.linux.capabilities import Capability, CapabilitySet
from privmigrate.privsep import execute, natives, netlink
from privmigrate.privsep.execute import ExecResult, Executable, limited_to
from privmigrate.privsep.natives import find
from privmigrate.privsep.netlink import Request, parse
from privmigrate.privsep.types import Netns
from tools.modules import PROJECT

pytestmark = pytest.mark.root

IP = Executable("ip", dirs=("/sbin", "/usr/sbin", "/bin", "/usr/bin"))
THEIRS, OURS = "pm-netlink-tool", "pm-netlink-native"
# What is another one each time, or changes by itself.
CHANGING = re.compile(
    r'"(address|link_index|valid_life_time|preferred_life_time|tentative|[a-z_]*timer|'
    r'bridge_id|root_id|designated_[a-z]*)": [^,}\]]*,? *|fe80::[0-9a-f:]+'
)


@pytest.fixture(scope="module")
def namespaces() -> Iterator[None]:
    names = (THEIRS, OURS)
    for name in names:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "add", name], check=True)
    yield
    for name in names:
        subprocess.run(["ip", "netns", "del", name], check=True)


def listed(namespace: str) -> list[str]:
    """Links, addresses and routes of a namespace."""
    found = []
    for family in ("-4", "-6"):
        for what in (("addr",), ("route", "show", "table", "all")):
            shown = subprocess.run(
                ["ip", "-n", namespace, family, "-d", "-j", *what], check=True, capture_output=True
            ).stdout
            entries = json.loads(shown or b"[]")
            # local routes of addresses that are still tentative are not there yet
            kept = [each for each in entries if not str(each.get("dst", "")).startswith("fe80:")]
            found.append(CHANGING.sub("", json.dumps(kept, sort_keys=True)))
    return found


def wait_until_alike() -> None:
    """The kernel first looks whether an IPv6 address is free, in each namespace by its clock."""
    deadline = time.monotonic() + 10
    while listed(OURS) != listed(THEIRS) and time.monotonic() < deadline:
        os.sched_yield()


STEPS = (
    "link set lo up",
    "link add br0 type bridge",
    "link add name v0 type veth peer name v1",
    "link set v0 up",
    "link set dev v1 up",
    "address add 10.1.0.1/24 dev v0",
    "addr add 127.5.0.1/8 dev v0",
    "addr add fd00::1/64 dev v0",
    "addr add 10.9.9.9 dev v0",
    "route add 10.2.0.0/16 via 10.1.0.2",
    "route add default via 10.1.0.2 dev v0",
    "route add 10.3.0.0/16 dev v0",
    "route replace 10.3.0.0/16 via 10.1.0.3",
    "route add fd01::/64 via fd00::2",
    "route add default via fd00::2",
    "route add fd02::/64 dev v0",
    "route replace default via 10.1.0.9",
    "route add 10.4.0.1 dev v0",
    "route del 10.2.0.0/16 via 10.1.0.2",
    "route delete default via 10.1.0.9",
    "route del fd01::/64 via fd00::2",
    "route del 10.4.0.1 dev v0",
    "addr del 10.1.0.1/24 dev v0",
    "addr del fd00::1/64 dev v0",
    "link set v0 mtu 1400",
    "link set v0 address 02:00:00:00:00:01",
    "link set v0 down",
    "link set v0 name v9",
    "link delete v9",
)


def test_every_step_leaves_the_same(namespaces: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for step in STEPS:
        words = step.split()
        asked = subprocess.run(["ip", "-n", THEIRS, *words], check=False, capture_output=True)
        assert asked.returncode == 0, (step, asked.stderr)
        with monkeypatch.context() as patch:
            patch.setattr(natives, "run", None)
            with limited_to(CapabilitySet.of(Capability.CAP_NET_ADMIN)):
                assert natives.do(IP, *words, under=Netns(OURS)) == (0, b"", b""), step
        wait_until_alike()
        assert listed(OURS) == listed(THEIRS), step
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    "step",
    ["link set nosuch0 up", "addr add 10.0.0.1/8 dev nosuch0", "route del 10.77.0.0/16 dev lo"],
)
def test_errors_are_the_tools(step: str, namespaces: None) -> None:
    words = step.split()
    asked = subprocess.run(
        ["ip", "netns", "exec", OURS, "ip", *words], check=False, capture_output=True
    )
    expected = ExecResult(asked.returncode, asked.stdout, asked.stderr)
    assert expected.exit_code != 0
    assert natives.do(IP, *words, under=Netns(OURS)) == expected


def test_it_is_limited_too(namespaces: None) -> None:
    """Where the native may not do it, nor may the tool that is asked then."""
    with limited_to(CapabilitySet()):
        result = natives.do(IP, "link", "set", "lo", "mtu", "1300")
    assert result.exit_code == 2
    assert b"Operation not permitted" in result.stderr


def test_where_pyroute2_is_missing_the_tool_is_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    ip = find("ip")
    assert ip is not None
    assert ip.recognise(("ip", "link", "set", "lo", "up")) is not None
    monkeypatch.setattr(netlink, "IPRoute", None)
    assert ip.recognise(("ip", "link", "set", "lo", "up")) is None
    executed: list[object] = []

    def note(argv: tuple[str, ...], *_rest: object) -> ExecResult:
        executed.append(argv)
        return ExecResult(0, b"", b"")

    monkeypatch.setattr(execute, "_execute", note)
    natives.do(IP, "link", "set", "lo", "up")
    assert executed == [(IP.resolve(), "link", "set", "lo", "up")]


def test_nobody_gets_it_who_does_not_ask() -> None:
    source = (
        "import sys\n"
        "from privmigrate.privsep.natives import find\n"
        "print(find('ip').recognise(('ip', 'link', 'set', 'lo', 'up')), 'pyroute2' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], check=True, capture_output=True, text=True, cwd=PROJECT
    )
    assert done.stdout == "None False\n"


@pytest.mark.parametrize(
    "words",
    [
        "link set mtu 1400",
        "link set mtu up",
        "link set dev",
        "link set dev up",
        "link set eth0 mtu",
        "link set eth0 mtu -1",
        "link set eth0 mtu 4294967296",
        f"link set eth0 mtu {'9' * 5000}",
        "link set eth0 mtu 9 up",
        "link set eth0 up up",
        "link set eth0 address 02:00",
        "link set eth0 netns x",
        "link set abcdefghijklmno16 up",
        "link set a/b0 up",
        "link set -x0 up",
        "link add eth0 type vxlan id 1",
        "link add link eth0 type bridge",
        "link del group 1",
        "link show",
        "link",
        "addr add 10.0.0.1/33 dev eth0",
        "addr add 10.0.0.256/8 dev eth0",
        "addr add 10.0.0.1/8",
        "addr add 10.0.0.1/8 dev eth0 label x",
        "addr flush dev eth0",
        "route add 10.0.0.0/8",
        "route add 10.0.0.0/8 via fd00::1",
        "route add 10.0.0.0/8 via 10.0.0.1/8",
        "route add unreachable 10.0.0.0/8 dev eth0",
        "route add default via 10.0.0.1 table 9",
        "route flush cache",
        "rule add from all",
    ],
)
def test_what_is_left_to_the_tool(words: str) -> None:
    assert parse(tuple(words.split())) is None


def test_what_is_read() -> None:
    assert parse(("link", "set", "dev", "up", "up")) == Request(
        "link", "set", (("state", "up"),), "up"
    )
    assert parse(("r", "del", "default", "dev", "x0")) is not None
