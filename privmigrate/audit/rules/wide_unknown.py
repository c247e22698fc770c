"""A command of any arguments that we know nothing about.

A CommandFilter allows every option that the tool has or will have. For tools whose options are
known to run programs or write files another rule says how; of this one nobody has looked.

Instead: RegExpFilter with what the service calls; convert takes it from the call sites.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.engine import all_ways
from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM313"
LEVEL: Final = Level.LOW


_OTHERS: Final = frozenset({"privsep-helper", "privmigrate-helper"})

EXAMPLES: Final = (
    Finds(
        "a vendor's tool",
        "[Filters]\nh: CommandFilter, hus-cmd, root\n",
        "2:1",
        "h allows hus-cmd with any arguments, as root",
    ),
    Clean("a known one", "[Filters]\nt: CommandFilter, tee, root\n"),
    Clean("patterns", "[Filters]\nh: RegExpFilter, hus-cmd, root, hus-cmd, --version\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find commands that take any arguments and are in no rule's table."""
    known = {program for way in all_ways() for program in way.programs.split()}
    for runnable in evidence.runnables:
        if runnable.shape.is_free and runnable.program and runnable.program not in known | _OTHERS:
            yield Found(
                runnable.span,
                f"{runnable.name} allows {runnable.program} with any arguments,"
                f" as {runnable.run_as}",
                "allow the words that the service uses",
            )
