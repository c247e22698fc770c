"""Names: from the text, valid, unique, and hiding nothing."""

# ruff: noqa: E501 - definitions

import builtins
import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privmigrate.convert.text import class_name, constant_name, identifier
from tests.convert.packages import converted


def name_of(definition: str) -> str:
    (op,) = converted(definition).ops
    return op.name


@pytest.mark.parametrize(
    ("definition", "name"),
    [
        ("mkfs.ext4: CommandFilter, mkfs.ext4, root", "mkfs_ext4"),
        ("x: CommandFilter, horcmstart.sh, root", "horcmstart_sh"),
        ("x: CommandFilter, ovs-vsctl, root", "ovs_vsctl"),
        ("qemu-img_convert: CommandFilter, qemu-img, root", "qemu_img"),
        ("mount.quobyte: CommandFilter, getfattr, root", "getfattr"),
        ("4xx: CommandFilter, 4xx, root", "run_4xx"),
        ("x: CommandFilter, class, root", "class_"),
        ("x: CommandFilter, id, root", "id_"),
        ("x: CommandFilter, match, root", "match_"),
        ("x: CommandFilter, run, root", "x"),
        ("run: CommandFilter, run, root", "run_any"),
        ("command: RegExpFilter, command, root, command, -x", "command_command"),
        ("x: CommandFilter, ---, root", "entrypoint"),
        ("ebtablesEnv: EnvFilter, ebtables, root, A=", "ebtables"),
        ("find_inum: RegExpFilter, find, root, find, -inum", "find_inum"),
        ("tc_add_filter: RegExpFilter, tc, root, tc, filter, add", "tc_add_filter"),
        ("touch_filter: RegExpFilter, touch, root, touch, /x", "touch"),
        ("ionice_1: RegExpFilter, ionice, root, ionice, -c0, dd", "ionice_dd"),
        ("b: RegExpFilter, blockdev, root, blockdev, --getsize64, /dev/.*", "b"),
        ("blockdev: RegExpFilter, blockdev, root, blockdev, --getsize64, /dev/.*",
         "blockdev_getsize64"),
        ("4xx: RegExpFilter, x, root, x, -a", "run_4xx"),
        ("import: RegExpFilter, x, root, x, -a", "import_"),
        ("größe: RegExpFilter, x, root, x, -a", "gr_e"),
        ("read_key: ReadFileFilter, /etc/key", "read_key"),
        ("kill_x: KillFilter, root, /x, -9", "kill_x"),
        ("x_kill: KillFilter, root, /sbin/x, -9", "x_kill"),
    ],
)  # fmt: skip
def test_names_of_entrypoints(definition: str, name: str) -> None:
    assert name_of(definition) == name


def test_names_in_one_module_differ() -> None:
    conversion = converted(
        "ping: RegExpFilter, ping, root, ping, -a\n"
        "ping1: RegExpFilter, ping, root, ping, -b\n"
        "ping_env: EnvFilter, env, root, A=, ping\n"
        "ping_wide: CommandFilter, ping, root\n"
    )
    assert [op.name for op in conversion.ops] == ["ping", "ping1", "ping_env", "ping_wide"]


def test_another_user_is_in_the_name_where_one_is_needed() -> None:
    conversion = converted(
        "ping: RegExpFilter, ping, root, ping, -a\nping1: RegExpFilter, ping, nova, ping, -b\n"
    )
    assert [op.name for op in conversion.ops] == ["ping", "ping_as_nova"]


def test_names_in_different_modules_may_be_the_same() -> None:
    conversion = converted("x: RegExpFilter, x, root, x, -a", "x: RegExpFilter, x, root, x, -b")
    assert [(op.module, op.name) for op in conversion.ops] == [("a", "x"), ("b", "x")]


def params_of(definition: str) -> list[tuple[str, bool]]:
    (op,) = converted(definition).ops
    return [(param.name, param.keyword) for param in op.params]


@pytest.mark.parametrize(
    ("definition", "names"),
    [
        (r"x: RegExpFilter, find, root, find, /[^/]*, -maxdepth, \d+, -inum, \d+",
         ["path", "maxdepth*", "inum*"]),
        (r"x: RegExpFilter, dd, root, dd, if=\S+, of=\S+, conv=(a|b)", ["if_file*", "of*", "conv*"]),
        ("x: RegExpFilter, tc, root, tc, qdisc, add, dev, .+, root, handle, .+", ["dev*", "handle*"]),
        ("x: RegExpFilter, tc, root, tc, a, b, dev, .+, dev, .+", ["dev*", "dev_2*"]),
        ("x: RegExpFilter, mkdir, root, mkdir, -p, /a/.+", ["path"]),
        ("x: RegExpFilter, cp, root, cp, /a/.+, /b/.+", ["source", "target"]),
        (r"x: RegExpFilter, ping, root, ping, -c, \d+, [0-9\.]+", ["count*", "host"]),
        ("x: RegExpFilter, x, root, x, --type, .+, --format, .+", ["type_*", "format_*"]),
        ("x: RegExpFilter, x, root, x, --stdin, .+, --under, .+", ["stdin_value*", "under_value*"]),
        ("x: RegExpFilter, x, root, x, --2nd, .+", ["word"]),
        ("x: RegExpFilter, x, root, x, net.ipv4.ip_forward=[01]", ["ip_forward*"]),
        ("x: RegExpFilter, x, root, x, (-u|-g)", ["option"]),
        ("# 'x', '-q', size, self.path\nx: RegExpFilter, x, root, x, -q, .+, .+", ["size*", "path"]),
        ("# 'y', a, b\nx: RegExpFilter, x, root, x, .+, .+", ["word", "word_2"]),
        ("x: EnvFilter, env, root, LC_ALL=, class=, x", ["lc_all*", "class_*"]),
        ("x: RegExpFilter, curl, root, curl, http://[a-z]+", ["url"]),
    ],
)  # fmt: skip
def test_names_of_parameters(definition: str, names: list[str]) -> None:
    """A star marks what can be given by name only."""
    found = [name + ("*" if keyword_only else "") for name, keyword_only in params_of(definition)]
    assert sorted(found) == sorted(names)


@given(st.text(max_size=12))
def test_every_text_becomes_a_name(text: str) -> None:
    for name in (identifier(text), class_name(text), constant_name(text)):
        assert name.isidentifier()
        assert name.isascii()
        assert not keyword.iskeyword(name)
        assert not hasattr(builtins, name)
