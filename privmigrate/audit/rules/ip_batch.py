"""An IpFilter that does not keep commands out.

IpFilter refuses ``netns exec`` spelled so. ``ip -batch FILE`` reads any lines from a file of the
caller's, ``ip vrf exec`` runs a command, and ``ip netns e NAME`` is an abbreviation that ip takes.

Instead: strict mode refuses all of these; RegExpFilter for the subcommands that are used.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM124"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "any IpFilter",
        "[Filters]\ni: IpFilter, /sbin/ip, root\n",
        "2:1",
        "i runs any program as root: ip netns e NAME /tmp/x",
    ),
    Clean("another class", "[Filters]\ni: RegExpFilter, ip, root, ip, link\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find every IpFilter."""
    for entry in evidence.of_class("IpFilter"):
        if entry.rule.texts[0].rpartition("/")[2] == "ip":
            yield Found(
                entry.span,
                f"{entry.name} runs any program as {entry.run_as}: ip netns e NAME /tmp/x",
                "decide in strict mode, or allow the subcommands one by one (RegExpFilter)",
            )
