"""ChainingRegExpFilter: another allowed command, behind a prefix."""

from dataclasses import dataclass
from typing import ClassVar, Self

from privmigrate.argv.regex import Matcher
from privmigrate.diagnostics import Diagnostic
from privmigrate.examples import Allow, Deny
from privmigrate.rootwrap.command import Allowed, Denied
from privmigrate.rootwrap.filters.base import ChainFilter, compile_words, mismatch
from privmigrate.rootwrap.rule import Rule


@dataclass(frozen=True, slots=True)
class ChainingRegExpFilter(ChainFilter):
    r"""Allow a prefix such as `nice -n 5` where the command behind it has a filter of its own.

    Values: the executable, the user, one pattern per word of the prefix, its first word included.
    The patterns match whole words (see RegExpFilter). The command has to be allowed for the same
    user, and not by a chain; it is checked as it will run (see IpNetnsExecFilter).
    """

    EXAMPLES: ClassVar[tuple[Allow | Deny, ...]] = (
        Allow(
            "a command behind its prefix",
            "n: ChainingRegExpFilter, nice, root, nice, -n, \\d+",
            ("nice", "-n", "5", "lvs", "--noheadings"),
            ("nice", "-n", "5", "lvs", "--noheadings"),
        ),
        Deny(
            "another prefix",
            "n: ChainingRegExpFilter, nice, root, nice, -n, \\d+",
            ("nice", "-n", "-5", "lvs"),
            "word 2, '-5', does not match \\d+",
        ),
        Deny(
            "no command",
            "n: ChainingRegExpFilter, nice, root, nice, -n, \\d+",
            ("nice", "-n", "5"),
            "no command follows the 3 words of the prefix",
        ),
        Deny(
            "a rule without patterns",
            "n: ChainingRegExpFilter, nice, root",
            ("lvs",),
            "the rule has no pattern, not even for the command itself",
        ),
    )

    matchers: tuple[Matcher, ...]

    @classmethod
    def bind(cls, rule: Rule) -> Self | Diagnostic:
        """Compile the patterns."""
        exec_path, run_as, *args = rule.texts
        matchers = compile_words(rule, 2)
        if isinstance(matchers, Diagnostic):
            return matchers
        return cls(rule, exec_path, run_as, tuple(args), matchers)

    def _decide(self, argv: tuple[str, ...]) -> Allowed | Denied:
        if not self.matchers:
            return Denied("the rule has no pattern, not even for the command itself")
        if len(argv) <= len(self.matchers):
            return Denied(f"no command follows the {len(self.matchers)} words of the prefix")
        return mismatch(self.matchers, argv[: len(self.matchers)]) or self._allow(argv[1:])

    def chained(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """What stands behind the prefix."""
        return argv[len(self.matchers) :]
