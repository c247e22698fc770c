"""Every trap of filters/traps: what the reader says of it, and what it allows."""

import configparser
import os
import re
from pathlib import Path
from typing import Final

import pytest
from oslo_rootwrap import wrapper

from privmigrate.rootwrap.command import Allowed, Denied, Failed, Mode, NotExecutable
from privmigrate.rootwrap.filters import Filter, bind
from privmigrate.rootwrap.parse import parse_filters, read_filters
from privmigrate.rootwrap.policy import Policy
from privmigrate.rootwrap.rule import Status
from tools import differential

TRAPS: Final = Path(__file__).resolve().parents[2] / "filters" / "traps"

# What the reader says, in order: severity, code, line. Traps without a line are read in silence.
SAID: Final = {
    "duplicate_name": ["3 warning overridden"],
    "upper_case_name": ["3 warning overridden"],
    "unknown_class": [f"{n} warning unknown-filter-class" for n in (3, 4, 5, 6, 7, 8)],
    "no_section": ["0 error no-filters-section"],
    "section_case": ["0 error no-filters-section", "2 note ignored-section"],
    "no_header": ["2 error missing-section-header"],
    "not_an_entry": ["4 error not-an-entry"],
    "empty_name": ["3 error empty-name"],
    "too_few_values": [f"{n} error too-few-values" for n in (3, 4, 5)],
    "undecodable": ["3 error undecodable"],
    "byte_order_mark": ["1 error missing-section-header"],
    "default_section": ["6 warning overridden", "7 note ignored-section"],
}

BOTH, EXACT, NONE = "allowed", "allowed by exact mode alone", "denied"
# What a trap allows. An executable that is not there counts as allowed: the filter matched.
DECIDED: Final = (
    ("continuation", ("show-disk", "--serial", "5"), BOTH),
    ("continuation", ("show-disk", "--serial"), NONE),
    ("duplicate_name", ("disk-tool", "--size", "/dev/sda"), BOTH),
    ("duplicate_name", ("disk-tool", "--wipe"), NONE),
    ("upper_case_name", ("list-disks",), BOTH),
    ("upper_case_name", ("env", "DISK_FILE=x", "disk-tool"), NONE),
    ("unknown_class", ("disk-tool",), NONE),
    ("unknown_class", ("list-disks",), BOTH),
    ("percent", ("find", "/srv/x", "-printf", "%(p)s"), NONE),
    ("percent", ("find", "/srv/x", "-printf", "%ps"), BOTH),
    ("odd_names", ("mkfs.ext4", "/dev/sda"), BOTH),
    ("delimiters", ("dd", "if=/dev/zero", "of=/srv/x"), BOTH),
    ("line_ends", ("show-disk", "--serial"), BOTH),
    ("default_section", ("disk-tool",), BOTH),
    ("default_section", ("never-run",), NONE),
    ("default_section", ("other-tool",), NONE),
    ("argument_as_user", ("show-disk",), BOTH),
    ("further_values", ("show-disk", "--wipe"), BOTH),
    ("missing_commas", ("chown", "root:root", "/srv/disks/x"), NONE),
    ("two_words", ("ionice", "-c3", "-n7", "disk-copy"), NONE),
    ("two_words", ("ionice", "-c3 -n7", "disk-copy"), BOTH),
    ("comma_in_pattern", ("disk-tool", "12"), NONE),
    ("broken_pattern", ("disk-tool", "(resize"), NONE),
    ("broken_pattern", ("list-disks",), BOTH),
    ("newline_and_digits", ("wait-disk", "5"), BOTH),
    ("newline_and_digits", ("wait-disk", "5\n"), EXACT),
    ("newline_and_digits", ("wait-disk", "\u0665"), EXACT),
    ("newline_and_digits", ("wait-disk\n", "5"), EXACT),
    ("alternatives", ("disk-tool", "detach"), BOTH),
    ("alternatives", ("disk-tool", "attach"), BOTH),
    ("alternatives", ("disk-tool", "attach; reboot"), EXACT),
    ("inline_flag", ("disk-tool", "DETACH"), BOTH),
    ("unescaped_dot", ("set-kernel", "net.ipv4.ip_forward=1"), BOTH),
    ("accidental_range", ("fetch", "http://A;"), BOTH),
    ("nearly_a_number", ("chown", "10; x", "/srv/disks"), BOTH),
    ("backtracking", ("mkdir", "-p", "/a/b"), BOTH),
    ("shell", ("sh", "-c", "echo 'x' > /etc/passwd"), BOTH),
    ("first_pattern", ("anything", "--all"), BOTH),
    ("path_sibling", ("chown", "disks", "/proc/sys/net"), EXACT),
    ("path_sibling", ("chown", "disks", "/proc/sys/kernel"), NONE),
    ("path_relative", ("chown", "disks", "x"), EXACT),
    ("path_relative", ("chown", "disks", "/proc"), BOTH),
    ("path_pattern", ("start-helper", "--config-file", "/proc/sys"), NONE),
    ("path_pattern", ("stop-helper", "--config-file", "/proc/sys"), NONE),
    ("env_values", ("env", "LC_ALL=C", "list-disks"), BOTH),
    ("env_values", ("env", "LC_ALL=x", "list-disks"), EXACT),
    ("env_values", ("LC_ALL=C", "LC_ALL=C", "list-disks"), NONE),
    ("env_paths", ("env", "LD_LIBRARY_PATH=/srv", "PATH=/srv", "list-disks"), BOTH),
    ("env_without_env", ("CONFIG_FILE=x", "NETWORK_ID=y", "lease-server", "-k"), BOTH),
    ("env_arguments", ("env", "PROCESS_TAG=x", "proxy-server", "-f", "/srv/x"), BOTH),
    ("env_arguments", ("env", "PROCESS_TAG=x", "proxy-server", "-x", "anything"), EXACT),
    ("env_letters", ("env", "LC_ALL=C", "list-disks"), EXACT),
    ("env_of_env", ("env", "LC_ALL=C", "env", "sh"), EXACT),
    ("env_before", ("env", "LC_ALL=C", "list-disks"), BOTH),
    ("env_before", ("env", "env", "LC_ALL=C", "list-disks"), EXACT),
    ("env_before", ("env", "env", "LC_ALL=C", "disk-tool"), NONE),
    ("env_before", ("env", "show-disk"), EXACT),
    ("env_before", ("env", "env", "env", "show-disk"), NONE),
    ("kill_variants", ("kill", "1"), NONE),
    ("ip_wide", ("ip", "link"), BOTH),
    ("ip_wide", ("ip", "netns", "exec", "blue", "sh"), NONE),
    ("ip_wide", ("ip", "vrf", "exec", "red", "sh"), EXACT),
    ("ip_wide", ("ip", "-b", "/srv/file"), EXACT),
    ("netns_other", ("ip", "netns", "exec", "blue", "list-disks"), EXACT),
    ("chain_path", ("ip", "netns", "exec", "blue", "list-disks"), BOTH),
    ("chain_path", ("ip", "netns", "exec", "blue", "{dir}/list-disks"), BOTH),
    ("chain_path", ("ip", "netns", "exec", "blue", "/srv/evil/list-disks"), EXACT),
    ("chain_path", ("nice", "-n", "5", "/srv/evil/list-disks"), EXACT),
    ("chain_path", ("nice", "-n", "5", "nice", "-n", "5", "list-disks"), NONE),
    ("chain_path", ("nice", "-n", "5"), NONE),
    ("chain_users", ("nice", "-n", "5", "list-disks"), NONE),
    ("chain_users", ("ionice", "-c3", "nice", "-n", "5"), NONE),
    ("chain_users", ("disk-tool", "list-disks"), NONE),
    ("chain_without_pattern", ("list-disks",), EXACT),
    ("privsep_helper", ("privsep-helper", "--privsep_context", "os.system"), BOTH),
    ("empty_values", ("",), EXACT),
    ("empty_values", ("list-disks",), BOTH),
)


def trap_names() -> list[str]:
    return sorted(path.stem for path in TRAPS.glob("*.filters"))


@pytest.mark.parametrize("name", trap_names())
def test_a_trap_is_read_as_by_oslo_rootwrap_and_spoken_of(name: str, tmp_path: Path) -> None:
    data = (TRAPS / f"{name}.filters").read_bytes()
    assert differential.compare_file(data, tmp_path / "one.filters") == []
    parsed = read_filters(str(TRAPS / f"{name}.filters"))
    said = [f"{d.span.line} {d.severity.value} {d.code}" for d in parsed.diagnostics]
    assert said == SAID.get(name, [])
    for diagnostic in parsed.diagnostics:
        assert str(diagnostic).startswith(f"{TRAPS / name}.filters:")
        assert "\n" not in str(diagnostic)


@pytest.mark.parametrize("name", [n for n in SAID if any("error" in line for line in SAID[n])])
def test_the_advice_names_what_oslo_rootwrap_ends_with(name: str, tmp_path: Path) -> None:
    """A person who has seen the traceback finds it again in our message."""
    (tmp_path / "one.filters").write_bytes((TRAPS / f"{name}.filters").read_bytes())
    with pytest.raises((configparser.Error, TypeError, UnicodeDecodeError)) as caught:
        wrapper.load_filters([str(tmp_path)])
    parsed = read_filters(str(TRAPS / f"{name}.filters"))
    for error in parsed.errors:
        assert re.search(rf"rootwrap ends with an? {caught.type.__name__}", error.advice)


@pytest.fixture(scope="module")
def executables(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bin")
    for name in ("list-disks", "disk-tool", "show-disk", "ip", "nice", "ionice"):
        (folder / name).symlink_to("/bin/true")
    return str(folder)


@pytest.mark.parametrize(("name", "argv", "expected"), DECIDED)
def test_what_a_trap_allows(
    name: str, argv: tuple[str, ...], expected: str, executables: str
) -> None:
    policy = Policy.from_rules(read_filters(str(TRAPS / f"{name}.filters")).rules, [executables])
    argv = tuple(word.replace("{dir}", executables) for word in argv)
    matched = [
        isinstance(policy.decide(argv, mode), Allowed | NotExecutable)
        for mode in (Mode.EXACT, Mode.STRICT)
    ]
    assert matched == [expected != NONE, expected == BOTH]


@pytest.mark.parametrize("name", [n for n in trap_names() if "error" not in str(SAID.get(n))])
def test_a_trap_decides_as_oslo_rootwrap(name: str, executables: str, tmp_path: Path) -> None:
    (tmp_path / "one.filters").write_bytes((TRAPS / f"{name}.filters").read_bytes())
    pair = differential.load_pair(str(tmp_path), (executables,))
    assert pair is not None
    for _, argv, _ in DECIDED:
        assert differential.compare(pair, argv) == []


@pytest.mark.timeout(10)
def test_no_pattern_blows_up_in_strict_mode() -> None:
    """With `re`, the first filter needs longer for this word than the age of the universe."""
    rules = read_filters(str(TRAPS / "backtracking.filters")).rules
    (same,) = parse_filters(b"[Filters]\nb: CommandFilter, mkdir, root", "b").rules
    (other,) = parse_filters(b"[Filters]\nc: CommandFilter, mkdir, disks", "c").rules
    path = "/" + "a" * 60
    argv = ("mkdir", "-p", path + "0")
    bound = bind(rules[0])
    assert isinstance(bound, Filter)
    assert isinstance(bound.decide(("mkdir", "-p", path)), Allowed)
    only = Policy.from_rules(rules, ["/bin"])
    assert isinstance(only.decide(argv, Mode.STRICT), Denied)
    # A second filter allows it. If the first one matches, exact mode runs the same ...
    both = Policy.from_rules((*rules, same), ["/bin"])
    assert isinstance(both.decide(argv, Mode.STRICT), Allowed)
    # ... unless the second has another user.
    third = Policy.from_rules((*rules, other), ["/bin"])
    assert isinstance(third.decide(argv, Mode.STRICT), Denied)


def test_kill_without_a_program_ends_oslo_rootwrap() -> None:
    rules = read_filters(str(TRAPS / "kill_variants.filters")).rules
    decision = Policy.from_rules(rules).decide(("kill", str(os.getpid())))
    assert isinstance(decision, Failed)
    assert (decision.error, decision.name) == ("IndexError", "nothing")


def test_every_trap_is_in_a_test() -> None:
    told = set(SAID) | {name for name, _, _ in DECIDED}
    assert set(trap_names()) - told == {"duplicate_value"}  # which is the absence of a trap
    assert read_filters(str(TRAPS / "duplicate_value.filters")).rules[0].status is Status.SHADOWED
