"""An archive or copy tool that runs programs.

``tar``, ``rsync`` and ``zip`` have options that name a program, and unpack over any file.

Instead: unpack as the service's user into a folder of its own; allow only constants otherwise.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.examples import Clean, Finds

CODE: Final = "PM108"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way(
        "tar bsdtar",
        "-cf /dev/null /etc/hosts --checkpoint=1 --checkpoint-action=exec=/tmp/x",
        Gain.RUN,
        "--checkpoint-action=exec=/tmp/x",
    ),
    Way("tar bsdtar", "-C / -xf /tmp/x.tar", Gain.WRITE),
    Way("tar bsdtar", "-xf /tmp/x.tar -C /", Gain.WRITE),
    Way("rsync", "-e /tmp/x a: b", Gain.RUN, "-e /tmp/x"),
    Way("zip", "/tmp/z /etc/hosts -T -TT /tmp/x", Gain.RUN, "-TT /tmp/x"),
    Way("unzip 7z cpio", "-d / /tmp/x.zip", Gain.WRITE),
    Way("scp sftp", "-S /tmp/x a: b", Gain.RUN, "-S /tmp/x"),
    Way("gzip gunzip bzip2 xz zcat", "-c /etc/shadow", Gain.READ, "/etc/shadow"),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\nt: CommandFilter, tar, root\n",
        "2:1",
        "t runs any program as root: tar -cf /dev/null /etc/hosts --checkpoint=1 "
        "--checkpoint-action=exec=/tmp/x",
    ),
    Clean(
        "one fixed archive",
        "[Filters]\nt: RegExpFilter, tar, root, tar, -cf, /var/backup/x.tar, /etc/x\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
