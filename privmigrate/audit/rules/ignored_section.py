"""A section that rootwrap does not read.

Only [Filters], and [DEFAULT] beside it, are read: entries elsewhere have no effect.

Instead: write [Filters].
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM312"
LEVEL: Final = Level.LOW


EXAMPLES: Final = (
    Finds(
        "another section",
        "[Filters]\nl: CommandFilter, lvs, root\n[Filter]\nm: CommandFilter, mount, root\n",
        "3:1",
        "rootwrap ignores the section [Filter]",
    ),
    Clean("one section", "[Filters]\nl: CommandFilter, lvs, root\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Repeat what the reader says about sections."""
    for file in evidence.files:
        for note in file.parsed.diagnostics:
            if note.code == "ignored-section":
                yield Found(note.span, note.message, note.advice)
