"""A command that is taken away with an exclamation mark.

``ALL, !/bin/sh`` keeps nobody from a copy of sh, or from vi. sudoers(5) itself warns of it.

Instead: name what is allowed.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM505"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "a shell taken away",
        "ops ALL=(root) NOPASSWD: ALL, !/bin/sh\n",
        "1:1",
        "!/bin/sh keeps ops from that path only, not from the program",
    ),
    Clean("nothing taken away", 'ops ALL=(root) NOPASSWD: /usr/bin/x ""\n'),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find negated commands beside others."""
    for grant in evidence.grants:
        if grant.negated and grant.command != "ALL":
            yield Found(
                grant.span,
                f"!{grant.shown} keeps {grant.who} from that path only, not from the program",
                "name what is allowed instead",
            )
