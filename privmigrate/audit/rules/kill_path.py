"""A KillFilter whose program has no path.

oslo.rootwrap then looks the name up in its own PATH, which under sudo is secure_path or the
caller's: which program is meant depends on how rootwrap was started.

Instead: write the program's path.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM130"
LEVEL: Final = Level.LOW


EXAMPLES: Final = (
    Finds(
        "a bare name",
        "[Filters]\nk: KillFilter, root, dnsmasq, -9\n",
        "2:1",
        "k means whatever PATH says dnsmasq is",
    ),
    Clean("a path", "[Filters]\nk: KillFilter, root, /usr/sbin/dnsmasq, -9\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find KillFilters that name a program without its folder."""
    for entry in evidence.of_class("KillFilter"):
        program = entry.rule.texts[1] if len(entry.rule.texts) > 1 else "/"
        if "/" not in program:
            yield Found(
                entry.span,
                f"{entry.name} means whatever PATH says {program} is",
                f"write the path, such as /usr/sbin/{program}",
            )
