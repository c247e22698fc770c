"""The one place that uses oslo.rootwrap: its filter objects decide what exact mode means.

Nothing here changes a filter object: oslo.rootwrap keeps the executable that it found for ever in
the filter, and a daemon would go on to run a path that has long been replaced. Each decision here
is that of a fresh process.
"""

# Paths are texts here, as they are for oslo.rootwrap.
# ruff: noqa: PTH113, PTH115, PTH118, PTH120, PTH123

import copy
import os
from collections.abc import Mapping, Sequence
from shutil import which
from types import MappingProxyType
from typing import Final

from oslo_rootwrap import filters

from privmigrate.rootwrap.command import Command
from privmigrate.rootwrap.rule import Rule

Filter = filters.CommandFilter

_CLASSES: Final = MappingProxyType(
    {
        "CommandFilter": filters.CommandFilter,
        "RegExpFilter": filters.RegExpFilter,
        "PathFilter": filters.PathFilter,
        "EnvFilter": filters.EnvFilter,
        "KillFilter": filters.KillFilter,
        "ReadFileFilter": filters.ReadFileFilter,
        "IpFilter": filters.IpFilter,
        "IpNetnsExecFilter": filters.IpNetnsExecFilter,
        "ChainingFilter": filters.ChainingFilter,
        "ChainingRegExpFilter": filters.ChainingRegExpFilter,
    }
)


def build(rule: Rule) -> Filter:
    """Make oslo.rootwrap's filter of a rule that is live."""
    built: Filter = _CLASSES[rule.filter_class](*rule.texts)
    built.name = rule.name
    return built


def is_chain(asked: Filter) -> bool:
    """Say whether the filter wants another one to allow the rest of the argv."""
    return isinstance(asked, filters.ChainingFilter)


def matches(asked: Filter, words: list[str], environ: Mapping[str, str]) -> bool:
    """Ask the filter. EnvFilter may take a leading ``env`` from `words`."""
    if isinstance(asked, filters.KillFilter) and environ is not os.environ:
        return _kill_matches(asked, words, environ.get("PATH"))
    return asked.match(words)


def compile_patterns(asked: Filter) -> None:
    """Raise what compiling the filter's patterns raises; the empty word takes no time to match."""
    for pattern in asked.args:
        filters.RegExpFilter("", "", pattern).match([""])


def chained(asked: Filter, words: list[str]) -> list[str]:
    """The argv that another filter has to allow."""
    return asked.exec_args(words) if isinstance(asked, filters.ChainingFilter) else []


def executable(asked: Filter, exec_dirs: Sequence[str]) -> str | None:
    """Look the filter's executable up, now."""
    return copy.copy(asked).get_exec(exec_dirs=list(exec_dirs))


def command(asked: Filter, words: list[str], found: str) -> Command:
    """Return what the filter makes of `words`, with the executable that was found."""
    resolved = copy.copy(asked)
    resolved.real_exec = found
    argv = tuple(resolved.get_command(words))
    variables = _variables(words) if isinstance(asked, filters.EnvFilter) else ()
    return Command(argv[0], argv, variables, asked.run_as)


def _variables(words: list[str]) -> tuple[tuple[str, str], ...]:
    """What EnvFilter.get_environment puts on top of os.environ."""
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            break
        if name and value:
            pairs.append((name, value))
    return tuple(pairs)


class _KillFilter(filters.KillFilter):
    """A KillFilter for a caller whose PATH is not this process's.

    oslo.rootwrap's looks at os.environ, which in a daemon is not the caller's and belongs to all
    threads. PATH counts twice: for a program without a folder, which becomes one
    with each folder of PATH, and for the command line of a process whose executable is gone.
    """

    def __init__(self, path: str | None, run_as: str, *args: str) -> None:
        super().__init__(run_as, *args)
        self._path = path

    def _program(self, pid: int) -> str | None:
        try:
            executed = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
        except OSError:
            return None
        if os.path.isfile(executed):
            return executed
        try:
            with open(f"/proc/{pid}/cmdline", encoding="locale") as stream:
                word = stream.read().partition("\0")[0]
        except OSError:
            return None
        path = os.confstr("CS_PATH") if self._path is None else self._path
        word = which(word, path=path) or word
        return word if os.path.isfile(word) else executed


def _kill_matches(asked: Filter, words: list[str], path: str | None) -> bool:
    if not asked.args or asked.args[0].startswith("/"):
        return _KillFilter(path, asked.run_as, *asked.args).match(words)
    program, *signals = asked.args
    places = [os.path.join(folder, program) for folder in (path or "").split(":")]
    absolute = [
        place
        for folder, place in zip((path or "").split(":"), places, strict=True)
        if folder.startswith("/") and os.path.dirname(place) == folder
    ]
    # with no place at all, one that is no program: the process is looked at all the same
    return any(
        _KillFilter(path, asked.run_as, place, *signals).match(words) for place in absolute or ["/"]
    )
