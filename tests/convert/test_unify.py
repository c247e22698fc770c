"""Rules that say the same become one entrypoint, which accepts their union and nothing else."""

from itertools import pairwise

import pytest

from privmigrate.argv.spec import Choice
from privmigrate.convert.operation import Environment, Kill, Op
from tests.convert.packages import converted


def test_the_same_rule_twice_is_one() -> None:
    (op,) = converted("a: CommandFilter, find, root\nb: CommandFilter, find, root").ops
    assert [source.name for source in op.sources] == ["a", "b"]


def test_a_command_in_two_folders_is_one_executable() -> None:
    (op,) = converted("x: CommandFilter, /sbin/ip, root\ny: CommandFilter, /usr/sbin/ip, root").ops
    assert op.candidates == ("/sbin/ip", "/usr/sbin/ip")


def test_another_user_is_another_operation() -> None:
    assert len(converted("x: CommandFilter, /a/x, root\ny: CommandFilter, /b/x, nova").ops) == 2


def test_other_words_are_another_operation() -> None:
    text = "x: RegExpFilter, x, root, x, -a\ny: RegExpFilter, x, root, x, -b"
    assert [op.name for op in converted(text).ops] == ["x", "y"]


def test_variables_are_accepted_in_exactly_the_combinations_of_the_rules() -> None:
    (op,) = converted(
        "pvs: EnvFilter, env, root, LC_ALL=C, pvs\n"
        "pvs2: EnvFilter, env, root, LC_ALL=C, FD=, pvs\n"
        "pvs3: EnvFilter, env, root, DIR=, LC_ALL=C, FD=, pvs\n"
    ).ops
    assert op.environment == Environment((("LC_ALL", "C"),), ((), ("FD",), ("DIR", "FD")))
    assert [(param.text, param.optional) for param in op.params] == [("DIR", True), ("FD", True)]


def test_a_variable_of_every_rule_is_required() -> None:
    (op,) = converted("a: EnvFilter, env, root, A=, x\nb: EnvFilter, env, root, A=, B=, x").ops
    assert [(param.text, param.optional) for param in op.params] == [("A", False), ("B", True)]


def test_other_fixed_values_are_another_operation() -> None:
    text = "a: EnvFilter, env, root, L=C, x\nb: EnvFilter, env, root, L=D, x"
    assert len(converted(text).ops) == 2


def kills(text: str) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    found = []
    for op in converted(text).ops:
        assert isinstance(op.native, Kill)
        assert isinstance(op.params[1].spec, Choice)
        found.append((op.name, op.native.programs, op.params[1].spec.values))
    return found


def test_a_program_in_two_folders_is_one_kill() -> None:
    text = "kill_x: KillFilter, root, /sbin/x, -9\nkill_x_usr: KillFilter, root, /usr/sbin/x, -9"
    assert kills(text) == [("kill_x", ("/sbin/x", "/usr/sbin/x"), ("KILL",))]


def test_signals_of_one_program_are_joined() -> None:
    text = "a: KillFilter, root, /sbin/x, -9\nb: KillFilter, root, /sbin/x, -HUP, -9"
    assert kills(text) == [("kill_x", ("/sbin/x",), ("HUP", "KILL"))]


def test_no_program_gets_a_signal_that_only_another_may_get() -> None:
    text = "kill_a: KillFilter, root, /sbin/x, -9\nkill_b: KillFilter, root, /usr/sbin/x, -9, -HUP"
    assert kills(text) == [
        ("kill_a", ("/sbin/x",), ("KILL",)),
        ("kill_b", ("/usr/sbin/x",), ("HUP", "KILL")),
    ]


def test_versions_of_an_interpreter_are_one_program() -> None:
    text = "\n".join(
        f"kill_meta{version}: KillFilter, root, python{version}, -9"
        for version in ("", "3", "3.11")
    )
    assert kills(text) == [("kill_meta", ("python", "python3", "python3.11"), ("KILL",))]


def test_a_chain_with_one_more_word_at_the_end_is_one_prefix() -> None:
    (prefix,) = converted(
        "ionice_1: ChainingRegExpFilter, ionice, root, ionice, -c[0-3], -n[0-7]\n"
        "ionice_2: ChainingRegExpFilter, ionice, root, ionice, -c[0-3]\n"
    ).prefixes
    assert prefix.name == "Ionice"
    assert [param.optional for param in prefix.params] == [False, True]


def test_chains_that_differ_otherwise_stay_apart() -> None:
    prefixes = converted(
        "nice_low: ChainingRegExpFilter, nice, root, nice, -n[0-9]\n"
        "nice_high: ChainingRegExpFilter, nice, root, nice, -p[0-9]\n"
    ).prefixes
    assert [prefix.name for prefix in prefixes] == ["NiceLow", "NiceHigh"]


def test_a_chain_that_begins_otherwise_stays_apart() -> None:
    prefixes = converted(
        "nice_low: ChainingRegExpFilter, nice, root, nice, -a\n"
        "nice_high: ChainingRegExpFilter, nice, root, nice, -b, [0-9]+\n"
    ).prefixes
    assert [prefix.optional for prefix in prefixes] == [0, 0]


def under(text: str) -> dict[str, tuple[str, ...]]:
    return {op.name: op.prefixes for op in converted(text).ops}


NETNS = "ip_exec: IpNetnsExecFilter, ip, root\n"


def test_a_prefix_goes_in_front_of_its_users_commands() -> None:
    text = NETNS + "a: CommandFilter, a, root\nb: CommandFilter, b, nova"
    assert under(text) == {"a": ("Netns",), "b": ()}


def test_a_prefix_needs_a_filter_that_allows_the_base_name() -> None:
    text = (
        f"{NETNS}a: RegExpFilter, /opt/x.sh, root, /opt/x.sh, a\n"
        "b: RegExpFilter, /opt/y.sh, root, y.sh, b\n"
    )
    assert under(text) == {"a": (), "b": ("Netns",)}


@pytest.mark.parametrize("native", ["k: KillFilter, root, /x, -9", "r: ReadFileFilter, /etc/x"])
def test_what_is_done_natively_needs_no_prefix(native: str) -> None:
    assert set(under(NETNS + native).values()) == {()}


def test_a_network_namespace_is_not_offered_to_what_sees_no_network() -> None:
    text = NETNS + "n: ChainingRegExpFilter, nice, root, nice\na: CommandFilter, chgrp, root"
    conversion = converted(text)
    assert [op.prefixes for op in conversion.ops] == [("Nice",)]
    assert "CAP_SYS_ADMIN" not in conversion.texts["__init__.py"]


def test_a_chain_in_another_file_counts() -> None:
    conversion = converted("a: CommandFilter, a, root", NETNS)
    assert [op.prefixes for op in conversion.ops] == [("Netns",)]


def test_the_order_of_rules_does_not_change_what_is_joined() -> None:
    lines = [
        "a: EnvFilter, env, root, A=, x",
        "b: EnvFilter, env, root, A=, B=, x",
        "c: KillFilter, root, /sbin/y, -9",
        "d: KillFilter, root, /usr/sbin/y, -9",
    ]
    results = [converted("\n".join(order)).ops for order in (lines, lines[::-1])]

    def essence(ops: tuple[Op, ...]) -> set[tuple[object, ...]]:
        return {(op.key, op.environment, frozenset(op.candidates)) for op in ops}

    assert all(essence(one) == essence(other) for one, other in pairwise(results))
