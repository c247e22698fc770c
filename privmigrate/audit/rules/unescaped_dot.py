r"""An unescaped dot in a name.

``resolv.conf`` also matches ``resolvXconf``. Rarely useful to an attacker, and never meant.

Instead: ``resolv\.conf``. Convert reads such a dot as a dot, and says so.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.argv.regex import is_literal_with_dots
from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM205"
LEVEL: Final = Level.LOW


EXAMPLES: Final = (
    Finds(
        "a file name",
        "[Filters]\nc: RegExpFilter, cat, root, cat, /etc/resolv.conf\n",
        "2:1",
        "c: the dots in /etc/resolv.conf stand for any character",
    ),
    Clean("escaped", "[Filters]\nc: RegExpFilter, cat, root, cat, /etc/resolv\\.conf\n"),
    Clean("anything", "[Filters]\nc: RegExpFilter, cat, root, cat, /etc/.*\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find patterns that were meant as constants but for their dots."""
    for entry in evidence.of_class("RegExpFilter", "ChainingRegExpFilter"):
        for pattern in entry.rule.texts[2:]:
            if "." in pattern and is_literal_with_dots(pattern):
                yield Found(
                    entry.span,
                    f"{entry.name}: the dots in {pattern} stand for any character",
                    "write a backslash before each",
                )
                break
