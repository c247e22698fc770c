"""A rootwrap whose configuration the caller chooses.

A command without arguments in sudoers allows any: the caller passes a rootwrap.conf of its own,
and is root. So does a ``*`` in the configuration's place. openstack-ansible writes such lines.

Instead: ``/usr/bin/cinder-rootwrap /etc/cinder/rootwrap.conf *``.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.gather import is_wrapper
from privmigrate.examples import Clean, Finds

CODE: Final = "PM501"
LEVEL: Final = Level.CRITICAL

_WAYS: Final = ("/tmp/rootwrap.conf id", "/etc/../tmp/rootwrap.conf id")


EXAMPLES: Final = (
    Finds(
        "no arguments",
        "cinder ALL=(root) NOPASSWD: /usr/bin/cinder-rootwrap\n",
        "1:1",
        "cinder can pass any configuration: sudo /usr/bin/cinder-rootwrap /tmp/rootwrap.conf id",
    ),
    Finds(
        "a star",
        "cinder ALL=(root) NOPASSWD: /usr/bin/cinder-rootwrap *\n",
        "1:1",
        "cinder can pass any configuration: sudo /usr/bin/cinder-rootwrap /tmp/rootwrap.conf id",
    ),
    Finds(
        "a star in the path",
        "cinder ALL=(root) NOPASSWD: /usr/bin/cinder-rootwrap /etc/*/rootwrap.conf *\n",
        "1:1",
        "cinder can pass any configuration: "
        "sudo /usr/bin/cinder-rootwrap /etc/../tmp/rootwrap.conf id",
    ),
    Finds(
        "through an alias",
        "Cmnd_Alias RW = /usr/bin/nova-rootwrap\nnova ALL=(root) NOPASSWD: RW\n",
        "2:1",
        "nova can pass any configuration: sudo /usr/bin/nova-rootwrap /tmp/rootwrap.conf id",
    ),
    Finds(
        "an open expression",
        "cinder ALL=(root) NOPASSWD: /usr/bin/cinder-rootwrap ^.*rootwrap\\.conf .*$\n",
        "1:1",
        "cinder can pass any configuration: sudo /usr/bin/cinder-rootwrap /tmp/rootwrap.conf id",
    ),
    Clean(
        "a fixed configuration in an expression",
        "cinder ALL=(root) NOPASSWD: /usr/bin/cinder-rootwrap ^/etc/cinder/rootwrap\\.conf .*$\n",
    ),
    Clean(
        "a fixed configuration",
        "cinder ALL=(root) NOPASSWD: /usr/bin/cinder-rootwrap /etc/cinder/rootwrap.conf *\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find wrappers whose first argument is open."""
    for grant in evidence.grants:
        if not is_wrapper(grant) or grant.negated:
            continue
        taken = next((words for words in _WAYS if grant.takes(words)), "")
        if taken:
            yield Found(
                grant.span,
                f"{grant.who} can pass any configuration: sudo {grant.command} {taken}",
                f"write {grant.command} /etc/SERVICE/rootwrap.conf *",
            )
