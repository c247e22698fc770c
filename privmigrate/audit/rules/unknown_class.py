"""A filter class that rootwrap does not know.

rootwrap warns in a log and goes on without the entry: a typo takes a filter away, and with it a
function of the service.

Instead: one of the classes of oslo.rootwrap; their names are case-sensitive.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds
from privmigrate.rootwrap.rule import MINIMUM_VALUES, Status

CODE: Final = "PM304"
LEVEL: Final = Level.MEDIUM


EXAMPLES: Final = (
    Finds(
        "a typo",
        "[Filters]\nl: CommandFliter, lvs, root\n",
        "2:1",
        "l has no effect: rootwrap knows no 'CommandFliter'",
    ),
    Clean("a class", "[Filters]\nl: CommandFilter, lvs, root\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find entries that rootwrap skips."""
    for entry in evidence.entries:
        if entry.rule.status is Status.UNKNOWN_CLASS:
            close = get_close_matches(entry.rule.filter_class, MINIMUM_VALUES, 1)
            yield Found(
                entry.span,
                f"{entry.name} has no effect: rootwrap knows no {entry.rule.filter_class!r}",
                f"write {close[0]}" if close else "remove it, or write a class of oslo.rootwrap",
            )
