"""A command of sudoers that others than root can replace.

sudo runs the path that stands in sudoers; whoever can put another file there is root.

Instead: chown root:root for the file and every folder on the way; no virtual environment of the
service's.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence, Role
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.trust import weak_steps
from privmigrate.examples import Clean, Finds

CODE: Final = "PM416"
LEVEL: Final = Level.CRITICAL


EXAMPLES: Final = (
    Finds(
        "the wrapper is in the service's environment",
        "-r--r----- root root /etc/sudoers\n"
        "    cinder ALL=(root) NOPASSWD: /opt/venv/bin/x-rootwrap /etc/x/rootwrap.conf *\n"
        "drwxr-xr-x cinder cinder /opt/venv\n"
        "-rwxr-xr-x root root /opt/venv/bin/x-rootwrap\n",
        "/opt/venv",
        "belongs to cinder, on the way to /opt/venv/bin/x-rootwrap: sudo runs it for cinder",
    ),
    Clean(
        "of root",
        "-r--r----- root root /etc/sudoers\n"
        "    cinder ALL=(root) NOPASSWD: /usr/bin/x-rootwrap /etc/x/rootwrap.conf *\n"
        "-rwxr-xr-x root root /usr/bin/x-rootwrap\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find steps that others than root can change."""
    yield from weak_steps(evidence, Role.COMMAND)
