"""A command that reads any file.

/etc/shadow, private keys, the services' passwords: what root can read, the caller gets.

Instead: ReadFileFilter for one file, a pattern for several.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.examples import Clean, Finds

CODE: Final = "PM107"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("cat head tail tac nl od xxd strings hexdump more", "/etc/shadow", Gain.READ),
    Way("dd", "if=/etc/shadow", Gain.READ),
    Way("cp", "/etc/shadow /tmp/s", Gain.READ),
    Way("grep egrep fgrep zgrep", "'' /etc/shadow", Gain.READ, "/etc/shadow"),
    Way("sort uniq paste fold rev", "/etc/shadow", Gain.READ),
    Way("cut", "-c 1- /etc/shadow", Gain.READ, "/etc/shadow"),
    Way("comm", "/etc/shadow /dev/null", Gain.READ),
    Way("join", "-a 1 /etc/shadow /dev/null", Gain.READ, "/etc/shadow"),
    Way("file", "-f /etc/shadow", Gain.READ),
    Way("diff", "/etc/shadow /dev/null", Gain.READ, "/etc/shadow"),
    Way("cmp", "-l /etc/shadow /dev/zero", Gain.READ, "-l /etc/shadow"),
    Way("date", "-f /etc/shadow", Gain.READ),
    Way("wc", "--files0-from=/etc/shadow", Gain.READ),
    Way("du", "--files0-from=/etc/shadow", Gain.READ),
    Way("sed", "p /etc/shadow", Gain.READ, "/etc/shadow"),
    Way("jq xmllint", "-R . /etc/shadow", Gain.READ, "/etc/shadow"),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\nc: CommandFilter, cat, root\n",
        "2:1",
        "c reads any file as root: cat /etc/shadow",
    ),
    Finds(
        "any path below a folder, by two dots",
        "[Filters]\nt: RegExpFilter, tail, root, tail, -n, \\d+, /var/log/.*\n",
        "2:1",
        "t reads any file as root: tail -n ... /var/log/../../../../../../../../etc/shadow",
    ),
    Finds(
        "an option that takes a file of names",
        "[Filters]\nd: EnvFilter, env, root, LC_ALL=C, du\n",
        "2:1",
        "d reads any file as root: du --files0-from=/etc/shadow",
    ),
    Clean("one file", "[Filters]\nc: ReadFileFilter, /etc/iscsi/initiatorname.iscsi\n"),
    Clean("one name", "[Filters]\nt: RegExpFilter, tail, root, tail, /var/log/[^/]+\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
