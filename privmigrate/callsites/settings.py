"""What a person may say about a project's sources, in the ``[tool.privmigrate]`` table.

It stands in the ``pyproject.toml`` of the analysed project: in the folder of a path that is
analysed, or above it.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from privmigrate.diagnostics import Span, shortened
from privmigrate.errors import InputError
from privmigrate.linux.reading import read_regular

TABLE: Final = "privmigrate"
_TESTS: Final = ("*/tests/*", "tests/*", "*/test_*.py", "test_*.py", "*/.*/*")
_MAX_FOLDERS: Final = 12
_HEADER: Final = re.compile(rf"\s*\[\s*tool\s*\.\s*[\"']?{TABLE}[\"']?\s*\]")
_NAME: Final = re.compile(r"\w+(?:\.\w+)+")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the analysis is told.

    Attributes:
        executors: dotted names, or ends of them after ``*.``, of functions that run their
            positional arguments as a command line: as root if `run_as_root` says so.
        root_executors: the same, always as root.
        list_executors: functions whose first argument is the command line, as a list.
        local: calls that always run on this machine, though analysis finds a remote road as well.
        local_injected: executors that are passed in and always run on this machine: the dotted
            name of a class with the attribute that its constructor sets, or of a function with
            its parameter. Each one by its name.
        ignore: functions that are no executors, whatever they look like.
        exclude: shell-like patterns over paths below those that are analysed.
        spans: where each name in `local_injected` stands.
    """

    executors: tuple[str, ...] = ()
    root_executors: tuple[str, ...] = ()
    list_executors: tuple[str, ...] = ()
    local: tuple[str, ...] = ()
    local_injected: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = _TESTS
    spans: Mapping[str, Span] = field(default_factory=dict, compare=False)


def read_settings(paths: Sequence[str]) -> Settings:
    """Read the first table found beside or above the paths; raise InputError for a wrong one."""
    for path in paths:
        start = Path(path).absolute()
        for folder in [start, *start.parents][:_MAX_FOLDERS]:
            file = folder / "pyproject.toml"
            text = _text(file)
            table = None if text is None else _table(text, file)
            if text is not None and table is not None:
                return _settings(table, str(file), text.splitlines())
    return Settings()


def _text(file: Path) -> str | None:
    try:
        return read_regular(str(file)).decode() if file.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read: {error}") from error


def _table(text: str, file: Path) -> Mapping[str, object] | None:
    try:
        data = tomllib.loads(text)
    except (RecursionError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{file}: cannot be read: {error}") from error
    tool = data.get("tool")
    table = tool.get(TABLE) if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None


def _settings(table: Mapping[str, object], file: str, lines: Sequence[str]) -> Settings:
    known = {each.name.replace("_", "-"): each.name for each in fields(Settings) if each.compare}
    values: dict[str, tuple[str, ...]] = {}
    for key, value in table.items():
        name = known.get(key)
        at = Span(file, _line_of(lines, key))
        if name is None:
            there_are = ", ".join(sorted(known))
            raise InputError(f"{at}: error: [tool.{TABLE}] has no {key!r} (there are: {there_are})")
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise InputError(f"{at}: error: [tool.{TABLE}] {key} must be a list of strings")
        values[name] = tuple(value)
    spans = {
        each: Span(file, _line_of(lines, "local-injected", each))
        for each in values.get("local_injected", ())
    }
    for each, span in spans.items():
        if not _NAME.fullmatch(each):
            raise InputError(
                f"{span}: error: local-injected: {shortened(each)!r} is not the dotted name of a "
                "class or function with its attribute or parameter (each has to be named: what a "
                "pattern covers, nobody has looked at)"
            )
    return Settings(**values, spans=spans)


def _line_of(lines: Sequence[str], key: str, value: str | None = None) -> int:
    """The line of a key in the table, or of one of its strings; 0 where it is written otherwise."""
    header = next((n for n, line in enumerate(lines) if _HEADER.match(line)), -1)
    found = next((n for n, line in enumerate(lines) if n > header and _key(line) == key), None)
    if found is None or value is None:
        return 0 if found is None else found + 1
    quoted = (f'"{value}"', f"'{value}'")
    rows = (n for n, line in enumerate(lines) if n >= found and any(q in line for q in quoted))
    return next(rows, found) + 1


def _key(line: str) -> str:
    return line.partition("=")[0].strip().strip("\"'")
