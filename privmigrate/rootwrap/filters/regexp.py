"""RegExpFilter: a pattern for every word."""

from dataclasses import dataclass
from typing import ClassVar, Self

from privmigrate.argv.regex import Matcher
from privmigrate.diagnostics import Diagnostic
from privmigrate.examples import Allow, Deny
from privmigrate.rootwrap.command import Allowed, Denied
from privmigrate.rootwrap.filters.base import Filter, compile_words, mismatch
from privmigrate.rootwrap.rule import Rule


@dataclass(frozen=True, slots=True)
class RegExpFilter(Filter):
    r"""Allow an executable where every word, the first included, matches its own pattern.

    Values: the executable, the user, one pattern per word. Each pattern has to match its whole
    word; oslo.rootwrap appends a `$` instead, so that it lets a trailing newline pass, and in
    `a|b` anything behind `a`. `\d` is an ASCII digit here and any Unicode digit there. A pattern
    that may take exponential time is executed in linear time or not at all.
    """

    matchers: tuple[Matcher, ...]

    EXAMPLES: ClassVar[tuple[Allow | Deny, ...]] = (
        Allow(
            "every word matches",
            "s: RegExpFilter, /bin/sleep, root, sleep, \\d+",
            ("sleep", "5"),
            ("/bin/sleep", "5"),
        ),
        Deny(
            "trailing newline",
            "s: RegExpFilter, sleep, root, sleep, \\d+",
            ("sleep", "5\n"),
            "word 1, '5\\n', does not match \\d+",
        ),
        Deny(
            "Arabic digits",
            "s: RegExpFilter, sleep, root, sleep, \\d+",
            ("sleep", "\u0665"),
            "word 1, '\u0665', does not match \\d+",
        ),
        Deny(
            "alternatives are whole words",
            "s: RegExpFilter, ip, root, ip, link|addr",
            ("ip", "link; reboot"),
            "word 1, 'link; reboot', does not match link|addr",
        ),
        Deny(
            "one word too many",
            "s: RegExpFilter, sleep, root, sleep, \\d+",
            ("sleep", "5", "6"),
            "2 words are allowed, 3 given",
        ),
    )

    @classmethod
    def bind(cls, rule: Rule) -> Self | Diagnostic:
        """Compile the patterns."""
        exec_path, run_as, *args = rule.texts
        matchers = compile_words(rule, 2)
        if isinstance(matchers, Diagnostic):
            return matchers
        return cls(rule, exec_path, run_as, tuple(args), matchers)

    def _decide(self, argv: tuple[str, ...]) -> Allowed | Denied:
        if len(argv) != len(self.matchers):
            words = "word is" if len(self.matchers) == 1 else "words are"
            return Denied(f"{len(self.matchers)} {words} allowed, {len(argv)} given")
        return mismatch(self.matchers, argv) or self._allow(argv[1:])
