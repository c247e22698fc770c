"""A pattern that may take exponential time.

``([^/]+/?)*`` can read the same text in exponentially many ways, and Python's ``re`` tries them
all when the end does not match: 24 characters take more than a second, 40 more than a day. A
rootwrap daemon answers nobody meanwhile.

Instead: repeat what begins with a separator, such as ``(/[^/]+)+``; strict mode uses an automaton
that needs linear time for any pattern.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.patterns import is_ambiguous
from privmigrate.examples import Clean, Finds

CODE: Final = "PM204"
LEVEL: Final = Level.MEDIUM


EXAMPLES: Final = (
    Finds(
        "the path idiom of many filters",
        "[Filters]\nc: RegExpFilter, cat, root, cat, ^[/]*([^/\\0]+(/+)?)*$\n",
        "2:1",
        "c: ^[/]*([^/\\0]+(/+)?)*$ for word 1 may take exponential time",
    ),
    Finds(
        "nested",
        "[Filters]\nc: RegExpFilter, x, root, x, (a+)+\n",
        "2:1",
        "c: (a+)+ for word 1 may take exponential time",
    ),
    Clean("begins with a separator", "[Filters]\nc: RegExpFilter, cat, root, cat, (/[^/]+)+\n"),
    Clean("one repetition", "[Filters]\nc: RegExpFilter, cat, root, cat, /.*/x\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find repetitions whose item can repeat itself."""
    for entry in evidence.of_class("RegExpFilter", "ChainingRegExpFilter"):
        for number, pattern in enumerate(entry.rule.texts[2:]):
            if is_ambiguous(pattern):
                yield Found(
                    entry.span,
                    f"{entry.name}: {pattern} for word {number} may take exponential time",
                    "repeat something that begins with a separator; decide in strict mode",
                )
                break
