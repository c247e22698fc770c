"""A person's own table of what commands need: a TOML file, read by `convert` and by the shim.

    tgtadm = ["CAP_SYS_ADMIN"]
    "volume.find_inum" = []

A row is about a command, or about an entrypoint, named with its module. What `privmigrate learn`
has written stands in the same file; a person's rows count first.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from privmigrate.errors import InputError
from privmigrate.linux.capabilities import CapabilitySet, parse_capability
from privmigrate.linux.reading import read_regular
from privmigrate.privsep.knowledge import Row
from privmigrate.privsep.knowledge.learned import KEY, rows_of

_PLACE: Final = re.compile(r" \(at line (\d+), column (\d+)\)\Z")


@dataclass(frozen=True, slots=True)
class Declared:
    """What one file says: a person's rows, and the verified ones that were learned, by program."""

    sets: Mapping[str, CapabilitySet]
    learned: Mapping[str, tuple[Row, ...]]


NOTHING_DECLARED: Final = Declared(MappingProxyType({}), MappingProxyType({}))


def read_declared(path: str) -> Declared:
    """Read a file; raise InputError with file and line."""
    try:
        text = read_regular(path).decode()
    except OSError as error:
        raise InputError(f"{path}: error: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: error: is not in UTF-8: {error}") from error
    return parse_declared(text, path)


def parse_declared(text: str, file: str) -> Declared:
    """Read a file's text; raise InputError with file and line."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _PLACE.search(str(error))
        place = f"{file}:{found[1]}:{found[2]}" if found else f"{file}:{text.count(chr(10)) + 1}"
        raise InputError(f"{place}: error: is no TOML: {_PLACE.sub('', str(error))}") from error
    learned = rows_of(data, file)
    data.pop(KEY, None)
    sets = {name: _set(name, value, text, file) for name, value in _rows(data, "")}
    return Declared(sets, learned)


def _rows(data: Mapping[str, object], before: str) -> Iterator[tuple[str, object]]:
    """``mkfs.ext4`` without quotes is a table in a table: it means the same here."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _rows(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _set(name: str, value: object, text: str, file: str) -> CapabilitySet:
    place = f"{file}:{_line(name, text)}"
    example = f'write {name} = ["CAP_SYS_ADMIN"], or [] for none'
    if not isinstance(value, list):
        raise InputError(f"{place}: error: {name} is no list of capabilities ({example})")
    numbers = []
    for word in value:
        if not isinstance(word, str) or not word.startswith("CAP_"):
            raise InputError(f"{place}: error: {name}: {word!r} is no capability ({example})")
        try:
            numbers.append(parse_capability(word))
        except ValueError as error:
            raise InputError(f"{place}: error: {name}: {error} ({example})") from error
    return CapabilitySet.from_numbers(numbers)


def _line(name: str, text: str) -> int:
    """The line on which a row begins, as well as it can be told from the text."""
    last = name.rpartition(".")[2]
    for number, line in enumerate(text.splitlines(), start=1):
        key = line.partition("=")[0].replace('"', "").replace("'", "").strip()
        if key in {name, last} or (key and name.endswith(f".{key}")):
            return number
    return 1
