"""A command that signals any process.

The audit daemon, the database, init.

Instead: KillFilter with the program and the signals; in generated code a native kill by pidfd.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.examples import Clean, Finds

CODE: Final = "PM120"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("kill", "-9 1", Gain.KILL, "-9"),
    Way("kill", "1234", Gain.KILL),
    Way("pkill killall killall5 skill", "-9 auditd", Gain.KILL),
    Way("fuser", "-k /", Gain.KILL, "-k"),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\nk: CommandFilter, kill, root\n",
        "2:1",
        "k ends any process as root: kill -9 1",
    ),
    Clean("the processes of one program", "[Filters]\nk: KillFilter, root, /usr/sbin/radvd, -9\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
