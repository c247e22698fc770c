"""A rootwrap.conf that rootwrap does not take.

A missing filters_path, an option that is no number, an option twice, and behind the shim anything
in its section that it does not know: rootwrap ends with exit code 97, and no command of the service
runs.

Instead: repair the line.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM401"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "no filters_path",
        "[DEFAULT]\nexec_dirs=/usr/bin\n",
        "/etc/example/rootwrap.conf",
        "has no filters_path in [DEFAULT] (name the folders with .filters files, "
        "separated by commas)",
    ),
    Finds(
        "an option that the shim does not know",
        "[DEFAULT]\nfilters_path=/etc/example/rootwrap.d\n[privmigrate]\nunknown=most\n",
        "4:1",
        "unknown cannot be 'most' ('most' is no capability; names as CAP_NET_ADMIN, all, or none)",
    ),
    Finds(
        "capabilities of a filter that is not there",
        "[DEFAULT]\nfilters_path=/etc/example/rootwrap.d\n[capabilities]\nnosuch=none\n",
        "4:1",
        "[capabilities] names no filter by nosuch (write a filter's name, or remove it)",
    ),
    Clean("a good one", "[DEFAULT]\nfilters_path=/etc/example/rootwrap.d\nexec_dirs=/usr/bin\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Repeat what the reader says."""
    for policy in evidence.policies:
        for problem in policy.problems:
            if problem.code == "bad-config":
                yield Found(problem.span, problem.message, "repair it: rootwrap exits with 97")
