"""ip with its arguments free.

``ip netns exec`` and ``ip vrf exec`` run any command; IpFilter refuses only the first, and lets
``ip -batch FILE`` pass, whose lines may be either.

Instead: RegExpFilter, or a generated entrypoint with the namespace as a typed prefix.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.audit.runnable import Place
from privmigrate.examples import Clean, Finds

CODE: Final = "PM114"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("ip", "netns exec x /tmp/x", Gain.RUN, place=Place.FIRST),
    Way("ip", "vrf exec x /tmp/x", Gain.RUN, place=Place.FIRST),
    Way("ip", "-batch /tmp/x", Gain.RUN, place=Place.TOGETHER),
    Way("ip", "link set eth0 down", Gain.NETWORK, place=Place.FIRST),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\ni: CommandFilter, ip, root\n",
        "2:1",
        "i runs any program as root: ip netns exec x /tmp/x",
    ),
    Finds(
        "any words for a pattern",
        "[Filters]\ni: RegExpFilter, ip, root, ip, .*, .*, .*, .*\n",
        "2:1",
        "i runs any program as root: ip netns exec x /tmp/x",
    ),
    Finds(
        "an IpFilter",
        "[Filters]\ni: IpFilter, ip, root\n",
        "2:1",
        "i runs any program as root: ip vrf exec x /tmp/x",
    ),
    Clean(
        "one subcommand", "[Filters]\ni: RegExpFilter, ip, root, ip, link, set, tap[0-9a-f-]+, up\n"
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
