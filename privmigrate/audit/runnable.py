"""Commands that somebody else can have run: by a filter or by an entrypoint, in one form.

What a caller may choose is a `Shape`: a row of words, each with a test, and perhaps any number of
further ones. Whether a dangerous command line fits into it is then the same question for both.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from privmigrate.argv.regex import Matcher
from privmigrate.diagnostics import Diagnostic, Span
from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.rootwrap.filters import Filter
from privmigrate.rootwrap.filters.regexp import RegExpFilter
from privmigrate.rootwrap.rule import Rule

ANYTHING: Final = "..."
_LITERAL: Final = re.compile(r"(?:[^.^$*+?{}\[\]\\|()]|\\[^A-Za-z0-9])*")
_ABSOLUTE: Final = re.compile(r"/[A-Za-z].*")
_UP: Final = "../../../../../../../.."


@dataclass(frozen=True, slots=True)
class Slot:
    """One word: what it is where it is fixed, else a test, and how it has to begin and to end."""

    shown: str
    accepts: Callable[[str], bool] = field(compare=False, repr=False)
    prefix: str = ""
    suffix: str = ""

    def takes(self, begin: str) -> bool:
        """Whether a word may begin so, with nothing behind it but what has to be there."""
        return self.accepts(f"{begin}{self.suffix}")

    def fit(self, word: str) -> str | None:
        """The word, or one with the same effect, that the slot takes; None if there is none.

        A path that has to begin with a folder leads out of it by ``..``.
        """
        if self.accepts(word):
            return word
        if found := _ABSOLUTE.search(word):
            folder = self.prefix.rpartition("/")[0]
            begin = word[: found.start()]
            if folder.startswith(f"{begin}/") and folder:
                candidate = f"{folder}/{_UP}{found.group()}"
                if self.accepts(candidate):
                    return candidate
        return None


def fixed(text: str) -> Slot:
    """A word that is always this one."""
    return Slot(text, lambda word: word == text)


ANY_WORD: Final = Slot(ANYTHING, lambda _: True)


class Place(Enum):
    """Where the words of a way have to stand."""

    ANYWHERE = "in their order, with anything between"
    TOGETHER = "one behind the other, as an option and its value"
    FIRST = "one behind the other, behind options alone, as a subcommand"


def _are_options(slots: Sequence[Slot]) -> bool:
    """Options, each perhaps with a value."""
    before = False
    for slot in slots:
        is_option = (slot.prefix or slot.shown).startswith("-")
        if not is_option and not before:
            return False
        before = is_option
    return True


@dataclass(frozen=True, slots=True)
class Shape:
    """The words behind the program that a caller may choose; `rest` is what further ones may be."""

    slots: tuple[Slot, ...]
    rest: Slot | None = None

    @property
    def is_free(self) -> bool:
        """Any arguments at all."""
        return not self.slots and self.rest is ANY_WORD

    def fit(self, words: Sequence[str], place: Place = Place.ANYWHERE) -> tuple[str, ...] | None:
        """A command line of this shape with all of `words` in their order, or None."""
        if place is Place.ANYWHERE:
            return self._fit(words, 0)
        for begin in range(len(self.slots) + 1):
            if place is Place.FIRST and not _are_options(self.slots[:begin]):
                break
            here = [slot.fit(word) for slot, word in zip(self.slots[begin:], words, strict=False)]
            more = words[len(here) :]
            if None not in here and (not more or self.rest is not None):
                return self._fit(words, begin)
        return None

    def _fit(self, words: Sequence[str], begin: int) -> tuple[str, ...] | None:
        line = [slot.shown for slot in self.slots[:begin]]
        todo = list(words)
        for slot in self.slots[begin:]:
            taken = slot.fit(todo[0]) if todo else None
            if taken is None:
                line.append(slot.shown)
            else:
                line.append(taken)
                todo.pop(0)
        for word in todo:
            taken = None if self.rest is None else self.rest.fit(word)
            if taken is None:
                return None
            line.append(taken)
        return tuple(line)


@dataclass(frozen=True, slots=True)
class Runnable:
    """One command that callers can have run with privilege.

    Attributes:
        name: of the filter or entrypoint.
        kind: ``filter`` or ``entrypoint``.
        program: its base name; "" where the caller names it.
        limit: what it can hold at most; None where uid 0 gets everything at exec.
    """

    span: Span
    name: str
    kind: str
    program: str
    run_as: str
    shape: Shape
    limit: CapabilitySet | None = None


def runnable_of(rule: Rule, bound: Filter | Diagnostic) -> Runnable | None:
    """What a filter lets callers run; None for one that allows nothing, or only another's."""
    if isinstance(bound, Diagnostic):
        return None
    shape = _shape_of(rule, bound)
    if shape is None:
        return None
    program = os.path.basename(bound.exec_path)  # noqa: PTH119 - of words
    return Runnable(rule.span, rule.raw_name, "filter", program, bound.run_as, shape)


def _shape_of(rule: Rule, bound: Filter) -> Shape | None:
    match rule.filter_class:
        case "CommandFilter":
            return Shape((), ANY_WORD)
        case "IpFilter":
            # it refuses netns exec
            return Shape((), Slot(ANYTHING, lambda word: word != "netns"))
        case "EnvFilter":
            # oslo.rootwrap does not look at what stands behind the executable
            return Shape((), ANY_WORD)
        case "RegExpFilter" if isinstance(bound, RegExpFilter):
            return Shape(tuple(map(_pattern_slot, bound.matchers[1:])))
        case "PathFilter" if bound.args:
            return Shape(tuple(map(_path_slot, bound.args)))
        case "ReadFileFilter":
            return Shape((fixed(bound.args[0]),))
        case _:
            return None


def _pattern_slot(matcher: Matcher) -> Slot:
    literal = literal_prefix(matcher.pattern)
    if literal == matcher.pattern:
        return fixed(literal)
    return Slot(ANYTHING, matcher.matches, literal)


def literal_prefix(pattern: str) -> str:
    """What every text that the pattern matches begins with, as far as that is plain to see."""
    text = pattern.removeprefix("^")
    found = _LITERAL.match(text)
    literal = found.group() if found else ""
    rest = text[len(literal) :]
    if rest[:1] in {"*", "?", "{", "|"}:
        literal = literal[:-1]
    if has_bare_alternative(text):
        return ""
    return re.sub(r"\\(.)", r"\1", literal)


def has_bare_alternative(pattern: str) -> bool:
    """Whether a ``|`` stands outside of all groups and classes."""
    depth, in_class, skip = 0, False, False
    for place, letter in enumerate(pattern):
        if skip:
            skip = False
        elif letter == "\\":
            skip = True
        elif in_class:
            in_class = (
                letter != "]" or pattern[place - 1] == "[" or pattern[place - 2 : place] == "[^"
            )
        elif letter == "[":
            in_class = True
        elif letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == "|" and depth == 0:
            return True
    return False


def _path_slot(wanted: str) -> Slot:
    if wanted == "pass":
        return ANY_WORD
    if wanted.startswith("/"):
        # the real path is compared, character by character
        return Slot(wanted, lambda word: os.path.normpath(word).startswith(wanted))
    return fixed(wanted)
