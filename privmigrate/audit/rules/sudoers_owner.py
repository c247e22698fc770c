"""A sudoers file that others than root can change.

Who writes sudoers is root. sudo itself refuses files of another owner, but not folders on the way.

Instead: root:root 0440.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence, Role
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.trust import weak_steps
from privmigrate.examples import Clean, Finds

CODE: Final = "PM415"
LEVEL: Final = Level.CRITICAL


EXAMPLES: Final = (
    Finds(
        "the folder of drop-ins",
        "-r--r----- root root /etc/sudoers\n"
        "    @includedir /etc/sudoers.d\n"
        "drwxrwxr-x root admin /etc/sudoers.d\n"
        "-r--r----- root root /etc/sudoers.d/x\n"
        '    cinder ALL=(root) NOPASSWD: /usr/bin/x ""\n',
        "/etc/sudoers.d",
        "is writable by group admin, on the way to /etc/sudoers.d/x: it says who may become root",
    ),
    Clean(
        "of root",
        "-r--r----- root root /etc/sudoers\n"
        "    cinder ALL=(root) NOPASSWD: /usr/bin/x-rootwrap /etc/x/rootwrap.conf *\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find steps that others than root can change."""
    yield from weak_steps(evidence, Role.SUDOERS)
