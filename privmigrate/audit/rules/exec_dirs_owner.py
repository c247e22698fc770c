"""A folder of exec_dirs that others than root can write to.

An executable that a filter names without its path is looked up there: whoever may write to the
folder puts a program of the same name in front of it.

Instead: only folders of the system, or ones that root owns.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence, Role
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.trust import weak_steps
from privmigrate.examples import Clean, Finds

CODE: Final = "PM413"
LEVEL: Final = Level.CRITICAL


EXAMPLES: Final = (
    Finds(
        "a virtual environment of the service",
        "-rw-r--r-- root root /etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/x/rootwrap.d\n"
        "    exec_dirs=/opt/x/bin,/usr/bin\n"
        "-rw-r--r-- root root /etc/x/rootwrap.d/a.filters\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, root\n"
        "drwxr-xr-x cinder cinder /opt/x\n"
        "-rwxr-xr-x root root /opt/x/bin/y\n",
        "/opt/x",
        "belongs to cinder, on the way to /opt/x/bin: executables of the filters are "
        "looked up here",
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
        "-rwxr-xr-x root root /opt/x/bin/y\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find steps that others than root can change."""
    yield from weak_steps(evidence, Role.EXEC_DIR)
