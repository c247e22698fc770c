"""A CommandFilter with arguments that nobody looks at.

``CommandFilter, drv_cfg, root, --query_guid`` reads as if only that argument were allowed. Values
behind the user have no effect: any arguments pass.

Instead: RegExpFilter.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM311"
LEVEL: Final = Level.MEDIUM


EXAMPLES: Final = (
    Finds(
        "an argument",
        "[Filters]\nd: CommandFilter, drv_cfg, root, --query_guid\n",
        "2:1",
        "d allows any arguments: rootwrap does not look at --query_guid",
    ),
    Clean("none", "[Filters]\nd: CommandFilter, drv_cfg, root\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find CommandFilters with more than two values."""
    for entry in evidence.of_class("CommandFilter"):
        ignored = entry.rule.texts[2:]
        if any(ignored):
            words = ", ".join(ignored)
            yield Found(
                entry.span,
                f"{entry.name} allows any arguments: rootwrap does not look at {words}",
                f"write RegExpFilter, {', '.join(entry.rule.texts[:2])}, with a pattern per word",
            )
