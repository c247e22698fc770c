"""A service user that may run everything.

``ALL`` in the place of the command is root without detour. People may have that; services not.

Instead: the commands that the service needs, with their arguments.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM504"
LEVEL: Final = Level.CRITICAL


EXAMPLES: Final = (
    Finds(
        "everything",
        "stack ALL=(ALL) NOPASSWD: ALL\n",
        "1:1",
        "stack can run everything without a password",
    ),
    Clean("with a password", "%sudo ALL=(ALL:ALL) ALL\n"),
    Clean("root itself", "root ALL=(ALL) NOPASSWD: ALL\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find grants of everything that ask for no password."""
    for grant in evidence.grants:
        others = [user for user in grant.users if user not in {"root", "#0"}]
        if grant.command == "ALL" and grant.no_password and not grant.negated and others:
            yield Found(
                grant.span,
                f"{', '.join(others)} can run everything without a password",
                "name the commands, with their arguments",
            )
