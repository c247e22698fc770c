"""A command that removes any file.

Without /etc/passwd nobody logs in; without a lock or a deny file, what it held back happens.

Instead: a pattern for the path, a folder of the service's own, or a native removal that follows
no link.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.examples import Clean, Finds

CODE: Final = "PM119"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("rm", "-rf /etc", Gain.REMOVE, "/etc"),
    Way("rm", "-f /etc/passwd", Gain.REMOVE, "/etc/passwd"),
    Way("rmdir unlink", "/etc/passwd", Gain.REMOVE),
    Way("shred", "-u /etc/passwd", Gain.REMOVE, "/etc/passwd"),
    Way("tmpwatch tmpreaper", "0 /etc", Gain.REMOVE),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\nr: CommandFilter, rm, root\n",
        "2:1",
        "r removes any file as root: rm -rf /etc",
    ),
    Finds(
        "any path",
        "[Filters]\nr: RegExpFilter, rm, root, rm, -rf, /.*\n",
        "2:1",
        "r removes any file as root: rm -rf /etc",
    ),
    Finds(
        "out by two dots",
        "[Filters]\nr: RegExpFilter, rm, root, rm, -f, /var/run/x/.*\n",
        "2:1",
        "r removes any file as root: rm -f /var/run/x/../../../../../../../../etc",
    ),
    Clean(
        "one name in one folder", "[Filters]\nr: RegExpFilter, rm, root, rm, -f, /var/run/x/[^/]+\n"
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
