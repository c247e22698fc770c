"""A path pattern that two dots lead out of.

``/var/lib/x/.*`` was written for files below a folder, and also matches
``/var/lib/x/../../../etc/passwd``.

Instead: ``[^/]+`` for one name, PathFilter for a folder; convert reads such patterns without dots.
"""

import re
from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.runnable import literal_prefix
from privmigrate.examples import Clean, Finds
from privmigrate.rootwrap.filters.regexp import RegExpFilter

CODE: Final = "PM208"
LEVEL: Final = Level.MEDIUM

_FOLDER: Final = re.compile(r"(?:[\w-]*=)?(/.*[^/])(?=/)")


EXAMPLES: Final = (
    Finds(
        "anything below a folder",
        "[Filters]\nc: RegExpFilter, mytool, root, mytool, /var/lib/x/.*\n",
        "2:1",
        "c: /var/lib/x/.* leads out of /var/lib/x: /var/lib/x/../../../../etc/passwd",
    ),
    Clean("one name", "[Filters]\nc: RegExpFilter, mytool, root, mytool, /var/lib/x/[^/]+\n"),
    Clean(
        "dots kept out", "[Filters]\nc: RegExpFilter, mytool, root, mytool, /etc/(?!\\.\\.).[^/]*\n"
    ),
    Clean("any path", "[Filters]\nc: RegExpFilter, mytool, root, mytool, /.*\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find patterns that fix a folder and let its parent follow."""
    for entry in evidence.of_class("RegExpFilter"):
        if not isinstance(entry.bound, RegExpFilter):
            continue
        for matcher in entry.bound.matchers[1:]:
            found = _FOLDER.match(literal_prefix(matcher.pattern))
            out = "" if found is None else f"{found.group()}/../../../../etc/passwd"
            if found is not None and matcher.matches(out):
                yield Found(
                    entry.span,
                    f"{entry.name}: {matcher.pattern} leads out of {found[1]}: {out}",
                    "match one name ([^/]+), or use PathFilter",
                )
                break
