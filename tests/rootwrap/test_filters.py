"""What filters refuse beyond their examples: on a real file system, among real processes."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.rootwrap.command import Allowed, Denied
from privmigrate.rootwrap.filters import FILTERS, Filter, bind
from privmigrate.rootwrap.filters.kill import PROGRAM_DIRS, program_of
from privmigrate.rootwrap.parse import parse_filters
from tools.made_filters import World, make_world


def filter_of(definition: str) -> Filter:
    (rule,) = parse_filters(f"[Filters]\nx: {definition}\n".encode(), "x.filters").rules
    bound = bind(rule)
    assert isinstance(bound, Filter)
    return bound


def why(definition: str, *argv: str) -> str:
    answer = filter_of(definition).decide(argv)
    return answer.why if isinstance(answer, Denied) else ""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with make_world() as made:
        yield made


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("argv", [(), ("",), ("", "x"), ("x", "\0"), ("env", "A=\0", "x")])
def test_no_filter_allows_what_is_no_command_line(name: str, argv: tuple[str, ...]) -> None:
    """Whatever the values: an empty executable, a pattern for everything, a free word."""
    for values in (", root", "x, root, .*, .*", "/, root, pass", "x/, root, A=, pass"):
        assert isinstance(filter_of(f"{name}, {values}").decide(argv), Denied)


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_is_a_value(name: str) -> None:
    one, same = (filter_of(f"{name}, a, root, b, c") for _ in range(2))
    assert (one.rule, one.exec_path, one.args) == (same.rule, same.exec_path, same.args)
    with pytest.raises(AttributeError):
        one.run_as = "other"  # type: ignore[misc]


def test_a_symlink_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    (inside / "loop").symlink_to("loop")
    definition = f"PathFilter, cat, root, {inside}"
    assert why(definition, "cat", f"{inside}/link/x") == (
        f"argument 1, '{inside}/link/x', is {outside}/x, which is not within {inside}"
    )
    assert why(definition, "cat", f"{inside}/../outside") != ""
    answer = filter_of(definition).decide(("cat", f"{inside}/not/there/../yet"))
    assert isinstance(answer, Allowed)
    assert answer.command.argv == ("cat", f"{inside}/not/yet")


def test_a_folder_that_is_a_symlink_holds_nothing(tmp_path: Path) -> None:
    """As in oslo.rootwrap: real paths never begin with it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert why(f"PathFilter, cat, root, {tmp_path}/link", "cat", f"{tmp_path}/link/x") != ""


def test_a_folder_with_a_slash_at_its_end_does_not_hold_itself(tmp_path: Path) -> None:
    definition = f"PathFilter, cat, root, {tmp_path}/"
    assert why(definition, "cat", str(tmp_path)) != ""
    assert why(definition, "cat", f"{tmp_path}/x") == ""


def test_words_that_no_file_can_be_named_by_are_refused() -> None:
    assert "cannot be resolved" in why("PathFilter, cat, root, /", "cat", "/\ud800")


def test_the_program_of_a_process(world: World) -> None:
    folder = world.exec_dirs[1]
    dnsmasq, deleted, other_name, renamed, system = map(int, world.pids[:5])
    assert program_of(dnsmasq) == f"{folder}/dnsmasq"
    assert program_of(deleted) is None
    assert program_of(other_name) == f"{folder}/ls"  # whatever its argv[0] says
    assert program_of(renamed) is None
    assert program_of(system) == world.programs[-1]


def test_a_replaced_program_is_still_that_program(tmp_path: Path, world: World) -> None:
    """A package upgrade leaves processes that execute a deleted file of the same name."""
    folder = Path(world.exec_dirs[1])
    deleted = world.pids[1]
    (folder / "lvs").write_text("the new version")
    try:
        assert why(f"KillFilter, root, {folder}/lvs, -9", "kill", "-9", deleted) == ""
    finally:
        (folder / "lvs").unlink()


def test_a_bare_program_has_to_be_the_systems(world: World) -> None:
    dnsmasq, system = world.pids[0], world.pids[4]
    assert "executes" in why("KillFilter, root, dnsmasq, -9", "kill", "-9", dnsmasq)
    program = Path(world.programs[-1])
    assert str(program.parent) in PROGRAM_DIRS
    assert why(f"KillFilter, root, {program.name}, -9", "kill", "-9", system) == ""


@pytest.mark.parametrize("pid", ["0", "-1", "01", " 1", "1 ", "+1", "1_0", "\u0661", "", "1" * 11])
def test_a_process_is_named_by_its_number_alone(pid: str) -> None:
    program = os.path.realpath("/proc/self/exe")
    assert "is not the number" in why(f"KillFilter, root, {program}, -9", "kill", "-9", pid)


def test_an_empty_value_leaves_the_callers_variable() -> None:
    answer = filter_of("EnvFilter, env, root, A=, B=, true").decide(("A=", "B=1", "true"))
    assert isinstance(answer, Allowed)
    assert answer.command.environment == (("B", "1"),)


@pytest.mark.parametrize(
    ("definition", "argv", "allowed"),
    [
        # the executable once more among the values, as it stands in the command line
        ("EnvFilter, proxy, root, A=, proxy, -f", ("A=1", "proxy", "-f"), True),
        ("EnvFilter, proxy, root, A=, proxy, -f", ("A=1", "proxy", "-x"), False),
        ("EnvFilter, /bin/proxy, root, A=, proxy, -f", ("A=1", "/bin/proxy", "-f"), True),
        ("EnvFilter, proxy, root, A=, -f", ("A=1", "proxy", "-f"), True),
        ("EnvFilter, proxy, root, A=, -f", ("A=1", "proxy", "-f", "-f"), False),
        ("EnvFilter, proxy, root, A=1, A=2", ("A=1", "proxy"), False),
        ("EnvFilter, env, root, A=1, A=2, proxy", ("A=1", "A=2"), False),
        ("EnvFilter, /usr/bin/env, root, A=, proxy", ("env", "A=1", "proxy"), True),
        ("EnvFilter, /usr/bin/env, root, A=, proxy", ("/usr/bin/env", "A=1", "proxy"), False),
    ],
)
def test_variables_and_what_stands_behind_them(
    definition: str,
    argv: tuple[str, ...],
    allowed: bool,  # noqa: FBT001 - a column
) -> None:
    assert isinstance(filter_of(definition).decide(argv), Allowed) == allowed


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (("-4", "addr"), True),
        (("-br", "link"), True),
        (("-B", "link"), True),
        (("--", "link"), True),
        (("netns", "add", "exec"), True),
        (("-all", "netns", "exec", "sh"), False),
        (("-n", "blue", "netns", "e", "red", "sh"), False),
        (("net", "exe", "blue", "sh"), False),
        (("v", "e", "red", "sh"), False),
        (("-b", "file"), False),
        (("-force", "-batch", "file"), False),
        (("netns", "add", "x", "netns", "exec"), False),
    ],
)
def test_ip_runs_nothing_else(
    words: tuple[str, ...],
    allowed: bool,  # noqa: FBT001 - a column
) -> None:
    assert isinstance(filter_of("IpFilter, ip, root").decide(("ip", *words)), Allowed) == allowed


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/proc/1/ns/net", "-all"])
def test_a_namespace_is_a_name(name: str) -> None:
    words = ("ip", "netns", "exec", name, "true")
    assert "is not the name" in why("IpNetnsExecFilter, ip, root", *words)
