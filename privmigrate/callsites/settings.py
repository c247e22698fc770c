"""What a person may say about a project's sources, in the ``[tool.privmigrate]`` table.

It stands in the ``pyproject.toml`` of the analysed project: in the folder of a path that is
analysed, or above it.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from privmigrate.errors import InputError
from privmigrate.linux.reading import read_regular

TABLE: Final = "privmigrate"
_TESTS: Final = ("*/tests/*", "tests/*", "*/test_*.py", "test_*.py", "*/.*/*")
_MAX_FOLDERS: Final = 12


@dataclass(frozen=True, slots=True)
class Settings:
    """What the analysis is told.

    Attributes:
        executors: dotted names, or ends of them after ``*.``, of functions that run their
            positional arguments as a command line: as root if `run_as_root` says so.
        root_executors: the same, always as root.
        list_executors: functions whose first argument is the command line, as a list.
        local: calls that always run on this machine, though analysis finds a remote road as well.
        ignore: functions that are no executors, whatever they look like.
        exclude: shell-like patterns over paths below those that are analysed.
    """

    executors: tuple[str, ...] = ()
    root_executors: tuple[str, ...] = ()
    list_executors: tuple[str, ...] = ()
    local: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = _TESTS


def read_settings(paths: Sequence[str]) -> Settings:
    """Read the first table found beside or above the paths; raise InputError for a wrong one."""
    for path in paths:
        start = Path(path).absolute()
        for folder in [start, *start.parents][:_MAX_FOLDERS]:
            file = folder / "pyproject.toml"
            table = _table(file)
            if table is not None:
                return _settings(table, str(file))
    return Settings()


def _table(file: Path) -> Mapping[str, object] | None:
    try:
        if not file.is_file():
            return None
        data = tomllib.loads(read_regular(str(file)).decode())
    except (OSError, UnicodeDecodeError, RecursionError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{file}: cannot be read: {error}") from error
    tool = data.get("tool")
    table = tool.get(TABLE) if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None


def _settings(table: Mapping[str, object], file: str) -> Settings:
    known = {field.name.replace("_", "-"): field.name for field in fields(Settings)}
    values: dict[str, tuple[str, ...]] = {}
    for key, value in table.items():
        name = known.get(key)
        if name is None:
            there_are = ", ".join(sorted(known))
            raise InputError(f"{file}: [tool.{TABLE}] has no {key!r} (there are: {there_are})")
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise InputError(f"{file}: [tool.{TABLE}] {key} must be a list of strings")
        values[name] = tuple(value)
    return Settings(**values)
