"""Patterns that let a newline follow.

oslo.rootwrap puts ``$`` behind each pattern, which matches before a newline at the end: every word
may have one. What reads the word as a line, such as a shell or a file of addresses, sees two.

Instead: strict mode and generated code match whole words.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Entry, Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.diagnostics import Span
from privmigrate.examples import Clean, Finds
from privmigrate.rootwrap.filters.chainingregexp import ChainingRegExpFilter
from privmigrate.rootwrap.filters.regexp import RegExpFilter

CODE: Final = "PM202"
LEVEL: Final = Level.LOW


EXAMPLES: Final = (
    Finds(
        "any pattern",
        "[Filters]\ns: RegExpFilter, sleep, root, sleep, \\d+\n",
        "2",
        "s: a newline may follow each word that a pattern matches",
    ),
    Clean("no pattern", "[Filters]\ns: CommandFilter, lvs, root\n"),
    Clean("a newline is meant", "[Filters]\ns: RegExpFilter, tee, root, [\\s\\S]*\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Say it once for each file, with the first entry that it is true of."""
    for file in evidence.files:
        hit = [entry for entry in file.live if _is_loose(entry)]
        if hit:
            others = f" and {len(hit) - 1} more" if len(hit) > 1 else ""
            yield Found(
                Span(file.path, hit[0].span.line),
                f"{hit[0].name}{others}: a newline may follow each word that a pattern matches",
                "decide in strict mode",
            )


def _is_loose(entry: Entry) -> bool:
    if not isinstance(entry.bound, RegExpFilter | ChainingRegExpFilter):
        return False
    return any(not matcher.matches("x\n") for matcher in entry.bound.matchers)
