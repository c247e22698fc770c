"""A command of sudoers that is not there.

What does not exist can be made by whoever may write to its folder, and sudo will run it.

Instead: remove the line when the package is removed.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence, Role
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM511"
LEVEL: Final = Level.LOW


EXAMPLES: Final = (
    Finds(
        "nothing there",
        '-r--r----- root root /etc/sudoers\n    cinder ALL=(root) NOPASSWD: /usr/bin/gone ""\n',
        "/etc/sudoers:1:1",
        "/usr/bin/gone does not exist",
    ),
    Clean(
        "there",
        "-r--r----- root root /etc/sudoers\n"
        '    cinder ALL=(root) NOPASSWD: /usr/bin/x ""\n'
        "-rwxr-xr-x root root /usr/bin/x\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find commands that the tree does not have."""
    missing = {
        guarded.walk.path
        for guarded in evidence.guarded
        if guarded.role is Role.COMMAND and guarded.walk.why.startswith("No such file")
    }
    for grant in evidence.grants:
        if grant.command in missing and not grant.negated:
            yield Found(
                grant.span, f"{grant.command} does not exist", "remove the line, or install it"
            )
