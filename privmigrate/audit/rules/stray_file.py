"""A file in filters_path that is no filters file.

rootwrap reads every file of the folder that is not hidden, whatever its name ends with: an
editor's or a package manager's backup brings entries back that somebody took away.

Instead: move it out of the folder.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.diagnostics import Span
from privmigrate.examples import Clean, Finds

CODE: Final = "PM314"
LEVEL: Final = Level.MEDIUM


EXAMPLES: Final = (
    Finds(
        "a backup",
        "-rw-r--r-- root root /etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/x/rootwrap.d\n"
        "-rw-r--r-- root root /etc/x/rootwrap.d/a.filters.rpmsave\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, root\n",
        "/etc/x/rootwrap.d/a.filters.rpmsave",
        "rootwrap reads it, whatever its name: 1 entries are in force",
    ),
    Clean(
        "a filters file",
        "-rw-r--r-- root root /etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/x/rootwrap.d\n"
        "-rw-r--r-- root root /etc/x/rootwrap.d/a.filters\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, root\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find files with another suffix that rootwrap reads."""
    for policy in evidence.policies:
        for file in policy.files if policy.config is not None else ():
            if not file.path.endswith(".filters"):
                live = len(file.live)
                yield Found(
                    Span(file.path),
                    f"rootwrap reads it, whatever its name: {live} entries are in force",
                    "move it out of the folder",
                )
