"""Rows that were learned on the spot: the tables ``[[learned]]`` of a TOML file.

`privmigrate learn` writes them. Only what was verified is evidence; what was merely observed, or
worked once and then not, stays in the file and counts for nothing here.
"""

from collections.abc import Iterator, Mapping
from typing import Final, cast

from privmigrate.errors import InputError
from privmigrate.linux.capabilities import NONE, CapabilitySet, parse_capability
from privmigrate.linux.reading import read_regular
from privmigrate.privsep.knowledge import Row, Status

KEY: Final = "learned"
VERIFIED: Final = "verified"
_CANNOT_WORK: Final = "cannot work"
# Of commands that the table of commands does not know.
_FAMILY: Final = "learned"


def read_rows(path: str) -> Mapping[str, tuple[Row, ...]]:
    """The verified rows of a TOML file, by program; raise InputError."""
    import tomllib

    try:
        return rows_of(tomllib.loads(read_regular(path).decode()), path)
    except OSError as error:
        raise InputError(f"{path}: error: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: error: is no TOML: {error}") from error


def rows_of(data: Mapping[str, object], file: str) -> Mapping[str, tuple[Row, ...]]:
    """The verified rows in the content of a TOML file, by program; raise InputError."""
    found: dict[str, list[Row]] = {}
    for number, entry in enumerate(entries_of(data, file), start=1):
        place = f"{file}: error: entry {number} of [[{KEY}]]"
        if _text(entry, "root_status", place) == VERIFIED:
            row = _row(entry, place)
            found.setdefault(row.program, []).append(row)
    return {program: tuple(rows) for program, rows in found.items()}


def entries_of(data: Mapping[str, object], file: str) -> Iterator[Mapping[str, object]]:
    """The entries as they stand there."""
    entries = data.get(KEY, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{file}: error: {KEY} is not written as [[{KEY}]]")
    yield from cast("list[dict[str, object]]", entries)


def _row(entry: Mapping[str, object], place: str) -> Row:
    service: Status = "not exercised"
    if _text(entry, "service_status", place) in {VERIFIED, _CANNOT_WORK}:
        service = "verified" if entry["service_status"] == VERIFIED else "cannot work"
    argv = _texts(entry, "argv", place)
    if not argv:
        raise InputError(f"{place}: argv is empty")
    words = _texts(entry, "words", place)
    return Row(
        program=argv[0].rpartition("/")[2],
        words=words,
        form=" ".join(("with", *words)) if words else "as it stands",
        argv=" ".join(argv),
        family=_FAMILY,
        root_status="verified",
        root=_capabilities(entry, "root", place),
        service_status=service,
        service=_capabilities(entry, "service", place) if service == "verified" else NONE,
        kernel=_text(entry, "kernel", place),
        source=f"learned, {_text(entry, 'source', place)}, run again",
        notes="; ".join(_texts(entry, "remarks", place)),
    )


def _text(entry: Mapping[str, object], key: str, place: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise InputError(f"{place}: {key} is no text")
    return value


def _texts(entry: Mapping[str, object], key: str, place: str) -> tuple[str, ...]:
    value = entry.get(key)
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise InputError(f"{place}: {key} is no list of texts")
    return tuple(cast("list[str]", value))


def _capabilities(entry: Mapping[str, object], key: str, place: str) -> CapabilitySet:
    try:
        words = _texts(entry, key, place)
        return CapabilitySet.from_numbers(parse_capability(word) for word in words)
    except ValueError as error:
        raise InputError(f"{place}: {key}: {error}") from error
