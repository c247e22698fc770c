"""The file of what was learned: written, read back, read by convert, and never a person's loss."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privmigrate.convert import Options, convert
from privmigrate.convert.lock import Disk
from privmigrate.convert.needs import read_needs
from privmigrate.convert.place import DECLARED, UNVERIFIED
from privmigrate.errors import InputError
from privmigrate.learn.experiment import Learned, Proposal, Status
from privmigrate.learn.table import (
    MARK,
    check_form,
    check_path,
    entry_of,
    form_of,
    record,
)
from privmigrate.linux.capabilities import NONE, CapabilitySet
from privmigrate.privsep.knowledge import lookup
from privmigrate.privsep.knowledge.learned import rows_of
from privmigrate.rootwrap.parse import parse_filters


def proposal(capabilities: str, status: Status = "verified") -> Proposal:
    kept = CapabilitySet.parse(capabilities)
    return Proposal(status, kept, kept, 4, ("a remark",))


def learned(*argv: str, root: str = "none", status: Status = "verified") -> Learned:
    return Learned(
        argv=argv,
        executable=f"/usr/bin/{argv[0]}",
        code=0,
        source="tracepoint",
        kernel="6.18",
        compared=("exit status", "output"),
        set_up="",
        check="",
        clean_up="",
        root=proposal(root, status),
        service=proposal("CAP_KILL"),
        remarks=(),
    )


def entry(*argv: str, root: str = "none", status: Status = "verified") -> Mapping[str, object]:
    return entry_of(learned(*argv, root=root, status=status), form_of(argv), "declared")


def test_what_is_written_is_evidence_for_that_form(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    record(str(path), [entry("vgc-cluster", "list", "--all", "/srv/x", root="CAP_CHOWN")])
    needs = read_needs(str(path))
    found = lookup(("vgc-cluster", "list", "/srv/y", "--all"), needs.learned)
    assert found is not None
    assert not found.general
    assert found.verified
    assert (str(found.root), str(found.service)) == ("CAP_CHOWN", "CAP_KILL")
    other = lookup(("vgc-cluster", "remove", "/srv/y"), needs.learned)
    assert other is not None
    assert other.general
    assert lookup(("vgc-cluster", "list")) is None


def test_a_second_time_takes_the_place_of_the_first_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    record(str(path), [entry("b", root="CAP_CHOWN"), entry("a")])
    record(str(path), [entry("b", root="CAP_FOWNER")])
    entries = tomllib.loads(path.read_text())["learned"]
    assert [(one["argv"], one["root"]) for one in entries] == [(["a"], []), (["b"], ["CAP_FOWNER"])]
    assert [file.name for file in tmp_path.iterdir()] == ["x.toml"]


def test_a_persons_rows_stay_as_they_are_and_count_first(tmp_path: Path) -> None:
    own = '# mine\nvgc-cluster = ["CAP_SYSLOG"]   # because\n"mkfs.ext4"=[]\n'
    path = tmp_path / "x.toml"
    path.write_text(own)
    record(str(path), [entry("vgc-cluster", root="CAP_CHOWN")])
    record(str(path), [entry("other")])
    assert path.read_text().startswith(f"{own}{MARK}\n")
    needs = read_needs(str(path))
    assert needs.sets == {"vgc-cluster": CapabilitySet.parse("CAP_SYSLOG"), "mkfs.ext4": NONE}
    assert set(needs.learned) == {"vgc-cluster", "other"}


def test_convert_takes_a_learned_form_and_nothing_for_other_arguments(tmp_path: Path) -> None:
    """What was learned of one form says nothing of a wide entrypoint of the same command."""
    path = tmp_path / "x.toml"
    rules = parse_filters(
        b"[Filters]\na: RegExpFilter, hus, root, hus, list, .*\nb: CommandFilter, hus, root\n",
        "x.filters",
    ).rules

    def contexts() -> dict[str, tuple[str, tuple[str, ...] | None]]:
        options = Options(exec_dirs=("/usr/bin",), needs=read_needs(str(path)))
        ops = convert(rules, options, Disk(None, {})).ops
        return {op.name: (op.context, op.capabilities) for op in ops}

    record(str(path), [entry("hus", "list", "/srv/x", root="CAP_CHOWN")])
    exact, wide = contexts().values()
    assert exact == (DECLARED, ("CAP_CHOWN", "CAP_KILL"))
    assert wide == (UNVERIFIED, None)
    record(str(path), [entry_of(learned("hus", root="CAP_CHOWN"), (), "declared")])
    assert contexts().popitem()[1] == (DECLARED, ("CAP_CHOWN", "CAP_KILL"))


@pytest.mark.parametrize("status", ["unstable", "observed", "cannot work"])
def test_what_was_not_verified_is_kept_and_counts_for_nothing(
    tmp_path: Path, status: Status
) -> None:
    path = tmp_path / "x.toml"
    record(str(path), [entry("vgc-cluster", root="CAP_CHOWN", status=status)])
    assert status in path.read_text()
    assert read_needs(str(path)).learned == {}


def test_of_the_service_only_what_was_verified_counts() -> None:
    cannot = replace(learned("x"), service=proposal("CAP_KILL", "cannot work"))
    (row,) = rows_of({"learned": [entry_of(cannot, (), "declared")]}, "f")["x"]
    assert (row.service_status, row.service) == ("cannot work", NONE)
    assert row.verified
    once = replace(learned("x"), service=None)
    (row,) = rows_of({"learned": [entry_of(once, (), "declared")]}, "f")["x"]
    assert not row.verified


def test_what_was_watched_takes_the_place_of_what_was_only_read() -> None:
    table = rows_of({"learned": [entry("modprobe", "-n", "x", root="none")]}, "f")
    found = lookup(("modprobe", "-n", "x"), table)
    assert found is not None
    assert found.root == NONE
    wide = lookup(("modprobe",), table)
    assert wide is not None
    assert str(wide.root) == "CAP_SYS_MODULE"


def test_a_more_specific_form_of_the_table_is_not_hidden_by_a_learned_one() -> None:
    table = rows_of({"learned": [entry("chown", "1:1", "/x", root="CAP_CHOWN")]}, "f")
    found = lookup(("chown", "-R", "1:1", "/x"), table)
    assert found is not None
    assert "CAP_DAC_READ_SEARCH" in found.capabilities.names


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ip link set dev v0 up", "link set dev v0 up"),
        ("ip addr add 10.0.0.1/24 dev eth0", "addr add dev eth0"),
        ("ip neigh add fe80::1 lladdr 02:00:00:00:00:09", "neigh add lladdr"),
        ("chown -R 1:1 /srv/x", "-R"),
        ("chown nova:nova /srv/x", "nova:nova"),
        ("sysctl -w net.ipv4.ip_forward=1", "-w net.ipv4.ip_forward"),
        ("dd if=/dev/zero of=/dev/x bs=1M", "if of bs"),
        ("mkfs.xfs --force=yes /dev/x", "--force"),
        ("cryptsetup open 4e7f6b1a-0000-4000-8000-1234567890ab x", "open x"),
        ("renice -5 100", ""),
        ("iptables -A INPUT -p tcp --dport 80", "-A INPUT -p tcp --dport"),
    ],
)
def test_a_form_leaves_out_what_is_certainly_an_operand(line: str, words: str) -> None:
    assert " ".join(form_of(tuple(line.split()))) == words


@pytest.mark.parametrize("word", ["a|b", "-*R", "a b", ""])
def test_words_that_the_table_reads_otherwise_are_refused(word: str) -> None:
    with pytest.raises(InputError, match="--form"):
        check_form((word,))


@given(st.lists(st.text(st.characters(exclude_categories=()), min_size=1), min_size=1, max_size=4))
def test_any_words_can_be_written(
    tmp_path_factory: pytest.TempPathFactory, argv: list[str]
) -> None:
    path = tmp_path_factory.mktemp("t") / "x.toml"
    record(str(path), [entry_of(learned(*argv), (), "declared")])
    (written,) = tomllib.loads(path.read_text())["learned"]
    expected = [word.encode("utf-8", "backslashreplace").decode() for word in argv]
    assert written["argv"] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = [", "is no TOML"),
        ("learned = 1", "learned is not written as [[learned]]"),
        ("[learned]\na = 1", "learned is not written as [[learned]]"),
        ("[[learned]]\n", "root_status is no text"),
        ('[[learned]]\nroot_status = "verified"\n', "service_status is no text"),
        (
            '[[learned]]\nroot_status = "verified"\nservice_status = ""\nargv = []\n',
            "argv is empty",
        ),
        (
            (
                '[[learned]]\nroot_status = "verified"\nservice_status = ""\nargv = ["x"]\n'
                'words = []\nroot = ["CAP_NO"]\nkernel = ""\nsource = ""\nremarks = []\n'
            ),
            "root: 'CAP_NO' is no capability",
        ),
        (
            '[[learned]]\nroot_status = "verified"\nservice_status = ""\nargv = ["x"]\nwords = 1\n',
            "words is no list of texts",
        ),
        ('[[learned]]\nroot_status = "observed"\n', "and not the line"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_message(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        check_path(str(path))
    assert str(caught.value).startswith(f"{path}: error: ")
    assert message in str(caught.value)
    assert path.read_text() == text


def test_places_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        check_path(str(tmp_path / "no" / "x"))
    with pytest.raises(InputError, match="cannot be read"):
        check_path(str(tmp_path))
    (tmp_path / "latin").write_bytes(b"\xff")
    with pytest.raises(InputError, match="not in UTF-8"):
        check_path(str(tmp_path / "latin"))
