"""A rootwrap.conf without exec_dirs.

rootwrap then looks executables up in PATH. Under sudo that is secure_path, if sudoers has one, and
else the caller's: the caller chooses which program is meant.

Instead: exec_dirs=/sbin,/usr/sbin,/bin,/usr/bin
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.diagnostics import Span
from privmigrate.examples import Clean, Finds

CODE: Final = "PM403"
LEVEL: Final = Level.MEDIUM


EXAMPLES: Final = (
    Finds(
        "none",
        "[DEFAULT]\nfilters_path=/etc/example/rootwrap.d\n",
        "1",
        "executables are looked up in PATH, for there is no exec_dirs",
    ),
    Clean("some", "[DEFAULT]\nfilters_path=/etc/example/rootwrap.d\nexec_dirs=/usr/bin\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find configurations that leave the folders to PATH."""
    for policy in evidence.policies:
        if policy.config is not None and not policy.config.exec_dirs_given:
            yield Found(
                Span(policy.config.file, 1),
                "executables are looked up in PATH, for there is no exec_dirs",
                "write exec_dirs=/sbin,/usr/sbin,/bin,/usr/bin",
            )
