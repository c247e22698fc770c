"""A PathFilter with a regular expression.

PathFilter knows constants, ``pass`` and folders. A pattern in it is compared as the text that it
is, so that the entry never matches.

Instead: RegExpFilter, or the folder alone.
"""

import re
from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM302"
LEVEL: Final = Level.MEDIUM


_MARKS: Final = re.compile(r"[*+?\\^$|]|\[.*\]")

EXAMPLES: Final = (
    Finds(
        "a pattern",
        "[Filters]\np: PathFilter, privsep-helper, root, --config-file, /etc/(?!\\.\\.).*\n",
        "2:1",
        "p never matches: PathFilter takes /etc/(?!\\.\\.).* literally",
    ),
    Clean("a folder with a dot in its name", "[Filters]\np: PathFilter, cat, root, /etc/x.d/\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the marks of regular expressions in PathFilters."""
    for entry in evidence.of_class("PathFilter"):
        for text in entry.rule.texts[2:]:
            if _MARKS.search(text):
                yield Found(
                    entry.span,
                    f"{entry.name} never matches: PathFilter takes {text} literally",
                    "use RegExpFilter, or write the folder",
                )
                break
