"""A folder in exec_dirs that is not absolute.

An empty name, a dot, or a name with a space in front depends on the folder in which rootwrap was
started, which is the caller's: a program of the caller's is run as root.

Instead: absolute paths, separated by commas alone.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.settings import option_span
from privmigrate.examples import Clean, Finds

CODE: Final = "PM404"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "a space",
        "[DEFAULT]\nfilters_path=/etc/example/rootwrap.d\nexec_dirs=/sbin, /usr/sbin\n",
        "3",
        "' /usr/sbin' in exec_dirs is a folder below the caller's",
    ),
    Finds(
        "an empty one",
        "[DEFAULT]\nfilters_path=/etc/example/rootwrap.d\nexec_dirs=/sbin,\n",
        "3",
        "'' in exec_dirs is a folder below the caller's",
    ),
    Clean(
        "absolute", "[DEFAULT]\nfilters_path=/etc/example/rootwrap.d\nexec_dirs=/sbin,/usr/sbin\n"
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find folders that are relative to the caller's."""
    for policy in evidence.policies:
        if policy.config is None or not policy.config.exec_dirs_given:
            continue
        for folder in policy.config.exec_dirs:
            if not folder.startswith("/"):
                yield Found(
                    option_span(policy, "exec_dirs"),
                    f"{folder!r} in exec_dirs is a folder below the caller's",
                    "write absolute paths, separated by commas alone",
                )
