"""The person's own table of capabilities: a TOML file, one row for a command or an entrypoint.

    tgtadm = ["CAP_SYS_ADMIN"]
    "volume.find_inum" = []

An entrypoint is named with its module, and its row counts before its command's. What `privmigrate
learn` has written into the same file counts after both, and before the table of commands.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from privmigrate.convert.place import Needs
from privmigrate.errors import InputError
from privmigrate.linux.capabilities import CapabilitySet, parse_capability
from privmigrate.privsep.knowledge.learned import KEY, rows_of

_PLACE: Final = re.compile(r" \(at line (\d+), column (\d+)\)\Z")


def read_needs(path: str) -> Needs:
    """Read the table; raise InputError with file and line."""
    try:
        text = Path(path).read_bytes().decode()
    except OSError as error:
        raise InputError(f"{path}: error: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: error: is not in UTF-8: {error}") from error
    return parse_needs(text, path)


def parse_needs(text: str, file: str) -> Needs:
    """Read the table's text; raise InputError with file and line."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _PLACE.search(str(error))
        place = f"{file}:{found[1]}:{found[2]}" if found else f"{file}:{text.count(chr(10)) + 1}"
        raise InputError(f"{place}: error: is no TOML: {_PLACE.sub('', str(error))}") from error
    learned = rows_of(data, file)
    data.pop(KEY, None)
    sets = {name: _set(name, value, text, file) for name, value in _rows(data, "")}
    return Needs(sets, learned)


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
