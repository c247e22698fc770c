r"""A range in a character class that was hardly meant.

In ``[0-9a-z:./-\[]`` the part ``/-\[`` is a range: every character from ``/`` to ``[``, which are
all digits, capitals and ``:;<=>?@``.

Instead: write the ``-`` first or last in the class.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.patterns import odd_range
from privmigrate.examples import Clean, Finds

CODE: Final = "PM207"
LEVEL: Final = Level.LOW


EXAMPLES: Final = (
    Finds(
        "between marks",
        "[Filters]\nc: RegExpFilter, curl, root, curl, http://[0-9a-z:./-\\[\\]%]+\n",
        "2:1",
        "c: /-\\[ in http://[0-9a-z:./-\\[\\]%]+ is a range of many characters",
    ),
    Finds(
        "from marks to letters",
        "[Filters]\nc: RegExpFilter, x, root, x, [+-z]+\n",
        "2:1",
        "c: +-z in [+-z]+ is a range of many characters",
    ),
    Clean("letters and digits", "[Filters]\nc: RegExpFilter, x, root, x, [a-zA-Z0-9_.-]+\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find ranges of which an end is neither letter nor digit."""
    for entry in evidence.of_class("RegExpFilter", "ChainingRegExpFilter"):
        for pattern in entry.rule.texts[2:]:
            odd = odd_range(pattern)
            if odd:
                yield Found(
                    entry.span,
                    f"{entry.name}: {odd} in {pattern} is a range of many characters",
                    "write the - first or last in the class",
                )
                break
