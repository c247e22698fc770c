"""A Python of rootwrap that others than root can change.

rootwrap and the privsep helpers are Python: whoever can change their interpreter, or a folder that
they import from, writes code that root runs.
from run as root. One .pth file in site-packages is enough.

Instead: an environment that root owns; privmigrate's shim starts with -I -S, and imports nothing.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence, Role
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.trust import weak_steps
from privmigrate.examples import Clean, Finds

CODE: Final = "PM417"
LEVEL: Final = Level.CRITICAL


EXAMPLES: Final = (
    Finds(
        "the environment's packages",
        "-r--r----- root root /etc/sudoers\n"
        "    cinder ALL=(root) NOPASSWD: /opt/venv/bin/x-rootwrap /etc/x/rootwrap.conf *\n"
        "-rwxr-xr-x root root /opt/venv/bin/x-rootwrap\n"
        "    #!/opt/venv/bin/python3\n"
        "-rwxr-xr-x root root /opt/venv/bin/python3\n"
        "drwxr-xr-x cinder cinder /opt/venv/lib/python3.11/site-packages\n",
        "/opt/venv/lib/python3.11/site-packages",
        "belongs to cinder: /opt/venv/bin/x-rootwrap runs it",
    ),
    Clean(
        "of root",
        "-r--r----- root root /etc/sudoers\n"
        "    cinder ALL=(root) NOPASSWD: /usr/bin/x-rootwrap /etc/x/rootwrap.conf *\n"
        "-rwxr-xr-x root root /usr/bin/x-rootwrap\n"
        "    #!/usr/bin/python3\n"
        "-rwxr-xr-x root root /usr/bin/python3\n"
        "drwxr-xr-x root root /usr/lib/python3/dist-packages\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find steps that others than root can change."""
    yield from weak_steps(evidence, Role.PYTHON)
