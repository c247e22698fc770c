"""An alternative that escapes the anchor.

The ``$`` that oslo.rootwrap puts behind ``a|b`` belongs to ``b``: what begins with ``a`` passes,
whatever follows. ``link|addr`` takes ``linkanything``.

Instead: put the alternatives into a group: ``(link|addr)``.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.runnable import has_bare_alternative
from privmigrate.examples import Clean, Finds

CODE: Final = "PM203"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "two words",
        "[Filters]\ni: RegExpFilter, ip, root, ip, link|addr\n",
        "2:1",
        "i: link|addr for word 1 takes anything that begins with link",
    ),
    Finds(
        "behind a path",
        "[Filters]\nc: RegExpFilter, cat, root, cat, /proc/a|/proc/b\n",
        "2:1",
        "c: /proc/a|/proc/b for word 1 takes anything that begins with /proc/a",
    ),
    Clean("a group", "[Filters]\ni: RegExpFilter, ip, root, ip, (link|addr)\n"),
    Clean("in a class", "[Filters]\ni: RegExpFilter, ip, root, ip, [a|b]\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find alternatives outside of groups."""
    for entry in evidence.of_class("RegExpFilter", "ChainingRegExpFilter"):
        for number, pattern in enumerate(entry.rule.texts[2:]):
            if has_bare_alternative(pattern):
                yield Found(
                    entry.span,
                    f"{entry.name}: {pattern} for word {number} takes anything that begins with"
                    f" {pattern.partition('|')[0]}",
                    f"write ({pattern})",
                )
                break
