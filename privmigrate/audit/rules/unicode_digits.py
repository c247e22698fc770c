r"""Digits that are not only ASCII.

``\d`` takes any of some 650 decimal digits of Unicode, ``\w`` and ``\s`` are as wide. Few tools
read them as numbers; some reject them late, after half of their work.

Instead: ``[0-9]``. Strict mode and generated code take ASCII digits only.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.diagnostics import Span
from privmigrate.examples import Clean, Finds

CODE: Final = "PM209"
LEVEL: Final = Level.NOTE


EXAMPLES: Final = (
    Finds(
        "a count",
        "[Filters]\ns: RegExpFilter, sleep, root, sleep, \\d+\n",
        "2",
        "s: \\d takes digits of every script",
    ),
    Clean("ASCII", "[Filters]\ns: RegExpFilter, sleep, root, sleep, [0-9]+\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Say it once for each file."""
    for file in evidence.files:
        hit = [
            entry
            for entry in file.live
            if entry.rule.filter_class in {"RegExpFilter", "ChainingRegExpFilter"}
            and any(r"\d" in text for text in entry.rule.texts[2:])
        ]
        if hit:
            others = f" and {len(hit) - 1} more" if len(hit) > 1 else ""
            yield Found(
                Span(file.path, hit[0].span.line),
                f"{hit[0].name}{others}: \\d takes digits of every script",
                "write [0-9], or decide in strict mode",
            )
