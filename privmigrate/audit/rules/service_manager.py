"""A command that starts services or jobs.

``systemctl link`` and ``systemd-run`` execute any program as root; ``service`` and init scripts
start and stop everything.

Instead: one RegExpFilter for each unit and verb, both constants.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.examples import Clean, Finds

CODE: Final = "PM112"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("systemctl", "link /tmp/x.service", Gain.RUN),
    Way("systemd-run", "/tmp/x", Gain.RUN),
    Way("systemctl", "stop sshd", Gain.SERVICE),
    Way("service initctl rc-service", "sshd stop", Gain.SERVICE),
    Way("crontab", "/tmp/x", Gain.RUN),
    Way("at batch", "-f /tmp/x now", Gain.RUN, "-f /tmp/x"),
    Way("supervisorctl pcs crm", "stop all", Gain.SERVICE),
    Way(
        "busctl dbus-send gdbus",
        "call org.freedesktop.systemd1 /org/freedesktop/systemd1",
        Gain.RUN,
        "org.freedesktop.systemd1",
    ),
    Way("update-rc.d chkconfig", "sshd disable", Gain.SERVICE),
    Way("start stop restart", "sshd", Gain.SERVICE),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\ns: CommandFilter, systemctl, root\n",
        "2:1",
        "s runs any program as root: systemctl link /tmp/x.service",
    ),
    Finds(
        "any unit",
        "[Filters]\ns: RegExpFilter, service, root, service, .*, restart|.*\n",
        "2:1",
        "s starts and stops any service as root: service sshd stop",
    ),
    Clean("one unit", "[Filters]\ns: RegExpFilter, systemctl, root, systemctl, restart, iscsid\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
