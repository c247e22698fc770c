"""find with its actions free.

``find`` executes programs (``-exec``, ``-ok``), removes files (``-delete``) and writes them
(``-fprintf``). Only a filter that fixes its options keeps it to finding.

Instead: RegExpFilter with every option as a constant, or a native listing in generated code.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.examples import Clean, Finds

CODE: Final = "PM104"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("find", "/etc/hosts -exec /tmp/x {} +", Gain.RUN, "-exec /tmp/x {} +"),
    Way("find", "/etc/hosts -exec /tmp/x ';'", Gain.RUN, "-exec /tmp/x ';'"),
    Way(
        "find",
        "/etc/hosts -fprintf /etc/cron.d/x '* * * * * root /tmp/x\\n'",
        Gain.WRITE,
        "-fprintf /etc/cron.d/x '* * * * * root /tmp/x\\n'",
    ),
    Way("find", "/etc -delete", Gain.REMOVE, "-delete"),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\nf: CommandFilter, find, root\n",
        "2:1",
        "f runs any program as root: find /etc/hosts -exec /tmp/x {} +",
    ),
    Finds(
        "an action that is a pattern",
        "[Filters]\nf: RegExpFilter, find, root, find, /.*, -.*\n",
        "2:1",
        "f removes any file as root: find ... -delete",
    ),
    Clean(
        "options that are constants",
        "[Filters]\nf: RegExpFilter, find, root, find, /[^/]*, -maxdepth, \\d+, -inum, \\d+\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
