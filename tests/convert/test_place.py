"""Modules follow files, contexts follow what commands work on and need."""

import pytest

from privmigrate.convert.place import Needs, modules_of
from privmigrate.errors import InputError
from privmigrate.linux.capabilities import Capability, CapabilitySet
from privmigrate.privsep.knowledge.declared import parse_declared
from tests.convert.packages import converted


@pytest.mark.parametrize(
    ("labels", "modules"),
    [
        (["volume.filters"], ["volume"]),
        (["os-brick.filters"], ["os_brick"]),
        (["class.filters"], ["class_"]),
        (["2nd.filters"], ["filters_2nd"]),
        (["common.filters"], ["common_filters"]),
        (["network_context.filters"], ["network_context_filters"]),
        (["a-b.filters", "a.b.filters", "a_b.filters"], ["a_b", "a_b_filters", "a_b_2"]),
        (["x/a.filters", "y/a.filters"], ["a", "a_filters"]),
        (["notes"], ["notes"]),
        ([".filters"], ["filters"]),
    ],
)
def test_modules_of_files(labels: list[str], modules: list[str]) -> None:
    assert [modules_of(labels)[label] for label in labels] == modules


def test_what_files_share_goes_into_a_common_module() -> None:
    conversion = converted(
        "ip: CommandFilter, ip, root\na: CommandFilter, a, root",
        "ip: CommandFilter, ip, root\nb: CommandFilter, b, root",
    )
    assert [(op.module, op.name) for op in conversion.ops] == [
        ("common", "ip"), ("a", "a"), ("b", "b")
    ]  # fmt: skip


def placed(definition: str, needs: Needs | None = None) -> tuple[str, tuple[str, ...] | None]:
    (op,) = converted(definition, needs=needs or Needs({})).ops
    return op.context, op.capabilities


@pytest.mark.parametrize(
    ("definition", "context", "capabilities"),
    [
        ("x: CommandFilter, chgrp, root", "files", ("CAP_CHOWN",)),
        ("x: CommandFilter, umount, root", "storage", ("CAP_SYS_ADMIN",)),
        ("x: CommandFilter, arping, root", "network", ("CAP_NET_RAW",)),
        ("x: KillFilter, root, /x, -9", "process", ("CAP_KILL", "CAP_SYS_PTRACE")),
        ("x: ReadFileFilter, /etc/x", "files", ("CAP_DAC_READ_SEARCH",)),
        ("x: CommandFilter, nobody-knows, root", "unverified", None),
        ("x: CommandFilter, nobody-knows, nova", "process", ("CAP_SETGID", "CAP_SETUID")),
        ("x: CommandFilter, umount, nova", "storage", ("CAP_SETGID", "CAP_SETUID")),
    ],
)
def test_contexts(definition: str, context: str, capabilities: tuple[str, ...] | None) -> None:
    assert placed(definition) == (context, capabilities)


def test_words_that_are_known_say_what_is_needed() -> None:
    reading = placed("x: RegExpFilter, blockdev, root, blockdev, --getsize64, /dev/sda")
    flushing = placed("x: RegExpFilter, blockdev, root, blockdev, --flushbufs, /dev/sda")
    assert reading == ("storage", ("CAP_DAC_READ_SEARCH",))
    assert flushing == ("storage", ("CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN"))


@pytest.mark.parametrize(
    ("definition", "context", "capabilities"),
    [
        (r"x: RegExpFilter, ionice, root, ionice, -c[0-3], dd, of=\S+",
         "files", ("CAP_DAC_OVERRIDE", "CAP_SYS_NICE")),
        ("x: RegExpFilter, nice, root, nice, -n, 5, nobody-knows", "unverified", None),
        ("x: CommandFilter, ionice, root", "unverified", None),
    ],
)  # fmt: skip
def test_of_a_command_that_runs_another_both_needs_count(
    definition: str, context: str, capabilities: tuple[str, ...] | None
) -> None:
    assert placed(definition) == (context, capabilities)


def test_a_persons_table_comes_first() -> None:
    needs = Needs({"umount": CapabilitySet.of(Capability.CAP_SYS_NICE)})
    assert placed("x: CommandFilter, umount, root", needs=needs) == ("storage", ("CAP_SYS_NICE",))
    needs = Needs({"new": CapabilitySet()})
    assert placed("x: CommandFilter, new, root", needs=needs) == ("declared", ())


def test_an_entrypoints_own_row_counts_before_its_commands() -> None:
    kill = CapabilitySet.of(Capability.CAP_KILL)
    needs = Needs({"umount": CapabilitySet(), "a.umount": kill})
    assert placed("x: CommandFilter, umount, root", needs=needs) == ("storage", ("CAP_KILL",))


def test_a_single_context_takes_all() -> None:
    conversion = converted(
        "x: CommandFilter, umount, root\ny: CommandFilter, arping, root", single_context=True
    )
    assert {op.context for op in conversion.ops} == {"default"}
    assert (
        "capabilities.CAP_NET_RAW, capabilities.CAP_SYS_ADMIN" in (conversion.texts["__init__.py"])
    ), "the union of both"


def test_a_prefix_brings_its_own_needs_to_the_context_and_not_to_the_command() -> None:
    conversion = converted("a: CommandFilter, arping, root\nb: IpNetnsExecFilter, ip, root")
    (op,) = conversion.ops
    assert op.capabilities == ("CAP_NET_RAW",)
    assert "CAP_SYS_ADMIN" in conversion.texts["__init__.py"]


@pytest.mark.parametrize(
    ("text", "sets"),
    [
        ('tgtadm = ["CAP_SYS_ADMIN"]', {"tgtadm": ("CAP_SYS_ADMIN",)}),
        ('mkfs.ext4 = []\n"mkfs.ext3" = []', {"mkfs.ext4": (), "mkfs.ext3": ()}),
        ('volume.find = ["CAP_CHOWN"]', {"volume.find": ("CAP_CHOWN",)}),
        ('[volume]\nfind = ["CAP_CHOWN"]', {"volume.find": ("CAP_CHOWN",)}),
    ],
)
def test_the_table_is_toml(text: str, sets: dict[str, tuple[str, ...]]) -> None:
    found = parse_declared(text, "caps.toml").sets
    assert {name: capabilities.names for name, capabilities in found.items()} == sets


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = [", "caps.toml:1: error: is no TOML"),
        ("x = 1\nx = ]", "caps.toml:2:5: error: is no TOML"),
        ("# c\nx = 3", "caps.toml:2: error: x is no list of capabilities"),
        ('\n\nx = ["CAP_NONE"]', "caps.toml:3: error: x: 'CAP_NONE' is no capability"),
        ('x = ["net_admin"]', "caps.toml:1: error: x: 'net_admin' is no capability"),
        ('[a]\n"b" = [1]', "caps.toml:2: error: a.b: 1 is no capability"),
    ],
)
def test_mistakes_in_the_table_are_said_with_their_line(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_declared(text, "caps.toml")
    assert str(caught.value).startswith(message)
