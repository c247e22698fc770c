"""A name that stands twice in a file.

Names are lower-cased, and the last entry of a name is the only one: the earlier one has no effect,
whether it was narrower or wider.

Instead: give one of them another name, or remove it.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds
from privmigrate.rootwrap.rule import Status

CODE: Final = "PM305"
LEVEL: Final = Level.MEDIUM


EXAMPLES: Final = (
    Finds(
        "another value",
        "[Filters]\n"
        "b: CommandFilter, blockdev, root\n"
        "B: RegExpFilter, blockdev, root, blockdev, --getsize64, /dev/.*\n",
        "2:1",
        "b has no effect: line 3 has the same name and says something else",
    ),
    Finds(
        "the same value",
        "[Filters]\nf: CommandFilter, find, root\nf: CommandFilter, find, root\n",
        "2:1",
        "f has no effect: line 3 has the same name and says the same",
    ),
    Clean(
        "two names", "[Filters]\nb: CommandFilter, blockdev, root\nc: CommandFilter, cat, root\n"
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find entries whose place another one took."""
    for file in evidence.files:
        live = {e.rule.name: e for e in file.entries if e.rule.status is not Status.SHADOWED}
        for entry in file.entries:
            if entry.rule.status is not Status.SHADOWED:
                continue
            other = live[entry.rule.name]
            same = (entry.rule.filter_class, entry.rule.texts) == (
                other.rule.filter_class,
                other.rule.texts,
            )
            yield Found(
                entry.span,
                f"{entry.name} has no effect: line {other.span.line} has the same name"
                f"{' and says the same' if same else ' and says something else'}",
                "remove one of them" if same else "give one of them another name",
                Level.NOTE if same else None,
            )
