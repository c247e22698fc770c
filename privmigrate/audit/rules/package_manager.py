"""A command that installs software.

Packages bring scripts that root runs while they are installed.

Instead: nothing: a service does not install software with privilege.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import Gain, Way, open_ways
from privmigrate.examples import Clean, Finds

CODE: Final = "PM116"
LEVEL: Final = Level.HIGH

WAYS: Final = (
    Way("apt apt-get aptitude", "-o APT::Update::Pre-Invoke::=/tmp/x update", Gain.RUN),
    Way("dpkg", "-i /tmp/x.deb", Gain.RUN),
    Way("rpm yum dnf zypper", "install /tmp/x.rpm", Gain.RUN),
    Way("pip pip3 easy_install", "install /tmp/x", Gain.RUN),
    Way("gem npm cargo", "install /tmp/x", Gain.RUN),
    Way("snap flatpak", "install /tmp/x", Gain.RUN),
    Way("update-alternatives", "--install /bin/sh sh /tmp/x 99", Gain.RUN),
)

EXAMPLES: Final = (
    Finds(
        "any arguments",
        "[Filters]\np: CommandFilter, pip, root\n",
        "2:1",
        "p runs any program as root: pip install /tmp/x",
    ),
    Clean("one question", "[Filters]\nd: RegExpFilter, dpkg, root, dpkg, -S, /[a-z/]+\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find the commands of callers into which one of the ways fits."""
    yield from open_ways(evidence, WAYS)
