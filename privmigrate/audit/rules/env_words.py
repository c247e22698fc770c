"""An EnvFilter with patterns behind its command that nobody looks at.

What follows the executable in an EnvFilter's rule has no effect: any arguments pass.

Instead: strict mode reads them as patterns; so does convert.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds
from privmigrate.rootwrap.filters.env import EnvFilter

CODE: Final = "PM127"
LEVEL: Final = Level.MEDIUM


EXAMPLES: Final = (
    Finds(
        "patterns without effect",
        "[Filters]\nh: EnvFilter, env, root, PROCESS_TAG=, haproxy, -f, .*\n",
        "2:1",
        "h allows any arguments: rootwrap does not look at '-f .*'",
    ),
    Clean("none", "[Filters]\nh: EnvFilter, env, root, PROCESS_TAG=, haproxy\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find EnvFilters with words behind the command."""
    for entry in evidence.of_class("EnvFilter"):
        if isinstance(entry.bound, EnvFilter) and entry.bound.matchers:
            words = " ".join(matcher.pattern for matcher in entry.bound.matchers)
            yield Found(
                entry.span,
                f"{entry.name} allows any arguments: rootwrap does not look at {words!r}",
                "decide in strict mode, which reads them as patterns",
            )
