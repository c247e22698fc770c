"""A command of sudoers by which anything can be run or written.

The commands that filters should not allow, granted by sudo itself, with no wrapper between.

Instead: the whole line with its arguments, without stars.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.engine import all_ways
from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM506"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "tee",
        "cinder ALL=(root) NOPASSWD: /usr/bin/tee\n",
        "1:1",
        "cinder writes any file as root: sudo /usr/bin/tee /etc/cron.d/x",
    ),
    Finds(
        "mount with a star",
        "cinder ALL=(root) NOPASSWD: /bin/mount *\n",
        "1:1",
        "cinder puts any filesystem over any folder as root: sudo /bin/mount --bind /tmp/etc /etc",
    ),
    Clean("a whole line", "cinder ALL=(root) NOPASSWD: /bin/mount /srv/x\n"),
    Clean("with a password", "bob ALL=(root) /usr/bin/tee\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find granted commands with open arguments that are in a rule's table."""
    ranked = sorted(all_ways(), key=lambda way: -way.gain.weight)
    ways = {program: way for way in ranked[::-1] for program in way.programs.split()}
    for grant in evidence.grants:
        best = ways.get(grant.name)
        if best is None or grant.negated or not grant.no_password:
            continue
        if grant.takes(best.line):
            yield Found(
                grant.span,
                f"{grant.who} {best.gain.phrase} as root: sudo {grant.command} {best.line}",
                "write the whole line, without stars",
                best.gain.level,
            )
