"""A rootwrap.conf that others than root can replace.

Whoever owns a folder on the way to rootwrap.conf renames the file and writes another one, which
sudo hands to rootwrap: root, whatever the filters say. Packages of Debian make /etc/SERVICE the
service user's.

Instead: root:SERVICE 0750 for the folder, root:root for the file.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence, Role
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.trust import weak_steps
from privmigrate.examples import Clean, Finds

CODE: Final = "PM411"
LEVEL: Final = Level.CRITICAL


EXAMPLES: Final = (
    Finds(
        "the folder is the service's",
        "-rw-r--r-- root root /etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/x/rootwrap.d\n"
        "    exec_dirs=/opt/x/bin,/usr/bin\n"
        "-rw-r--r-- root root /etc/x/rootwrap.d/a.filters\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, root\n"
        "drwxr-x--- cinder cinder /etc/x\n",
        "/etc/x",
        "belongs to cinder, on the way to /etc/x/rootwrap.conf: it names the filters "
        "and where they are",
    ),
    Finds(
        "the file is",
        "-rw-r--r-- cinder cinder /etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/x/rootwrap.d\n"
        "    exec_dirs=/opt/x/bin,/usr/bin\n"
        "-rw-r--r-- root root /etc/x/rootwrap.d/a.filters\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, root\n",
        "/etc/x/rootwrap.conf",
        "belongs to cinder: it names the filters and where they are",
    ),
    Finds(
        "a link into the service's folder",
        "lrwxrwxrwx root root /etc/x -> /opt/venv/etc/x\n"
        "drwxr-xr-x cinder cinder /opt/venv/etc/x\n"
        "-rw-r--r-- root root /opt/venv/etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/y\n",
        "/opt/venv/etc/x",
        "belongs to cinder, on the way to /etc/x/rootwrap.conf: it names the filters "
        "and where they are",
    ),
    Clean(
        "readable by the service",
        "-rw-r--r-- root root /etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/x/rootwrap.d\n"
        "    exec_dirs=/opt/x/bin,/usr/bin\n"
        "-rw-r--r-- root root /etc/x/rootwrap.d/a.filters\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, root\n"
        "drwxr-x--- root cinder /etc/x\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find steps that others than root can change."""
    yield from weak_steps(evidence, Role.CONFIG)
