"""How long a project's lines may be, as its linters and formatters are told beside its sources."""

import configparser
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from privmigrate.convert.spelling import WIDTH
from privmigrate.linux.reading import read_regular

_MAX_FOLDERS: Final = 12
_LEAST, _MOST = 60, 320
_INI: Final = ("tox.ini", "setup.cfg", ".flake8")
_SECTIONS: Final = ("flake8", "pycodestyle")
_OPTIONS: Final = ("max-line-length", "max_line_length")
_RUFF: Final = ("ruff.toml", ".ruff.toml")


def read_width(paths: Sequence[str]) -> int:
    """What the nearest folder at or above the paths says, the least if it says several things.

    A file that cannot be read says nothing: it is a matter of style.
    """
    for path in paths:
        start = Path(path).absolute()
        for folder in [start, *start.parents][:_MAX_FOLDERS]:
            if found := [each for each in _said(folder) if _LEAST <= each <= _MOST]:
                return min(found)
    return WIDTH


def _said(folder: Path) -> Iterator[int]:
    for name in _INI:
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        with suppress(configparser.Error):
            parser.read_string(_text(folder / name))
        for section in _SECTIONS:
            for option in _OPTIONS:
                with suppress(ValueError, TypeError):
                    yield int(parser.get(section, option, fallback=""))
    for name in _RUFF:
        yield from _number(_table(folder / name))
    tool = _table(folder / "pyproject.toml").get("tool")
    if isinstance(tool, dict):
        yield from (each for name in ("ruff", "black") for each in _number(tool.get(name)))


def _number(table: object) -> Iterator[int]:
    value = table.get("line-length") if isinstance(table, dict) else None
    if isinstance(value, int):
        yield value


def _table(file: Path) -> dict[str, object]:
    with suppress(tomllib.TOMLDecodeError, RecursionError):
        return tomllib.loads(_text(file))
    return {}


def _text(file: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return read_regular(str(file)).decode() if file.is_file() else ""
    return ""
