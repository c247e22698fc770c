"""An EnvFilter with a value that nobody compares.

``LC_ALL=C`` in a rule reads as if only C were allowed. oslo.rootwrap compares the names and takes
any value.

Instead: strict mode compares the values; generated code has them as constants.
"""

from collections.abc import Iterator
from itertools import takewhile
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM126"
LEVEL: Final = Level.LOW


EXAMPLES: Final = (
    Finds(
        "a value",
        "[Filters]\nl: EnvFilter, env, root, LC_ALL=C, lvs\n",
        "2:1",
        "l takes any value for LC_ALL, not only C",
    ),
    Clean("no value", "[Filters]\nl: EnvFilter, env, root, LC_ALL=, lvs\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find EnvFilters that give a value."""
    for entry in evidence.of_class("EnvFilter"):
        assignments = takewhile(lambda text: "=" in text, entry.rule.texts[2:])
        valued = [text for text in assignments if not text.endswith("=")]
        if valued:
            name, _, value = valued[0].partition("=")
            yield Found(
                entry.span,
                f"{entry.name} takes any value for {name}, not only {value}",
                "decide in strict mode, which compares it",
            )
