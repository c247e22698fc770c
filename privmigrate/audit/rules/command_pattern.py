"""A command of sudoers that is a pattern or a folder.

``/opt/tools/*`` and ``/opt/tools/`` allow every program there, also those that come later.

Instead: one path for each program.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM507"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "a star",
        "ops ALL=(root) NOPASSWD: /opt/tools/*\n",
        "1:1",
        "ops can run every program that /opt/tools/* stands for",
    ),
    Finds(
        "a folder",
        "ops ALL=(root) NOPASSWD: /opt/tools/\n",
        "1:1",
        "ops can run every program that /opt/tools/ stands for",
    ),
    Clean("one program", 'ops ALL=(root) NOPASSWD: /opt/tools/x ""\n'),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find commands that stand for several programs."""
    for grant in evidence.grants:
        several = grant.command.endswith("/") or any(mark in grant.command for mark in "*?[")
        if several and not grant.negated:
            yield Found(
                grant.span,
                f"{grant.who} can run every program that {grant.command} stands for",
                "write one path for each program",
            )
