"""A command that controls the network, with its arguments free.

Redirected traffic is other people's passwords; ``iptables --modprobe=PROGRAM`` also runs a
program, ``ebtables --atomic-file`` and ``conntrack`` read and write files.

Instead: patterns for the subcommands that the service uses.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.audit.runnable import Place
from privmigrate.examples import Clean, Finds

CODE: Final = "PM118"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way(
        "iptables ip6tables iptables-legacy ip6tables-legacy iptables-restore "
        "ip6tables-restore iptables-save ip6tables-save",
        "--modprobe=/tmp/x",
        Gain.RUN,
    ),
    Way("iptables ip6tables", "-t nat -A PREROUTING -j DNAT --to evil", Gain.NETWORK, "-j DNAT"),
    Way(
        "ebtables arptables",
        "--atomic-file /etc/cron.d/x --atomic-save",
        Gain.WRITE,
        "--atomic-file /etc/cron.d/x",
    ),
    Way("ebtables arptables", "-t nat -A PREROUTING -j redirect", Gain.NETWORK, "-j redirect"),
    Way("nft", "-f /tmp/x", Gain.NETWORK),
    Way(
        "ovs-vsctl ovs-ofctl ovs-dpctl ovs-appctl",
        "add-port br-int eth0",
        Gain.NETWORK,
        place=Place.FIRST,
    ),
    Way("brctl bridge", "addif br0 eth0", Gain.NETWORK, place=Place.FIRST),
    Way("tc", "-batch /tmp/x", Gain.NETWORK),
    Way("tc", "filter add dev eth0 action mirred", Gain.NETWORK),
    Way("ipset", "flush", Gain.NETWORK),
    Way("route ifconfig", "add default gw evil", Gain.NETWORK),
    Way("ethtool", "-K eth0 rx off", Gain.NETWORK),
    Way("conntrack", "-F", Gain.NETWORK),
    Way("arping arp", "-s 10.0.0.1 02:00:00:00:00:01", Gain.NETWORK),
    Way("dhclient dhcpcd", "-sf /tmp/x eth0", Gain.RUN, "-sf /tmp/x"),
    Way("mii-tool vconfig ovs-vswitchd", "eth0", Gain.NETWORK),
    Way("iptables-restore ip6tables-restore", "-w", Gain.NETWORK),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\ni: CommandFilter, iptables, root\n",
        "2:1",
        "i runs any program as root: iptables --modprobe=/tmp/x",
    ),
    Finds(
        "an option where a name is meant",
        "[Filters]\nb: RegExpFilter, brctl, root, brctl, .*, .*, .*\n",
        "2:1",
        "b redirects the machine's traffic as root: brctl addif br0 eth0",
    ),
    Clean("one subcommand", "[Filters]\nb: RegExpFilter, brctl, root, brctl, show\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
