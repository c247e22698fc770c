"""A command that makes or changes users.

A user with uid 0, or a new password for root.

Instead: nothing: create users when the service is installed.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.examples import Clean, Finds

CODE: Final = "PM117"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("useradd adduser", "-o -u 0 -p x evil", Gain.USER, "-o -u 0"),
    Way("usermod", "-aG sudo nova", Gain.USER),
    Way("passwd", "-d root", Gain.USER),
    Way("chpasswd", "", Gain.USER),
    Way("gpasswd groupadd groupmod", "-a nova sudo", Gain.USER),
    Way("visudo vipw", "-f /etc/sudoers.d/x", Gain.USER),
    Way("userdel", "root", Gain.USER),
    Way("realm adcli", "join evil", Gain.USER),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\nu: CommandFilter, useradd, root\n",
        "2:1",
        "u makes or changes users as root: useradd -o -u 0 -p x evil",
    ),
    Clean(
        "one user, one group",
        "[Filters]\nu: RegExpFilter, usermod, root, usermod, -L, guest[0-9]+\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
