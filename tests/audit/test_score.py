"""The reachable power falls with each entry that is narrowed: one measure for both worlds."""

from pathlib import Path

from privmigrate.audit.engine import all_ways
from privmigrate.audit.gather import gather
from privmigrate.audit.score import NARROW, OPTIONS, ROOT, UNKNOWN, Score, score
from privmigrate.audit.tree import DiskTree
from privmigrate.cli import main
from tests.audit.illustration import illustrate
from tools.modules import PROJECT


def scored(source: str) -> Score:
    return score(illustrate(source), all_ways())


def test_each_program_counts_once_with_its_most_powerful_entry() -> None:
    reached = scored(
        "[Filters]\nt: CommandFilter, tee, root\nu: CommandFilter, /usr/bin/tee, root\n"
        "w: RegExpFilter, tee, root, tee, /var/x/[^/]+\n"
    )
    assert (reached.total, len(reached.lines), reached.root_ways) == (ROOT, 1, 1)


def test_the_steps_from_wide_to_narrow() -> None:
    assert scored("[Filters]\nx: CommandFilter, hus-cmd, root\n").total == UNKNOWN
    assert scored("[Filters]\nx: RegExpFilter, hus-cmd, root, hus-cmd, .*\n").total == OPTIONS
    assert scored("[Filters]\nx: RegExpFilter, hus-cmd, root, hus-cmd, -l\n").total == NARROW
    assert scored("[Filters]\nx: KillFilter, root, /usr/sbin/radvd, -9\n").total == NARROW
    assert scored("[Filters]\n").total == 0


def test_a_chain_is_root_where_rootwrap_lets_any_path_through() -> None:
    reached = scored("[Filters]\nn: IpNetnsExecFilter, ip, root\nc: CommandFilter, true, root\n")
    assert reached.lines[0].program == "any program"
    assert reached.lines[0].power == ROOT


def test_capabilities_bound_what_a_wide_command_is_worth() -> None:
    source = (
        "from privmigrate.privsep import Executable, command, run\nT = Executable('{}')\n"
        "@c.entrypoint\n@command(capabilities=(capabilities.{},))\n"
        "def f(*args: Argument):\n    return run(T, *args)\n"
    )
    assert scored(source.format("chown", "CAP_NET_ADMIN")).total == 40
    assert scored(source.format("chown", "CAP_KILL")).total == 20
    assert scored(source.format("mount", "CAP_SYS_MODULE")).total == 90
    assert scored(source.format("hus-cmd", "CAP_KILL")).total == UNKNOWN


def test_what_uid_0_has_without_capabilities_is_worth_no_less_for_having_none() -> None:
    """It owns /etc/passwd, /proc/sys/kernel/core_pattern and the disks: tests/root tries that."""
    source = (
        "from privmigrate.privsep import Executable, command, run\nT = Executable('{}')\n"
        "@c.entrypoint\n@command(capabilities=())\n"
        "def f(*args: Argument):\n    return run(T, *args)\n"
    )
    assert scored(source.format("tee")).total == ROOT
    assert scored(source.format("chmod")).total == ROOT
    assert scored(source.format("dd")).total == ROOT
    assert scored(source.format("kill")).total == 20
    assert scored(source.format("chown")).total == OPTIONS


def test_the_sample_is_less_powerful_after_its_migration(tmp_path: Path) -> None:
    """Converted without call sites: what was wide stays wide, and is bound by its capabilities."""
    before = score(gather(DiskTree(), (str(PROJECT / "filters/sample"),), trust=False), all_ways())
    assert (
        main(["convert", str(PROJECT / "filters/sample/rootwrap.d"), "--output", str(tmp_path)])
        == 0
    )
    after = score(gather(DiskTree(), (str(tmp_path),)), all_ways())
    assert after.total < before.total
    # what runs the program of a caller, as uid 0
    assert [line.program for line in after.lines if line.power == ROOT] == ["dnsmasq", "ip"]
    assert after.root_ways < before.root_ways
    narrow = {line.program for line in after.lines if line.power == NARROW}
    assert {"chmod", "find", "arping", "mkfs", "sysctl", "chown"} <= narrow
