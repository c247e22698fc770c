"""``privmigrate caps``: what processes hold, and what commands need."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from privmigrate.audit.power import as_good_as_root
from privmigrate.cli import add_format
from privmigrate.diagnostics import printable
from privmigrate.errors import InputError
from privmigrate.linux.capabilities import Capability, CapabilitySet
from privmigrate.linux.credentials import Credentials, read_own, read_threads
from privmigrate.linux.exec_rules import AtExec, predict
from privmigrate.linux.thread import SecureBits
from privmigrate.privsep.daemon.record import Record, read_record
from privmigrate.privsep.knowledge import NOTHING_LEARNED, WITHOUT_SET, Evidence, Row, lookup
from privmigrate.privsep.knowledge.learned import read_rows

_WIDTH: Final = 34
_OSLO_OPTION: Final = "--privsep_context"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add ``show`` and ``explain``."""
    parser.description = "Show what processes hold, and explain what commands need."
    parser.epilog = (
        "caps ACTION --help says more of each.\n"
        "exit codes: 0 shown or explained, 1 nothing is known of the command, 2 bad input"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser(
        "show",
        help="what a process, its threads and its commands hold",
        description="Show the capabilities of a process and its threads, and what its commands"
        " would get. Without PID and NAME: of every privsep daemon.",
        epilog="example: privmigrate caps show 4711",
    )
    which = show.add_mutually_exclusive_group()
    which.add_argument("pid", nargs="?", metavar="PID", help="one process")
    which.add_argument(
        "--service",
        metavar="NAME",
        help="the processes of a systemd unit, or the daemons of a context or of a package",
    )
    add_format(show)
    explain = actions.add_parser(
        "explain",
        help="what a command needs, and how that is known",
        description="Explain which capabilities a command needs. The command alone means: with"
        " any arguments.",
        epilog="example: privmigrate caps explain chown -R 42:42 /srv/share",
    )
    add_format(explain)
    explain.add_argument(
        "--learned", metavar="FILE", help="what privmigrate learn has recorded counts as well"
    )
    explain.add_argument("command", metavar="CMD", help="the command")
    explain.add_argument("words", nargs=argparse.REMAINDER, metavar="ARGS", help="its arguments")


def run(arguments: argparse.Namespace) -> int:
    """Print; 0 if there was something to say, 1 if nothing is known."""
    if arguments.action == "explain":
        words = (arguments.command, *arguments.words)
        return _explain(words, arguments.learned, as_json=arguments.format == "json")
    return _show(arguments.pid, arguments.service, as_json=arguments.format == "json")


# show


@dataclass(frozen=True, slots=True)
class _Shown:
    pid: int
    record: Record | None
    threads: tuple[Credentials, ...]

    @property
    def securebits(self) -> SecureBits | None:
        first = self.threads[0].securebits
        return first if self.record is None else self.record.securebits

    @property
    def at_exec(self) -> AtExec:
        return predict(self.threads[0], self.securebits or SecureBits(0))


def _show(pid: str | None, service: str | None, *, as_json: bool) -> int:
    if pid is not None:
        pids = [_parse_pid(pid)]
    elif service is not None:
        pids = [number for number in _all_pids() if _belongs(number, service)]
        if not pids:
            raise InputError(f"no process belongs to {service!r}: not a unit, not a context")
    else:
        pids = [number for number in _all_pids() if _context_of(number) is not None]
    shown = list(_collect(pids, strict=pid is not None))
    if as_json:
        print(json.dumps([_as_json(one) for one in shown], indent=2))
        return 0
    if not shown:
        print("no privsep daemon is running", file=sys.stderr)
    for one in shown:
        print("\n".join(_describe(one)))
    return 0


def _parse_pid(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31):
        raise InputError(f"{text!r} is no process id")
    return int(text)


def _collect(pids: list[int], *, strict: bool) -> Iterator[_Shown]:
    for pid in pids:
        try:
            threads = read_threads(pid)
        except InputError:
            if strict:
                raise
            continue  # it has ended since
        if pid == os.getpid():
            threads = (read_own(), *threads[1:])
        yield _Shown(pid, read_record(pid), threads)


def _all_pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208


def _read_file(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return ""


def _context_of(pid: int) -> str | None:
    """The context of a daemon of ours, or of one of oslo.privsep's by its command line."""
    record = read_record(pid)
    if record is not None:
        return record.context
    words = _read_file(f"/proc/{pid}/cmdline").split("\0")
    for word, following in zip(words, (*words[1:], ""), strict=True):
        if word == _OSLO_OPTION:
            return following
        if word.startswith(f"{_OSLO_OPTION}="):
            return word.partition("=")[2]
    return None


def _belongs(pid: int, service: str) -> bool:
    context = _context_of(pid)
    if context is not None and f"{context}.".startswith(f"{service}."):
        return True
    units = {service, f"{service}.service"}
    return any(units & set(line.split("/")) for line in _read_file(f"/proc/{pid}/cgroup").split())


def _describe(one: _Shown) -> Iterator[str]:
    first = one.threads[0]
    groups = " ".join(map(str, first.groups)) or "none"
    yield (
        f"{one.pid} {printable(first.name)}: uid {first.uids}, gid {first.gids}, groups {groups}"
    )
    if one.record is not None:
        yield f"  context       {printable(one.record.context)}"
    for name, kept in _sets(first):
        yield f"  {name:<13} {kept}"
    yield f"  securebits    {_securebits(one)}"
    yield f"  no_new_privs  {'yes' if first.no_new_privs else 'no'}"
    yield f"  dumpable      {_three_way(first.dumpable)}"
    yield from _describe_threads(one)
    unknown = one.securebits is None
    yield f"  at exec{', if its securebits are none' if unknown else ''}:"
    rules = one.at_exec
    yield f"    {'a command':<{_WIDTH}} {rules.command}"
    yield f"    {'a setuid-root program':<{_WIDTH}} {rules.setuid_root}"
    yield f"    {'a program with file capabilities':<{_WIDTH}} at most {rules.file_capabilities}"
    yield f"    {'a command of another user':<{_WIDTH}} {rules.other_user}"
    if 0 in first.uids:
        yield "  as good as root: uid 0, which owns root's files whatever it holds"
    yield from _as_good_as_root(rules.command)


def _as_good_as_root(capabilities: CapabilitySet) -> Iterator[str]:
    if strong := as_good_as_root(capabilities):
        yield f"  as good as root: {strong}, for whoever chooses what the command does"


def _describe_threads(one: _Shown) -> Iterator[str]:
    first, others = one.threads[0], one.threads[1:]
    different = [other for other in others if _sets(other) != _sets(first)]
    count = len(one.threads)
    if not different:
        yield f"  threads       {count}{', all alike' if count > 1 else ''}"
        return
    yield f"  threads       {count}, of which {len(different)} differ:"
    for other in different:
        mine = [pair for pair in _sets(other) if pair not in _sets(first)]
        yield f"    {other.tid}: " + "; ".join(f"{name} {kept}" for name, kept in mine)


def _sets(thread: Credentials) -> tuple[tuple[str, CapabilitySet], ...]:
    return (
        ("effective", thread.effective),
        ("permitted", thread.permitted),
        ("inheritable", thread.inheritable),
        ("ambient", thread.ambient),
        ("bounding", thread.bounding),
    )


def _securebits(one: _Shown) -> str:
    if one.securebits is None:
        return "only the process itself can read them"
    return f"{one.securebits}{' (recorded at its start)' if one.record is not None else ''}"


def _three_way(value: bool | None) -> str:  # noqa: FBT001 - a value to print
    return {True: "yes", False: "no", None: "cannot be told from outside"}[value]


def _as_json(one: _Shown) -> dict[str, object]:
    bits = one.securebits
    rules = one.at_exec
    return {
        "pid": one.pid,
        "name": one.threads[0].name,
        "context": None if one.record is None else one.record.context,
        "securebits": None if bits is None else list(bits.names),
        "threads": [
            {
                "tid": thread.tid,
                "uids": [thread.uids.real, thread.uids.effective, thread.uids.saved],
                "gids": [thread.gids.real, thread.gids.effective, thread.gids.saved],
                "groups": list(thread.groups),
                **{name: list(kept.names) for name, kept in _sets(thread)},
                "no_new_privs": thread.no_new_privs,
                "dumpable": thread.dumpable,
            }
            for thread in one.threads
        ],
        "at_exec": {
            "assumes_no_securebits": bits is None,
            "command": list(rules.command.names),
            "setuid_root": list(rules.setuid_root.names),
            "file_capabilities": list(rules.file_capabilities.names),
            "other_user": list(rules.other_user.names),
        },
    }


# explain


def _explain(words: tuple[str, ...], learned: str | None, *, as_json: bool) -> int:
    evidence = lookup(words, read_rows(learned) if learned is not None else NOTHING_LEARNED)
    if as_json:
        print(json.dumps(_evidence_as_json(words, evidence), indent=2))
    elif evidence is None:
        name = printable(words[0])
        print(f"{name}: nothing is known; observe it (privmigrate learn), or read its manual")
    else:
        print("\n".join(_describe_evidence(words, evidence)))
    return 1 if evidence is None else 0


def _describe_evidence(words: tuple[str, ...], evidence: Evidence) -> Iterator[str]:
    line = printable(" ".join(words))
    needed = str(evidence.capabilities) if evidence.bounded else _without_set(evidence)
    yield f"{line}{' (with any arguments)' if len(words) == 1 else ''}: {needed}"
    if evidence.bounded:
        yield f"  in a daemon of uid 0        {evidence.root}"
        yield f"  in a daemon of another uid  {evidence.service}"
    for number in evidence.capabilities:
        yield f"  {Capability(number).name:<22} {Capability(number).meaning}"
    if evidence.bounded:
        yield from _as_good_as_root(evidence.capabilities)
    if evidence.derived_from:
        yield f"  derived from {', '.join(evidence.derived_from)}: the same program, or its parts"
    if evidence.general and len(words) > 1:
        yield "  no form fits these arguments: every known form counts"
    yield f"evidence, {'all observed' if evidence.verified else 'not all observed'}:"
    for row in evidence.rows:
        yield f"  {_status_of(row)}: {row.form}{f' ({row.argv})' if row.argv else ''}"
        if row.root_status not in WITHOUT_SET:
            yield f"    uid 0: {row.root}; another uid: {row.service}"
        kernel = f"Linux {row.kernel}, " if row.kernel else ""
        if row.source:
            yield f"    {kernel}{row.source}"
        if row.notes:
            yield f"    {row.notes}"


def _without_set(evidence: Evidence) -> str:
    if any(row.root_status == "unbounded" for row in evidence.rows):
        return "no set bounds what it needs"
    return "nobody has watched it, and no source says what it needs"


def _status_of(row: Row) -> str:
    if row.service_status == row.root_status:
        return row.root_status
    return f"{row.root_status}, as another uid {row.service_status}"


def _evidence_as_json(words: tuple[str, ...], evidence: Evidence | None) -> dict[str, object]:
    if evidence is None:
        return {"command": list(words), "known": False}
    return {
        "command": list(words),
        "known": True,
        "program": evidence.program,
        "capabilities": list(evidence.capabilities.names),
        "root": list(evidence.root.names),
        "service": list(evidence.service.names),
        "verified": evidence.verified,
        "bounded": evidence.bounded,
        "general": evidence.general,
        "derived_from": list(evidence.derived_from),
        "evidence": [
            {
                "program": row.program,
                "form": row.form,
                "argv": row.argv,
                "root_status": row.root_status,
                "root": list(row.root.names),
                "service_status": row.service_status,
                "service": list(row.service.names),
                "kernel": row.kernel,
                "source": row.source,
                "notes": row.notes,
            }
            for row in evidence.rows
        ],
    }
