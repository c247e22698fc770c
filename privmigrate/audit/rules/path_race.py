"""A path that is checked before it is used.

PathFilter resolves the path and passes the result on; the command opens it later. A link that is
swapped in between leads outside, if others can write anywhere on the way.

Instead: in generated code natives, which open below the folder and follow no link.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM303"
LEVEL: Final = Level.LOW


EXAMPLES: Final = (
    Finds(
        "a folder",
        "[Filters]\nc: PathFilter, /bin/chown, root, nova, /var/lib/images/\n",
        "2:1",
        "c: a link swapped in below /var/lib/images/ after the check leads out",
    ),
    Clean("no folder", "[Filters]\nc: PathFilter, /bin/chown, root, nova, pass\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find PathFilters with a folder."""
    for entry in evidence.of_class("PathFilter"):
        folders = [t for t in entry.rule.texts[2:] if t.startswith("/") and "*" not in t]
        if folders:
            yield Found(
                entry.span,
                f"{entry.name}: a link swapped in below {folders[0]} after the check leads out",
                "convert it: natives open below the folder and follow no link",
            )
