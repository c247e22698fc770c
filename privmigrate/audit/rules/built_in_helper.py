"""The filter that oslo.rootwrap adds by itself.

Behind the filters of the files oslo.rootwrap puts ``privsep-helper: CommandFilter,
privsep-helper, root``, so that every service that may use rootwrap may start a helper with any
configuration file and any context (oslo.rootwrap 7, load_filters). No file can take it away.

Instead: generated entrypoints, which have no such entry; the shim has it as rootwrap does, and
takes its capabilities away with ``privsep-helper = none`` in [capabilities].
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.diagnostics import Span
from privmigrate.examples import Clean, Finds

CODE: Final = "PM133"
LEVEL: Final = Level.NOTE


EXAMPLES: Final = (
    Finds(
        "any rootwrap.conf",
        "[DEFAULT]\nfilters_path=/etc/example/rootwrap.d\n",
        "1",
        "rootwrap also allows privsep-helper with any arguments, for root",
    ),
    Clean("filters alone", "[Filters]\nl: CommandFilter, lvs, root\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Say it once for each rootwrap.conf."""
    for policy in evidence.policies:
        if policy.config is not None:
            yield Found(
                Span(policy.config.file, 1),
                "rootwrap also allows privsep-helper with any arguments, for root",
                "replace rootwrap; sudo cannot tell the two apart",
            )
