"""Filters that others than root can change.

One line more in a file of filters_path is root; so is one file more in the folder.

Instead: root:root, 0644 and 0755, as the sample files of every service say.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence, Role
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.trust import weak_steps
from privmigrate.examples import Clean, Finds

CODE: Final = "PM412"
LEVEL: Final = Level.CRITICAL


EXAMPLES: Final = (
    Finds(
        "a file of the group",
        "-rw-r--r-- root root /etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/x/rootwrap.d\n"
        "    exec_dirs=/opt/x/bin,/usr/bin\n"
        "-rw-rw-r-- root cinder /etc/x/rootwrap.d/a.filters\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, root\n",
        "/etc/x/rootwrap.d/a.filters",
        "is writable by group cinder: it says what root runs",
    ),
    Finds(
        "the folder of everyone",
        "-rw-r--r-- root root /etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/x/rootwrap.d\n"
        "    exec_dirs=/opt/x/bin,/usr/bin\n"
        "-rw-r--r-- root root /etc/x/rootwrap.d/a.filters\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, root\n"
        "drwxrwxrwx root root /etc/x/rootwrap.d\n",
        "/etc/x/rootwrap.d",
        "is writable by everyone: its files say what root runs",
    ),
    Clean(
        "of root",
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
    """Find steps that others than root can change."""
    yield from weak_steps(evidence, Role.FILTERS)
