"""What every filter class has in common."""

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

from privmigrate.argv.regex import Matcher, compile_pattern
from privmigrate.diagnostics import Diagnostic, Severity, shortened
from privmigrate.examples import Allow, Deny
from privmigrate.rootwrap.command import Allowed, Command, Denied
from privmigrate.rootwrap.rule import Rule


@dataclass(frozen=True, slots=True)
class Filter(ABC):
    """A rule bound to its class: decides as the rule was meant, never more widely than rootwrap.

    Attributes:
        rule: the rule as written.
        exec_path: what runs, as the rule names it; the policy looks bare names up in exec_dirs.
        run_as: the user it runs as.
        args: the further values of the rule.
    """

    EXAMPLES: ClassVar[tuple[Allow | Deny, ...]]

    rule: Rule
    exec_path: str
    run_as: str
    args: tuple[str, ...]

    @classmethod
    def bind(cls, rule: Rule) -> Self | Diagnostic:
        """Make the filter of a rule that has enough values."""
        exec_path, run_as, *args = rule.texts
        return cls(rule, exec_path, run_as, tuple(args))

    def decide(self, argv: tuple[str, ...]) -> Allowed | Denied:
        """Say what `argv` would run, or why it may not."""
        if not argv or not argv[0]:
            return Denied("no command was given")
        if any("\0" in word for word in argv):
            return Denied("a word contains NUL, which no command line can")
        return self._decide(argv)

    @abstractmethod
    def _decide(self, argv: tuple[str, ...]) -> Allowed | Denied:
        """Decide on an argv that a process can have."""

    def _allow(
        self, arguments: tuple[str, ...], environment: tuple[tuple[str, str], ...] = ()
    ) -> Allowed:
        command = Command(self.exec_path, (self.exec_path, *arguments), environment, self.run_as)
        return Allowed(command, self.rule.name, self.rule.span)

    def _other_command(self, word: str) -> Denied | None:
        """Refuse a first word that names another executable."""
        if word in {self.exec_path, os.path.basename(self.exec_path)}:  # noqa: PTH119 - of words
            return None
        return Denied(f"{word} is not {self.exec_path}")


@dataclass(frozen=True, slots=True)
class ChainFilter(Filter):
    """A filter for commands that run another command, which needs a filter of its own."""

    @abstractmethod
    def chained(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """The argv of the other command, of an argv that this filter allows."""


def compile_words(rule: Rule, first: int) -> tuple[Matcher, ...] | Diagnostic:
    """Compile the values of a rule from `first` on, or say which one is broken."""
    matchers = []
    for value in rule.values[first:]:
        matcher = compile_pattern(value.text)
        if matcher.why_never is not None:
            return Diagnostic(
                value.span,
                Severity.ERROR,
                "unusable-pattern",
                f"{rule.raw_name}: the pattern {shortened(value.text)!r} cannot be used:"
                f" {matcher.why_never}",
                "a comma cannot stand in a pattern, for values end there",
            )
        matchers.append(matcher)
    return tuple(matchers)


def mismatch(matchers: tuple[Matcher, ...], words: tuple[str, ...]) -> Denied | None:
    """Refuse the first word that its pattern does not match as a whole."""
    for number, (matcher, word) in enumerate(zip(matchers, words, strict=True)):
        if not matcher.matches(word):
            return Denied(f"word {number}, {word!r}, does not match {shortened(matcher.pattern)}")
    return None
