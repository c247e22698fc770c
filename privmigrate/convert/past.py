"""What an earlier run chose, seen from the operations of this one.

An operation is one of the past if its key is there, or, where its rule has changed, if a rule of
the same name and file had an entrypoint whose key is gone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from privmigrate.convert.lock import Lock, LockedFile
from privmigrate.convert.merge import Record, State
from privmigrate.convert.operation import Op, Prefix, Source
from privmigrate.convert.place import Recorded


@dataclass(frozen=True, slots=True)
class Past:
    """What is remembered.

    Attributes:
        recorded: module and names, by the key that the operation has now.
        was: the key that it had, where that was another.
        taken: every (module, name) that was ever given.
        files: what the lock says of each file.
    """

    recorded: Mapping[str, Recorded]
    was: Mapping[str, str]
    taken: frozenset[tuple[str, str]]
    files: Mapping[str, LockedFile]


def recall(lock: Lock | None, ops: Sequence[Op], prefixes: Sequence[Prefix]) -> Past:
    """Find the operations of this run in the lock."""
    files = lock.files if lock else {}
    keys = [op.key for op in ops] + [prefix.key for prefix in prefixes]
    sources = [op.remembered for op in ops] + [prefix.sources for prefix in prefixes]
    current = dict(zip(keys, sources, strict=True))
    recorded: dict[str, Recorded] = {}
    gone: dict[str, tuple[str, Record]] = {}
    for module, record in _records(files):
        if record.identity not in current:
            if record.state is not State.ORPHAN:
                gone.update(dict.fromkeys(record.sources, (module, record)))
        elif record.state is not State.ORPHAN or record.identity not in recorded:
            recorded[record.identity] = Recorded(module, record.name, record.params)
    was: dict[str, str] = {}
    for key, sources_of in current.items():
        if key in recorded:
            continue
        known = (gone[name] for name in rule_names(sources_of) if name in gone)
        for module, record in known:
            if record.identity not in was.values():
                recorded[key] = Recorded(module, record.name)
                was[key] = record.identity
                break
    taken = frozenset((module, record.name) for module, record in _records(files))
    return Past(recorded, was, taken, files)


def _records(files: Mapping[str, LockedFile]) -> Iterator[tuple[str, Record]]:
    """Everything that has a mark and a name, with its module."""
    for file, locked in files.items():
        for record in locked.records:
            if record.name and not record.identity.startswith("="):
                yield file.removesuffix(".py"), record


def rule_names(sources: Sequence[Source]) -> tuple[str, ...]:
    """Rules by file and name, without the line, which changes with every edit above."""
    return tuple(dict.fromkeys(f"{source.file} {source.name}" for source in sources))
