"""A user that is none.

The second value of an entry is the user of the command. An option, a path or a name that the
machine does not know in that place is an argument that slipped, or a command that never runs.

Instead: ``root``, or a user that exists.
"""

import re
from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM310"
LEVEL: Final = Level.MEDIUM


_USER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?\Z")

EXAMPLES: Final = (
    Finds(
        "an option",
        "[Filters]\nd: CommandFilter, /opt/drv_cfg, --query_guid, root\n",
        "2:1",
        "d would run as '--query_guid', which is no name of a user",
    ),
    Clean("root", "[Filters]\nd: CommandFilter, /opt/drv_cfg, root\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find users that cannot be names, and on a whole machine those that it does not know."""
    known = evidence.tree.user_names() if evidence.guarded else None
    for entry in evidence.live:
        user = entry.run_as
        if not _USER.match(user):
            why = "is no name of a user"
        elif known is not None and user not in known:
            why = "is no user of this machine"
        else:
            continue
        yield Found(entry.span, f"{entry.name} would run as {user!r}, which {why}", "write root")
