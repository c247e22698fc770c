r"""A pattern that an option fits.

``.*`` or ``\S+`` where a name was meant also takes ``--config=...`` or ``-z``: what a tool does is
decided by its options. Where one is known to run programs or write files, PM1xx says so; where
not, the tool's next version may have one.

Instead: begin the pattern with what a name begins with, such as ``[a-z0-9]``.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds
from privmigrate.rootwrap.filters.regexp import RegExpFilter

CODE: Final = "PM201"
LEVEL: Final = Level.MEDIUM


_OPTIONS: Final = ("--config=/tmp/x", "-x")

EXAMPLES: Final = (
    Finds(
        "anything",
        "[Filters]\nt: RegExpFilter, tc, root, tc, qdisc, del, dev, .+, root\n",
        "2:1",
        "t: .+ for word 4 also takes an option, such as --config=/tmp/x",
    ),
    Finds(
        "no space",
        "[Filters]\nt: RegExpFilter, tc, root, tc, -s, class, show, dev, \\S+\n",
        "2:1",
        "t: \\S+ for word 5 also takes an option, such as --config=/tmp/x",
    ),
    Clean(
        "a name",
        "[Filters]\nt: RegExpFilter, tc, root, tc, qdisc, del, dev, [a-z][a-z0-9-]*, root\n",
    ),
    Clean("a key in front", "[Filters]\nd: RegExpFilter, dd, root, dd, if=.*\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find patterns that take words which tools read as options."""
    for entry in evidence.of_class("RegExpFilter"):
        if not isinstance(entry.bound, RegExpFilter):
            continue
        for number, matcher in enumerate(entry.bound.matchers):
            fits = [word for word in _OPTIONS if matcher.matches(word)]
            if number and len(fits) == len(_OPTIONS) and not matcher.pattern.startswith("-"):
                yield Found(
                    entry.span,
                    f"{entry.name}: {matcher.pattern} for word {number} also takes an option,"
                    f" such as {fits[0]}",
                    "begin the pattern with what a name may begin with",
                )
                break
