"""A file that rootwrap does not survive.

An entry with too few values, a file without a [Filters] section, a line that is no entry: rootwrap
ends with a traceback, and no command of the service runs any more.

Instead: repair the line; ``privmigrate match`` reads the files as rootwrap does.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM306"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "too few values",
        "[Filters]\nl: CommandFilter, lvs\n",
        "2:1",
        "l: CommandFilter needs at least 2 values, 1 given",
    ),
    Clean("all values", "[Filters]\nl: CommandFilter, lvs, root\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Repeat what the reader says would end rootwrap."""
    for file in evidence.files:
        for error in file.parsed.errors:
            yield Found(error.span, error.message, error.advice)
