"""Values that are words of some tool's own language: none says more than the call lets it say."""

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from privmigrate.callsites.site import Site
from privmigrate.convert.operation import Kind, Op
from privmigrate.errors import Refused
from privmigrate.testing import recording
from tests.convert.packages import command_of, imported
from tests.convert.sites import (
    Given,
    call,
    converted,
    each,
    site,
    template,
    value,
    when,
    word,
)

RULES = """
sysctl: CommandFilter, sysctl, root
ip: CommandFilter, ip, root
dd: CommandFilter, dd, root
mount: CommandFilter, mount, root
zfs: CommandFilter, zfs, root
ofctl: CommandFilter, ovs-ofctl, root
"""
FREE = value("free")
OUT = "//.//.//.kernel.core_pattern=|/tmp/x "


def accepted(folder: Path, words: Sequence[Given], values: Sequence[str]) -> list[str]:
    """Which of these values the call's entrypoint takes."""
    conversion = converted(RULES, call(*words), package="words")
    (op,) = conversion.ops
    taken = []
    with imported(conversion, "words", folder):
        command = command_of("words", op)
        for each_value in values:
            try:
                command.plan(**_arguments(op, each_value))
            except Refused:
                continue
            taken.append(each_value)
    return taken


def _arguments(op: Op, given: str) -> dict[str, object]:
    kinds = {param.name: param.kind for param in op.params}
    return {
        name: [given] if kind is Kind.ITEMS else kind is Kind.FLAG or given
        for name, kind in kinds.items()
    }


WORDS: dict[str, tuple[tuple[Given, ...], tuple[str, ...], tuple[str, ...]]] = {
    "a name that is written": (
        ("sysctl", "-w", word("net.ipv4.conf.", FREE, ".proxy_arp=1")),
        ("eth0", "eth0/100", "br-ex", "all"),
        (OUT, "//", "a//b", "/", "a/", "all.forwarding=0 ", "a\n", "", "*", "a/{,/}", "a b"),
    ),
    "a name that is read": (
        ("sysctl", "-b", word("net.ipv6.conf.", FREE, ".forwarding")),
        ("eth0", "eth0/100"),
        (OUT, "all.forwarding=1", "a=b"),
    ),
    "a name of several values": (
        ("sysctl", "-w", word("net.ipv6.conf.", FREE, ".accept_ra=", value("set"))),
        ("eth0.accept_ra=1", "eth0/100.accept_ra=x=y"),
        ("//.//.x.accept_ra=1", "a=b.accept_ra=1", "eth0.accept_ra=1\n"),
    ),
    "a whole name that is read": (
        ("sysctl", "-n", FREE),
        ("kernel.ostype", "net/ipv4/ip_forward"),
        ("kernel.core_pattern=|/tmp/x", "-p", "--system"),
    ),
    "a name in a namespace": (
        ("ip", "netns", "exec", "q", "sysctl", "-w", word("net.ipv4.conf.", FREE, ".x=1")),
        ("eth0",),
        (OUT, "a=b"),
    ),
    "a namespace": (
        ("ip", "netns", "exec", FREE, "true"),
        ("qrouter-1", "q_1"),
        ("../../tmp/x", "..", "a/b", ".x", "-a", "", "a b"),
    ),
    "options of ip": (
        ("ip", each("options", word("-", FREE), element="free"), "link", "add", "x"),
        ("o", "4", "6", "d", "oneline", "all"),
        ("b", "batch", "n", "netns", "f", "family", "l", "loops", "rc", "rcvbuf", "-b", "n=x"),
    ),
    "what dd is told": (
        ("dd", "count=0", "if=/a", "of=/dev/null", FREE),
        ("oflag=direct", "conv=notrunc"),
        ("of=/etc/passwd", "if=/etc/shadow", "--help"),
    ),
    "a key": (
        ("zfs", "create", "-o", word(FREE, "=on"), "tank"),
        ("compression",),
        ("exec=on,x", "mountpoint=/etc", "-x"),
    ),
    "one of several options": (
        ("mount", "-o", word("username=", FREE, ",ro"), "/a", "/b"),
        ("user", "a b"),
        ("x,suid", "x\n/dev/sda / ext4 suid 0 0", "\n"),
    ),
    "a key among several options": (
        ("mount", "-o", word("ro,", FREE, "=1"), "/a", "/b"),
        ("x",),
        ("a=2", "a,suid", "a\n"),
    ),
    "a field of a flow": (
        ("ovs-ofctl", "add-flow", "br", word("priority=1,dl_src=", FREE, ",actions=drop")),
        ("00:11:22:33:44:55",),
        ("a,actions=normal", "a actions=normal", "a\tactions=normal"),
    ),
}


@pytest.mark.parametrize(("words", "good", "bad"), WORDS.values(), ids=WORDS)
def test_a_value_stays_in_its_place(
    tmp_path: Path, words: tuple[Given, ...], good: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    assert accepted(tmp_path, words, (*good, *bad)) == list(good)


def test_a_part_that_is_left_out_does_not_hide_where_a_command_begins(tmp_path: Path) -> None:
    """What stands behind an optional word is judged as if it were there, and were not."""
    words = ("ip", "netns", "exec", "q", when("x", "nice"), "sysctl", "-n", FREE)
    assert accepted(tmp_path, words, ("a.b",)) == ["a.b"]


@pytest.mark.parametrize("name", ["net.ipv4.conf.//.//.//.kernel.ostype"])
def test_sysctl_really_leaves_its_folder(name: str) -> None:
    """Why a name is held to less than its call's text: the tool itself turns // into a way out."""
    done = subprocess.run(
        ["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, check=False
    )
    assert done.stdout == "Linux\n"


INSIDE = template("ip", "link", "set", FREE, "up", netns="ns")
OUTSIDE = template("ip", "link", "set", FREE, "up")
IN_NAMESPACES = RULES.replace("ip: Command", "ip: Ip") + "netns: IpNetnsExecFilter, ip, root\n"


@pytest.mark.parametrize(
    ("sites", "inside"),
    [
        ((site(INSIDE), site(INSIDE, line=2)), True),
        ((site(INSIDE), site(OUTSIDE, line=2)), False),
        ((replace(site(INSIDE), also_outside=True),), False),
        ((site(INSIDE, template("ip", "addr", netns="ns"), words="cmd"),), True),
        ((site(INSIDE, template("ip", "addr"), words="cmd"),), False),
    ],
    ids=["inside", "and outside", "perhaps outside", "as a list", "as a list, and outside"],
)
def test_what_only_runs_in_namespaces_is_run_nowhere_else(
    tmp_path: Path, sites: tuple[Site, ...], *, inside: bool
) -> None:
    """In the namespace of the host, the same words would be another command."""
    conversion = converted(IN_NAMESPACES, *sites, package="spaces")
    (op,) = conversion.ops
    given = {"words": ["ip", "link", "set", "x", "up"]} if op.templates else {"free": "x"}
    with imported(conversion, "spaces", tmp_path):
        command = command_of("spaces", op)
        with recording() as commands:
            command.answer(**given, under=("q", "Netns"))
            if inside:
                with pytest.raises(Refused):
                    command.answer(**given)
            else:
                command.answer(**given)
    assert len(commands) == 2 - inside
