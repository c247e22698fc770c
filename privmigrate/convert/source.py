"""What the command line names: files, folders with ``.filters`` files, a rootwrap.conf.

Reads everything before anything else happens, and raises InputError with file and line for what
cannot be used.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from privmigrate.convert.patterns import why_broken
from privmigrate.diagnostics import Diagnostic, Severity, shortened
from privmigrate.errors import InputError
from privmigrate.rootwrap.config import DEFAULT_EXEC_DIRS, load_config
from privmigrate.rootwrap.parse import Parsed, read_filters
from privmigrate.rootwrap.rule import Rule, Status

_PATTERN_CLASSES: Final = ("RegExpFilter", "ChainingRegExpFilter")


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that was read.

    Attributes:
        rules: of all files, in the order of the files' labels, then as rootwrap asks them.
        labels: for each file read, the name by which output calls it.
        exec_dirs: where bare names are looked up.
        notes: what to tell the person.
    """

    rules: tuple[Rule, ...]
    labels: Mapping[str, str]
    exec_dirs: tuple[str, ...]
    notes: tuple[str, ...]


def read_sources(paths: Sequence[str]) -> Sources:
    """Read what the paths name; raise InputError for what cannot be used."""
    files: dict[str, None] = {}
    exec_dirs: dict[str, None] = {}
    notes: list[str] = []
    for path in paths:
        found, folders, more = _expand(path)
        files.update(dict.fromkeys(found))
        exec_dirs.update(dict.fromkeys(folders))
        notes.extend(more)
    for folder in [folder for folder in exec_dirs if not folder.startswith("/")]:
        notes.append(f"{folder!r} in exec_dirs is not absolute: left out")
        del exec_dirs[folder]
    labels = _labels(files)
    ordered = sorted(labels, key=lambda file: (labels[file], file))
    parsed = [read_filters(file) for file in ordered]
    problems = [problem for each in parsed for problem in each.errors]
    problems.extend(problem for each in parsed for problem in _broken_patterns(each))
    if problems:
        raise InputError("\n".join(map(str, problems)))
    notes.extend(
        str(each) for one in parsed for each in one.diagnostics if each.severity is Severity.WARNING
    )
    if not exec_dirs:
        exec_dirs = dict.fromkeys(DEFAULT_EXEC_DIRS)
    rules = tuple(rule for each in parsed for rule in each.rules)
    return Sources(rules, labels, tuple(exec_dirs), tuple(dict.fromkeys(notes)))


def _expand(path: str) -> tuple[list[str], tuple[str, ...], list[str]]:
    """The filter files that a path stands for, with the exec_dirs of a rootwrap.conf."""
    if os.path.isdir(path):  # noqa: PTH112 - paths stay as they were written
        found = _folder(path)
        conf = Path(path).parent / "rootwrap.conf"
        if not conf.is_file():
            return found, (), []
        try:
            folders = load_config(str(conf), {}).exec_dirs
        except InputError as error:
            return found, (), [f"{error}; its exec_dirs are not used"]
        return found, folders, [f"exec_dirs are those of {conf}"] if folders else []
    try:
        os.stat(path)  # noqa: PTH116
    except OSError as error:
        raise InputError(f"{path}: error: cannot be read: {error.strerror}") from error
    if not path.endswith(".conf"):
        return [path], (), []
    config = load_config(path, {})
    found, notes = [], []
    for folder in config.filters_path:
        beside = Path(path).parent / Path(folder).name
        if os.path.isdir(folder):  # noqa: PTH112
            found.extend(_folder(folder))
        elif folder and beside.is_dir():
            # in a source tree the configuration names the folder that an installation will have
            notes.append(f"{path}: {folder} is not here: {beside} is read in its place")
            found.extend(_folder(str(beside)))
        else:
            notes.append(f"{path}: {folder!r} in filters_path is not a folder; rootwrap skips it")
    if not found:
        raise InputError(f"{path}: error: no folder of its filters_path has a filter file")
    return found, config.exec_dirs, notes


def _folder(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208
    except OSError as error:
        raise InputError(f"{folder}: error: cannot be read: {error.strerror}") from error
    paths = (os.path.join(folder, name) for name in names if not name.startswith("."))  # noqa: PTH118
    found = [path for path in paths if os.path.isfile(path)]  # noqa: PTH113
    if not found:
        raise InputError(f"{folder}: error: has no filter file")
    return found


def _labels(files: Mapping[str, None]) -> dict[str, str]:
    """Name files as briefly as they can be told apart, never by a path of this machine."""
    labels: dict[str, str] = {}
    seen: dict[str, str] = {}
    for file in files:
        real = os.path.realpath(file)
        if real not in seen:
            seen[real] = file
            labels[file] = Path(file).name
    for name in {name for name in labels.values() if list(labels.values()).count(name) > 1}:
        alike = sorted(file for file, label in labels.items() if label == name)
        for file in alike:
            labels[file] = f"{Path(os.path.abspath(file)).parent.name}/{name}"  # noqa: PTH100
        alike = [file for file in alike if list(labels.values()).count(labels[file]) > 1]
        for number, file in enumerate(alike, start=1):
            labels[file] = f"{number}/{labels[file]}"
    return labels


def _broken_patterns(parsed: Parsed) -> Iterator[Diagnostic]:
    """Patterns that `re` does not compile: rootwrap then denies every command line, silently."""
    for rule in parsed.rules:
        if rule.status is not Status.LIVE or rule.filter_class not in _PATTERN_CLASSES:
            continue
        for value in rule.values[2:]:
            why = why_broken(value.text)
            if why is not None:
                yield Diagnostic(
                    value.span,
                    Severity.ERROR,
                    "broken-pattern",
                    f"{rule.raw_name}: '{shortened(value.text)}' is no regular expression: {why}",
                    "rootwrap denies everything here, without a word",
                )


def relabel(rules: Sequence[Rule], labels: Mapping[str, str]) -> tuple[Rule, ...]:
    """Let the rules' places name files as the output does."""
    return tuple(
        replace(rule, span=replace(rule.span, file=labels[rule.span.file])) for rule in rules
    )
