"""A context whose prefix other packages share.

oslo.privsep admits every entrypoint whose module begins with the prefix, letter by letter: the
prefix ``nova`` also admits ``novafoo``. An empty one admits everything that can be imported.

Instead: the package's name with a dot where the runtime takes one; ours compares whole names.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM611"
LEVEL: Final = Level.LOW


EXAMPLES: Final = (
    Finds(
        "no dot",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "c = priv_context.PrivContext('nova', capabilities=[])\n",
        "3:1",
        "c admits entrypoints of every module whose name begins with 'nova', such as novax",
    ),
    Clean(
        "ours",
        "from privmigrate.privsep import priv_context\n"
        "c = priv_context.PrivContext('nova', capabilities=[])\n",
    ),
    Clean(
        "not known",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "c = priv_context.PrivContext(__name__, capabilities=[])\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find prefixes of oslo.privsep's contexts that are not closed."""
    for module in evidence.modules:
        for context in module.contexts:
            prefix = context.prefix
            if context.runtime == "oslo" and prefix is not None and not prefix.endswith("."):
                yield Found(
                    context.span,
                    f"{context.name} admits entrypoints of every module whose name begins with"
                    f" {prefix!r}, such as {prefix}x",
                    "use a runtime that compares whole names, such as privmigrate.privsep",
                )
