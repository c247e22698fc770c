"""A grant that lets the caller set the environment.

With SETENV (or ``Defaults setenv``) the caller passes LD_PRELOAD, PYTHONPATH and the like on the
command line, and env_reset does not hold: ``sudo PYTHONPATH=/tmp cinder-rootwrap ...`` is root.

Instead: remove it. kolla's images have it for their own entrypoint; keep it to that command.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM508"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "a tag",
        "kolla ALL=(root) NOPASSWD:SETENV: /usr/bin/x-rootwrap /etc/x/rootwrap.conf *\n",
        "1:1",
        "kolla sets any variable: sudo PYTHONPATH=/tmp /usr/bin/x-rootwrap",
    ),
    Finds(
        "a default", "Defaults:nova setenv\n", "1:1", "nova sets any variable of sudo's commands"
    ),
    Clean("everything anyway", "%sudo ALL=(ALL:ALL) SETENV: ALL\n"),
    Clean("taken away", 'Defaults !setenv\ncinder ALL=(root) NOPASSWD: /usr/bin/x ""\n'),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find SETENV in grants and in Defaults."""
    for grant in evidence.grants:
        if grant.setenv and not grant.negated and grant.command != "ALL":
            yield Found(
                grant.span,
                f"{grant.who} sets any variable: sudo PYTHONPATH=/tmp {grant.command}",
                "remove SETENV",
            )
    for default in evidence.defaults:
        if default.name == "setenv" and default.value is True:
            yield Found(
                default.span,
                f"{', '.join(default.binding) or 'everybody'} sets any variable of sudo's commands",
                "remove setenv",
            )
