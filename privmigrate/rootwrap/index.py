"""Which filters can say anything about an argv, without asking the others.

Soundness: for every argv, asking only `candidates(argv)` in order has the outcome of asking all
filters in order: a filter that is left out would neither match, nor raise, nor change what a later
one sees. What that takes, per class of oslo.rootwrap 7.10:

- CommandFilter, ChainingFilter, PathFilter match by their path or its base name only. PathFilter
  resolves paths before it looks at the name, which raises for words that no file name can hold
  (NUL, lone surrogates): for such an argv every filter is a candidate.
- KillFilter, ReadFileFilter, IpFilter and IpNetnsExecFilter match one fixed word.
- RegExpFilter matches by its first pattern and the number of words, ChainingRegExpFilter by its
  first pattern. A pattern without metacharacters that are not escaped matches that text, and that
  text with a newline behind (`$`). Of another one, what stands before the first of them has to
  begin the word. Where compiling may raise something else than `re.error`, which counts as no
  match, it is a candidate for every word.
- EnvFilter matches by the word behind the assignments, and there have to be some. Each EnvFilter
  that is asked takes one leading ``env`` from the argv for good, so with n of them in front the
  first n EnvFilters are candidates too, and every rest of the argv counts.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from privmigrate.rootwrap.rule import Rule
from privmigrate.rootwrap.words import METACHARACTERS

_QUANTIFIERS: Final = frozenset("*+?")
# Alternatives, flags and nesting make the beginning meaningless; `{` and `(` are also what can
# raise OverflowError or RecursionError.
_OPAQUE: Final = frozenset("|({")
_ANY_LENGTH: Final = 0
_FIRST_PATTERN: Final = 2  # behind the executable and the user
_FIXED_WORDS: Final = {
    "KillFilter": "kill",
    "ReadFileFilter": "cat",
    "IpFilter": "ip",
    "IpNetnsExecFilter": "ip",
}


@dataclass(slots=True)
class _Tables:
    by_word: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    by_prefix: defaultdict[tuple[int, str], list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )
    by_env: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    env: list[int] = field(default_factory=list)
    longest_prefix: int = 0


class Index:
    """The positions of filters by the commands they can be about."""

    def __init__(self, filters: Iterable[tuple[Rule, str]]) -> None:
        """Take each rule with the executable that its class made of it."""
        tables = self._tables = _Tables()
        size = 0
        for position, (rule, exec_path) in enumerate(filters):
            size = position + 1
            _enter(tables, position, rule, exec_path)
        self._all: Final = range(size)

    def candidates(self, argv: Sequence[str]) -> Sequence[int]:
        """The positions, in order, of the filters that have to be asked."""
        if _is_unspeakable(argv):
            return self._all if argv else ()
        leading = self._leading_env(argv)
        return sorted(self._about(argv, leading).union(self._tables.env[:leading]))

    def about(self, argv: Sequence[str]) -> Sequence[int]:
        """The positions, in order, of the filters that can match; asking changes no argv."""
        return sorted(self._about(argv, self._leading_env(argv)))

    def _leading_env(self, argv: Sequence[str]) -> int:
        """How many leading ``env`` the EnvFilters can take away."""
        leading = 0
        most = min(len(argv), len(self._tables.env))
        while leading < most and argv[leading] == "env":
            leading += 1
        return leading

    def _about(self, argv: Sequence[str], leading: int) -> set[int]:
        found: set[int] = set()
        for start in range(leading + 1):
            if start < len(argv):
                found.update(self._by_first_word(argv[start], len(argv) - start))
        found.update(self._tables.by_env.get(_behind_assignments(argv, leading), ()))
        return found

    def _by_first_word(self, word: str, length: int) -> Iterator[int]:
        tables = self._tables
        yield from tables.by_word.get(word, ())
        for end in range(min(len(word), tables.longest_prefix) + 1):
            prefix = word[:end]
            yield from tables.by_prefix.get((length, prefix), ())
            yield from tables.by_prefix.get((_ANY_LENGTH, prefix), ())


def _enter(tables: _Tables, position: int, rule: Rule, exec_path: str) -> None:
    match rule.filter_class:
        case "KillFilter" | "ReadFileFilter" | "IpFilter" | "IpNetnsExecFilter":
            tables.by_word[_FIXED_WORDS[rule.filter_class]].append(position)
        case "RegExpFilter":
            patterns = rule.texts[_FIRST_PATTERN:]
            if patterns:  # without a pattern it matches no argv that has a word
                _enter_pattern(tables, position, patterns[0], len(patterns))
        case "ChainingRegExpFilter":
            patterns = rule.texts[_FIRST_PATTERN:]
            # without a pattern it matches every argv
            _enter_pattern(tables, position, patterns[0] if patterns else "|", _ANY_LENGTH)
        case "EnvFilter":
            tables.env.append(position)
            for name in _names(exec_path):
                tables.by_env[name].append(position)
        case _:
            for name in _names(exec_path):
                tables.by_word[name].append(position)


def _enter_pattern(tables: _Tables, position: int, pattern: str, length: int) -> None:
    beginning, whole = _beginning(pattern)
    if whole:
        tables.by_word[beginning].append(position)
        tables.by_word[beginning + "\n"].append(position)
        return
    tables.by_prefix[length, beginning].append(position)
    tables.longest_prefix = max(tables.longest_prefix, len(beginning))


def _beginning(pattern: str) -> tuple[str, bool]:
    """The text that every match begins with, and whether the pattern is no more than that."""
    if not _OPAQUE.isdisjoint(pattern):
        return "", False
    text, place = "", 0
    while place < len(pattern):
        letter = pattern[place]
        if letter == "\\" and not pattern[place + 1 : place + 2].isalnum():
            place += 1
            letter = pattern[place : place + 1]  # a lone backslash at the end never compiles
        elif letter in METACHARACTERS:
            # a quantifier speaks of the character before it, which may be missing
            return (text[:-1] if letter in _QUANTIFIERS else text), False
        text += letter
        place += 1
    return text, True


def _names(exec_path: str) -> set[str]:
    return {exec_path, os.path.basename(exec_path)}  # noqa: PTH119 - as rootwrap does


def _behind_assignments(argv: Sequence[str], start: int) -> str:
    """The word that EnvFilter takes for the command: it counts names, not assignments.

    Without assignments the answer is a name that no EnvFilter has: one with NUL.
    """
    names = set()
    for word in argv[start:]:
        name, equals, _ = word.partition("=")
        if not equals:
            break
        names.add(name)
    place = start + len(names)
    return argv[place] if names and place < len(argv) else "\0"


def _is_unspeakable(argv: Sequence[str]) -> bool:
    """Say whether a word can be no file name, so that resolving it raises."""
    text = "".join(argv)
    try:
        return "\0" in text or not (text.isascii() or os.fsencode(text))
    except UnicodeEncodeError:
        return True
