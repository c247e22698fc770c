"""An executable of a filter that others than root can replace.

The filter allows its path; what stands there is the attacker's.

Instead: chown root:root for the file and every folder on the way.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence, Role
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.trust import weak_steps
from privmigrate.examples import Clean, Finds

CODE: Final = "PM414"
LEVEL: Final = Level.CRITICAL


EXAMPLES: Final = (
    Finds(
        "the file is the service's",
        "-rw-r--r-- root root /etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/x/rootwrap.d\n"
        "    exec_dirs=/opt/x/bin,/usr/bin\n"
        "-rw-r--r-- root root /etc/x/rootwrap.d/a.filters\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, root\n"
        "-rwxr-xr-x cinder cinder /usr/bin/lvs\n",
        "/usr/bin/lvs",
        "belongs to cinder: the filter l runs it",
    ),
    Finds(
        "a link of somebody's",
        "-rw-r--r-- root root /etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/x/rootwrap.d\n"
        "    exec_dirs=/opt/x/bin,/usr/bin\n"
        "-rw-r--r-- root root /etc/x/rootwrap.d/a.filters\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, root\n"
        "lrwxrwxrwx cinder cinder /usr/bin/lvs -> lvm\n"
        "-rwxr-xr-x root root /usr/bin/lvm\n",
        "/usr/bin/lvs",
        "belongs to cinder: the filter l runs it",
    ),
    Clean(
        "of root",
        "-rw-r--r-- root root /etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/x/rootwrap.d\n"
        "    exec_dirs=/opt/x/bin,/usr/bin\n"
        "-rw-r--r-- root root /etc/x/rootwrap.d/a.filters\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, root\n"
        "-rwxr-xr-x root root /usr/bin/lvs\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find steps that others than root can change."""
    yield from weak_steps(evidence, Role.EXECUTABLE)
