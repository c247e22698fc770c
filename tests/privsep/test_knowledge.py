"""What is known of commands, and what is never claimed to be."""

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from privmigrate.diagnostics import Diagnostic
from privmigrate.linux.capabilities import NONE, CapabilitySet
from privmigrate.privsep import knowledge
from privmigrate.privsep.knowledge import WITHOUT_SET, Evidence, lookup
from privmigrate.rootwrap.filters import bind
from privmigrate.rootwrap.parse import parse_filters

ROWS = [row for rows in knowledge.table().values() for row in rows]


def known(*words: str | None) -> Evidence:
    found = lookup(words)
    assert found is not None
    return found


def names(*words: str | None) -> str:
    return str(known(*words).capabilities)


def test_the_table_is_sorted_and_every_row_has_its_evidence() -> None:
    with Path(knowledge.__file__).with_name("commands.csv").open() as file:
        programs = [line.partition(",")[0] for line in itertools.islice(file, 1, None)]
    assert programs == sorted(programs)
    for row in ROWS:
        assert row.form
        assert row.family
        if row.root_status == "verified":
            assert row.argv, row
            assert row.kernel, row
        if row.root_status == "documented":
            assert row.source, row
            assert not row.argv, row
        if row.root_status in WITHOUT_SET:
            assert row.source, row
            assert row.service_status in {*WITHOUT_SET, "cannot work"}, row
            assert row.root == row.service == NONE, row
        if row.root_status == "not exercised":
            assert row.notes, row
            assert row.root == row.service == NONE, row


def test_no_two_rows_say_the_same() -> None:
    keys = [(row.program, row.form) for row in ROWS]
    assert len(set(keys)) == len(keys)


def test_a_verified_form_is_found_by_its_own_command_line() -> None:
    for row in ROWS:
        if row.root_status == "verified":
            found = known(*row.argv.split())
            assert row in found.rows, row.argv
            assert row.root <= found.root
            assert row.service <= found.service


@pytest.mark.parametrize(
    ("words", "capabilities"),
    [
        (("chown", "1:1", "f"), "CAP_CHOWN"),
        (("chown", "-R", "1:1", "d"), "CAP_CHOWN CAP_DAC_READ_SEARCH"),
        (("chown", "-hR", "1:1", "d"), "CAP_CHOWN CAP_DAC_READ_SEARCH"),
        (("chown",), "CAP_CHOWN CAP_DAC_READ_SEARCH"),
        (("chown", None, "d"), "CAP_CHOWN CAP_DAC_READ_SEARCH"),
        (("/usr/bin/chown", "1:1", "f"), "CAP_CHOWN"),
        (("ip", "-o", "link", "show"), "none"),
        (("ip", "link", "set", "show", "up"), "CAP_NET_ADMIN"),
        (("ip", "-n", "x", "link", "add", "y"), "CAP_NET_ADMIN CAP_SYS_ADMIN"),
        (("ip",), "CAP_DAC_OVERRIDE CAP_NET_ADMIN CAP_SYS_ADMIN"),
        (
            ("ip", "netns", "exec", "x", "cat", "f"),
            "CAP_DAC_READ_SEARCH CAP_NET_ADMIN CAP_SYS_ADMIN",
        ),
        (("env", "LC_ALL=C", "A=1", "cat", "f"), "CAP_DAC_READ_SEARCH"),
        (("LC_ALL=C", "cat", "f"), "CAP_DAC_READ_SEARCH"),
        (("mkfs.xfs", "/dev/x"), "CAP_DAC_OVERRIDE CAP_SYS_ADMIN"),
        (("mkfs.ext4", "/dev/x"), "CAP_DAC_OVERRIDE"),
        (("blockdev", "--setro", "/dev/x"), "CAP_DAC_READ_SEARCH CAP_SYS_ADMIN"),
        (("nsenter", "--net=/run/netns/x", "id"), "CAP_SYS_ADMIN"),
    ],
)
def test_the_most_specific_form_counts(words: tuple[str | None, ...], capabilities: str) -> None:
    assert names(*words) == capabilities


def test_arguments_that_fit_no_form_count_as_any() -> None:
    found = known("qemu-nbd", "--weird")
    assert found.rows == known("qemu-nbd").rows
    assert known("bridge", "vlan", "add").capabilities == CapabilitySet.parse("CAP_NET_ADMIN")
    specific = known("cryptsetup", "luksDump", "/dev/x")
    assert not specific.general
    assert known("cryptsetup").general
    assert specific.capabilities <= known("cryptsetup").capabilities


def test_an_unknown_word_never_makes_the_set_smaller() -> None:
    for rows in knowledge.table().values():
        for row in rows:
            words = row.argv.split()
            for position in range(1, len(words)):
                masked = (*words[:position], None, *words[position + 1 :])
                found = lookup(masked)
                if found is None:  # nothing is known of any command in a namespace
                    assert words[:3] == ["ip", "netns", "exec"]
                else:
                    assert known(*words).capabilities <= found.capabilities, masked


def test_nothing_is_claimed_of_programs_without_rows() -> None:
    for words in ([], ["ivs-ctl"], ["/opt/x/vgc-cluster", "a"], [None], ["env"], ["env", "A=1"]):
        assert lookup(words) is None
    # nothing is known of the whole where nothing is known of a part
    assert lookup(("ip", "netns", "exec", "x", "ivs-ctl")) is None
    assert knowledge.family("ivs-ctl") is None


def test_only_observed_rows_count_as_verified() -> None:
    assert known("chmod").verified
    assert known("sysctl").verified
    for words in (("modprobe", "x"), ("lvcreate",), ("fdisk",), ("resize2fs", "/dev/x"), ("lvs",)):
        assert not known(*words).verified


def test_other_names_of_a_program_are_marked() -> None:
    assert known("ip6tables-save").derived_from == ("iptables-legacy-save", "iptables-nft")
    assert known("ping6").derived_from == ("ping",)
    assert known("iptables-nft").derived_from == ()
    for name, others in knowledge._SAME_AS.items():
        assert set(others) <= knowledge.table().keys(), name


def test_other_names_are_the_same_program_where_they_are_installed() -> None:
    same = (
        *(("lvs", "vgs"), ("lvdisplay", "vgs"), ("vgcreate", "pvcreate"), ("pvscan", "pvs")),
        *(("ip6tables-nft", "iptables-nft"), ("ebtables", "ebtables-nft"), ("ping6", "ping")),
        *(("mkfs.ext3", "mkfs.ext4"), ("mke2fs", "mkfs.ext4"), ("fsck.ext4", "e2fsck")),
        *(("e2label", "tune2fs"),),
    )
    found = [
        tuple(shutil.which(word, path="/usr/sbin:/sbin:/usr/bin:/bin") for word in pair)
        for pair in same
    ]
    installed = [(name, other) for name, other in found if name and other]
    assert installed, "not even e2fsprogs is installed"
    for name, other in installed:
        assert Path(name).samefile(other)


def test_families_and_standard_input() -> None:
    assert knowledge.family("/bin/chown") == "files"
    assert knowledge.family("lvs") == "storage"
    assert knowledge.family("ip6tables") == "network"
    assert {row.family for row in ROWS} == {
        *("files", "filesystems", "network", "process", "services", "storage"),
        *("system", "virtualisation"),
    }
    for command in ("tee", "/usr/bin/dd", "iptables-restore", "cryptsetup"):
        assert knowledge.reads_stdin(command)
    for command in ("chown", "mount", "lvs"):
        assert not knowledge.reads_stdin(command)


def test_a_program_has_one_family() -> None:
    for rows in knowledge.table().values():
        assert len({row.family for row in rows}) == 1


def test_the_table_is_read_when_it_is_asked_for() -> None:
    script = (
        "import privmigrate.privsep.knowledge as k;"
        "assert k.table.cache_info().currsize == 0; k.lookup(['cat']);"
        "assert k.table.cache_info().currsize == 1"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def distinct_commands(files: list[Path]) -> set[str]:
    """The base names of what the filters of these files execute."""
    commands = set()
    for path in files:
        for rule in parse_filters(path.read_bytes(), str(path)).rules:
            bound = bind(rule)
            if not isinstance(bound, Diagnostic):
                commands.add(bound.exec_path.rpartition("/")[2])
    return commands


def test_four_fifths_of_the_commands_of_real_filters_have_a_set(real_filters: list[Path]) -> None:
    """Verified or documented; those that no set bounds have evidence too, and do not count."""
    commands = distinct_commands(real_filters)
    evidence = {name: lookup((name,)) for name in commands}
    known = {name for name, found in evidence.items() if found is not None}
    with_a_set = {name for name in known if (found := evidence[name]) and found.bounded}
    assert len(with_a_set) >= 0.8 * len(commands), sorted(commands - with_a_set)
    assert len(known) >= 0.9 * len(commands), sorted(commands - known)


def test_a_command_without_bounds_has_no_set() -> None:
    for words in (("sh", "-c", "id"), ("mmcrfileset", "fs1", "x"), ("python3",)):
        assert not known(*words).bounded
        assert not known(*words).verified
    assert known("chown", "1:1", "f").bounded


def test_what_no_source_says_is_not_claimed() -> None:
    for words in (("raidcom", "get", "ldev"), ("horcmstart.sh", "0"), ("paircreate",)):
        found = known(*words)
        assert {row.root_status for row in found.rows} == {"unverified"}
        assert not found.bounded
        assert not found.verified
