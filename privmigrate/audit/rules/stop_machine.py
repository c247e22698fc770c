"""A command that stops the machine.

Instead: let the operator do that.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.examples import Clean, Finds

CODE: Final = "PM121"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("reboot halt poweroff shutdown init telinit", "-f", Gain.STOP),
    Way("systemctl", "reboot", Gain.STOP),
    Way("ipmitool", "chassis power off", Gain.STOP),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\nr: CommandFilter, reboot, root\n",
        "2:1",
        "r stops the machine as root: reboot -f",
    ),
    Clean("a status", "[Filters]\ni: RegExpFilter, ipmitool, root, ipmitool, sensor\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
