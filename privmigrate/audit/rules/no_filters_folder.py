"""A folder in filters_path that is not there.

rootwrap skips it without a word. Whoever can make it later adds filters; spaces behind a comma are
part of the folder's name, and a relative path depends on the caller's folder.

Instead: name only folders that exist, by absolute paths, without spaces.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.settings import option_span
from privmigrate.examples import Clean, Finds

CODE: Final = "PM402"
LEVEL: Final = Level.MEDIUM


EXAMPLES: Final = (
    Finds(
        "not there",
        "-rw-r--r-- root root /etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/x/rootwrap.d\n"
        "    exec_dirs=/opt/x/bin,/usr/bin\n",
        "/etc/x/rootwrap.conf:2",
        "rootwrap skips '/etc/x/rootwrap.d', which is no folder",
    ),
    Finds(
        "a space",
        "-rw-r--r-- root root /etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/x/rootwrap.d, /usr/share/x\n"
        "-rw-r--r-- root root /etc/x/rootwrap.d/a.filters\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, root\n",
        "/etc/x/rootwrap.conf:2",
        "rootwrap skips ' /usr/share/x', which is no folder",
    ),
    Clean(
        "all there",
        "-rw-r--r-- root root /etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/x/rootwrap.d\n"
        "    exec_dirs=/opt/x/bin,/usr/bin\n"
        "-rw-r--r-- root root /etc/x/rootwrap.d/a.filters\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, root\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find folders that rootwrap skips."""
    for policy in evidence.policies:
        for problem in policy.problems:
            if problem.code == "no-such-folder":
                yield Found(
                    option_span(policy, "filters_path"),
                    f"rootwrap skips {problem.message!r}, which is no folder",
                    "remove it, or make the folder, owned by root",
                )
