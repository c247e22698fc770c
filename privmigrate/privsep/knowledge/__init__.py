"""Which capabilities a command needs, with the evidence for every answer.

`commands.csv` has one row for each form of a command, sorted. A row that is ``verified`` was
observed: the form ran as uid 0 and as another uid, each in a daemon restricted as ours is, with
exactly the set in the row, and with no smaller one; ``/w`` is its scratch folder. ``not
exercised`` says why that was not possible. ``documented`` comes from the source that the row
names, and nobody has watched it. ``unbounded`` is a command of which the source says that it wants
all that root has, or whatever it is given to run: what such a command needs is not known. Nor is
it of one that is ``unverified``: the source says what it is, and nothing of what it needs.

What a command needs also depends on what it works on. Forms that differ only there (``cat`` of a
file of root or of somebody else) have the same words, and count together.
"""

import csv
import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from privmigrate.linux.capabilities import NONE, CapabilitySet

Status = Literal[
    "verified", "cannot work", "documented", "not exercised", "unbounded", "unverified"
]

_STATUSES: Final[dict[str, Status]] = {
    "verified": "verified",
    "cannot work": "cannot work",
    "documented": "documented",
    "not exercised": "not exercised",
    "unbounded": "unbounded",
    "unverified": "unverified",
}
WITHOUT_SET: Final[frozenset[Status]] = frozenset(("unbounded", "unverified"))
"""Of these no set is claimed."""

# The same program under another name, or a front end that starts one of these programs.
_SAME_AS: Final = {
    "iptables": ("iptables-nft", "iptables-legacy"),
    "iptables-save": ("iptables-nft", "iptables-legacy-save"),
    "iptables-restore": ("iptables-nft", "iptables-legacy-restore"),
    "ip6tables": ("iptables-nft", "iptables-legacy"),
    "ip6tables-save": ("iptables-nft", "iptables-legacy-save"),
    "ip6tables-restore": ("iptables-nft", "iptables-legacy-restore"),
    "ip6tables-nft": ("iptables-nft",),
    "ip6tables-legacy": ("iptables-legacy",),
    "ebtables": ("ebtables-nft",),
    "arptables": ("ebtables-nft",),
    "ping6": ("ping",),
    "ping4": ("ping",),
    "lvs": ("vgs",),
    "lvdisplay": ("vgs",),
    "lvscan": ("vgs",),
    "vgdisplay": ("vgs",),
    "vgscan": ("vgs",),
    "pvdisplay": ("pvs",),
    "pvscan": ("pvs",),
    "vgcreate": ("pvcreate",),
    "mke2fs": ("mkfs.ext4",),
    "mkfs.ext2": ("mkfs.ext4",),
    "mkfs.ext3": ("mkfs.ext4",),
    "mkfs": ("mkfs.ext4", "mkfs.xfs"),
    "fsck.ext2": ("e2fsck",),
    "fsck.ext3": ("e2fsck",),
    "fsck.ext4": ("e2fsck",),
    "e2label": ("tune2fs",),
}

# Commands that can read their standard input; what the others find there makes no difference.
_READS_STDIN: Final = {
    "arptables-restore": "rules",
    "bash": "a script without operand",
    "bc": "expressions",
    "btrfs": "a stream in receive",
    "cat": "without operand or with -",
    "cryptsetup": "a passphrase or key file -",
    "curl": "data with @-",
    "dash": "a script without operand",
    "dd": "without if=",
    "docker": "what a container or load reads",
    "dsmc": "its dialogue",
    "ebtables-nft-restore": "rules",
    "ebtables-restore": "rules",
    "fdisk": "its dialogue",
    "gdisk": "its dialogue",
    "gluster": "its dialogue",
    "grep": "without file",
    "gunzip": "without operand",
    "gzip": "without operand",
    "head": "without operand",
    "ip": "commands with -batch -",
    "ip6tables-legacy-restore": "rules",
    "ip6tables-nft-restore": "rules",
    "ip6tables-restore": "rules",
    "ipset": "a session in restore",
    "iptables-legacy-restore": "rules",
    "iptables-nft-restore": "rules",
    "iptables-restore": "rules",
    "knotc": "its dialogue without a command",
    "md5sum": "without operand",
    "nc": "what to send",
    "ncat": "what to send",
    "nft": "rules with -f -",
    "ovs-ofctl": "flows from -",
    "parted": "its dialogue without -s",
    "passwd": "a password",
    "chpasswd": "passwords",
    "python": "a program without operand",
    "python3": "a program without operand",
    "qzip": "without operand",
    "rabbitmqctl": "a password",
    "rbd": "an image in import -",
    "sed": "without file",
    "sfdisk": "a partition table",
    "sh": "a script without operand",
    "sha256sum": "without operand",
    "socat": "the address -",
    "sort": "without operand",
    "ssh": "what to send",
    "tail": "without operand",
    "tar": "an archive with -f -",
    "tc": "commands with -batch -",
    "tcpclient": "what its program reads",
    "tee": "always",
    "vtysh": "its dialogue",
    "wc": "without operand",
    "xargs": "words",
    "xe": "its dialogue",
    "zfs": "a stream in receive",
}

NOTHING_LEARNED: Final[Mapping[str, "tuple[Row, ...]"]] = MappingProxyType({})

_TABLE: Final = os.path.join(os.path.dirname(__file__), "commands.csv")  # noqa: PTH118, PTH120


@dataclass(frozen=True, slots=True)
class Row:
    """One form of a command, and how it is known what it needs.

    `root` is the minimal set in a daemon of uid 0, `service` in one of another uid; both are empty
    where their status is neither verified nor documented.
    """

    program: str
    words: tuple[str, ...]
    form: str
    argv: str
    family: str
    root_status: Status
    root: CapabilitySet
    service_status: Status
    service: CapabilitySet
    kernel: str
    source: str
    notes: str

    @property
    def verified(self) -> bool:
        """Observed, as uid 0 at least; where it cannot work as another uid, that was observed."""
        return self.root_status == "verified" and self.service_status in {
            "verified",
            "cannot work",
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a command line.

    Attributes:
        program: the name that was looked up.
        rows: the forms that it may be.
        general: no form fits better than any other, so all forms of the program count.
        derived_from: other names of the same program whose rows these are.
    """

    program: str
    rows: tuple[Row, ...]
    general: bool
    derived_from: tuple[str, ...]

    @property
    def root(self) -> CapabilitySet:
        """All that the forms need in a daemon of uid 0."""
        return functools.reduce(CapabilitySet.__or__, (row.root for row in self.rows), NONE)

    @property
    def service(self) -> CapabilitySet:
        """All that the forms need in a daemon of another uid."""
        return functools.reduce(CapabilitySet.__or__, (row.service for row in self.rows), NONE)

    @property
    def capabilities(self) -> CapabilitySet:
        """All that the forms need, whoever the daemon is."""
        return self.root | self.service

    @property
    def bounded(self) -> bool:
        """Whether a set is known at all: no form may need anything."""
        return all(row.root_status not in WITHOUT_SET for row in self.rows)

    @property
    def verified(self) -> bool:
        """Every form was observed, and there is no other that we know of."""
        return all(row.verified for row in self.rows)


def lookup(
    argv: Sequence[str | None], learned: Mapping[str, tuple[Row, ...]] = NOTHING_LEARNED
) -> Evidence | None:
    """Find what a command line needs; None if nothing is known of the program.

    A word that is None may be anything. A single word means the program with any arguments, and
    so do arguments that fit no form. ``env`` and assignments before the program are passed over;
    of ``ip netns exec NAME COMMAND`` the command counts too. Rows that were learned count beside
    those of the table, and in place of those that nobody has watched.
    """
    words = _after_environment(argv)
    if not words or words[0] is None:
        return None
    program = words[0].rpartition("/")[2]
    rows = _with_learned(_rows_of(program), learned.get(program, ()))
    if not rows:
        return None
    fitting = _most_specific(rows, words[1:])
    general = len(words) == 1 or not fitting
    chosen = rows if general else fitting
    derived = tuple(sorted({row.program for row in chosen} - {program}))
    inner = _command_in_namespace(program, words)
    if inner:
        more = lookup(inner, learned)
        if more is None:
            return None
        chosen = tuple(dict.fromkeys((*chosen, *more.rows)))
        derived += more.derived_from
        general = general or more.general
    return Evidence(program, chosen, general, derived)


def family(command: str) -> str | None:
    """What kind of thing a command works on: files, storage, network ...; None if unknown."""
    rows = _rows_of(command.rpartition("/")[2])
    return rows[0].family if rows else None


def reads_stdin(command: str) -> bool:
    """Whether the command can read its standard input."""
    return command.rpartition("/")[2] in _READS_STDIN


@functools.cache
def table() -> dict[str, tuple[Row, ...]]:
    """Every row, by program."""
    found: dict[str, list[Row]] = {}
    with open(_TABLE, encoding="utf-8", newline="") as file:  # noqa: PTH123 - pathlib costs 5 ms
        for record in csv.DictReader(file):
            row = _parse_row(record)
            found.setdefault(row.program, []).append(row)
    return {program: tuple(rows) for program, rows in found.items()}


def _parse_row(record: dict[str, str]) -> Row:
    return Row(
        program=record["program"],
        words=tuple(record["words"].split()),
        form=record["form"],
        argv=record["argv"],
        family=record["family"],
        root_status=_STATUSES[record["root_status"]],
        root=CapabilitySet.parse(record["root"]),
        service_status=_STATUSES[record["service_status"]],
        service=CapabilitySet.parse(record["service"]),
        kernel=record["kernel"],
        source=record["source"],
        notes=record["notes"],
    )


def _rows_of(program: str) -> tuple[Row, ...]:
    rows = table().get(program, ())
    for other in _SAME_AS.get(program, ()):
        rows += table()[other]
    return rows


def _with_learned(rows: tuple[Row, ...], learned: tuple[Row, ...]) -> tuple[Row, ...]:
    watched = {row.words for row in learned}
    kept = (row for row in rows if row.root_status == "verified" or row.words not in watched)
    return (*kept, *learned)


def _most_specific(rows: tuple[Row, ...], words: Sequence[str | None]) -> tuple[Row, ...]:
    """The rows that may fit, without those of which a row that certainly fits says more.

    Empty if none certainly fits: the command line may then be a form that has no row.
    """
    certain = [row for row in rows if _occurs(row.words, words, unknown=False)]
    if not certain:
        return ()
    return tuple(
        row
        for row in rows
        if _occurs(row.words, words, unknown=True)
        and not any(set(row.words) < set(other.words) for other in certain)
    )


def _occurs(tokens: tuple[str, ...], words: Sequence[str | None], *, unknown: bool) -> bool:
    """Options occur anywhere; other tokens in their order, with anything between.

    `unknown` is the answer for a word that may be anything.
    """
    operands = iter(words)
    for token in tokens:
        among = words if token.startswith("-") else operands
        if not any(unknown if word is None else _is_word(token, word) for word in among):
            return False
    return True


def _is_word(token: str, word: str) -> bool:
    """Whether a word is one of the alternatives; ``-*R`` is R among clustered short options."""
    for alternative in token.split("|"):
        if alternative.startswith("-*"):
            if word[:1] == "-" and word[1:].isalpha() and alternative[2:] in word:
                return True
        elif word == alternative or word.startswith(f"{alternative}="):
            return True
    return False


def _after_environment(argv: Sequence[str | None]) -> list[str | None]:
    words = list(argv)
    if words and words[0] is not None and words[0].rpartition("/")[2] == "env":
        words.pop(0)
    while words and words[0] is not None and words[0].partition("=")[0].isidentifier():
        if "=" not in words[0]:
            break
        words.pop(0)
    return words


def _command_in_namespace(program: str, words: list[str | None]) -> list[str | None]:
    if program == "ip" and words[1:3] == ["netns", "exec"]:
        return words[4:]
    return []
