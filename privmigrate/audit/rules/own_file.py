"""A command that gives any file away.

``chown``, ``chmod`` and their like make any file of root writable for the caller: /etc/passwd, or
a shell that becomes setuid.

Instead: PathFilter or a pattern for the path; in generated code a native chown that follows no
link.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.examples import Clean, Finds

CODE: Final = "PM106"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("chown", "nova /etc/passwd", Gain.OWN),
    Way("chown", "1000 /etc/passwd", Gain.OWN),
    Way("chown", "-R nova /etc", Gain.OWN),
    Way("chown", "--reference=/tmp/x /etc/passwd", Gain.OWN),
    Way("chmod", "666 /etc/passwd", Gain.OWN),
    Way("chmod", "a+rw /etc/passwd", Gain.OWN, "/etc/passwd"),
    Way("chgrp", "nova /etc/shadow", Gain.OWN, "/etc/shadow"),
    Way("setfacl", "-m u:nova:rw /etc/passwd", Gain.OWN, "/etc/passwd"),
    Way("setcap", "cap_setuid+ep /tmp/x", Gain.OWN),
    Way("chattr", "-i /etc/passwd", Gain.OWN),
    Way("setfattr", "-x security.ima /etc/passwd", Gain.OWN, "/etc/passwd"),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\nc: CommandFilter, /bin/chown, root\n",
        "2:1",
        "c takes over any file as root: chown nova /etc/passwd",
    ),
    Finds(
        "any path behind a number",
        "[Filters]\nc: RegExpFilter, chown, root, chown, \\d+, .*\n",
        "2:1",
        "c takes over any file as root: chown 1000 /etc/passwd",
    ),
    Finds(
        "the owner of another file",
        "[Filters]\nc: RegExpFilter, chown, root, chown, --reference=.*, .*\n",
        "2:1",
        "c takes over any file as root: chown --reference=/tmp/x /etc/passwd",
    ),
    Clean(
        "any owner, paths below a folder",
        "[Filters]\nc: PathFilter, /bin/chown, root, pass, /var/lib/nova/\n",
    ),
    Clean(
        "paths below a folder", "[Filters]\nc: PathFilter, /bin/chown, root, nova, /var/lib/nova/\n"
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
