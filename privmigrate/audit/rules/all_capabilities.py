"""A context with capabilities that are as good as root.

Two or more by each of which alone a program becomes root, such as CAP_SYS_ADMIN, CAP_DAC_OVERRIDE
and CAP_CHOWN: the context restricts nothing that matters. Six projects share the same
list of six, copied from one another.

Instead: several contexts by what their commands work on, each with its own few capabilities;
``privmigrate caps explain`` says what a command needs.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.power import as_good_as_root
from privmigrate.examples import Clean, Finds
from privmigrate.linux.capabilities import Capability, CapabilitySet

CODE: Final = "PM605"
LEVEL: Final = Level.HIGH

_STRONG: Final = frozenset(as_good_as_root(CapabilitySet.of(*Capability)).names)

EXAMPLES: Final = (
    Finds(
        "the copied six",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "from oslo_privsep import capabilities as c\n"
        "default = priv_context.PrivContext('x', cfg_section='x', pypath=__name__ + "
        "'.default', capabilities=[c.CAP_CHOWN, c.CAP_DAC_OVERRIDE, "
        "c.CAP_DAC_READ_SEARCH, c.CAP_FOWNER, c.CAP_NET_ADMIN, c.CAP_SYS_ADMIN])\n",
        "4:1",
        "default is as good as root: CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_SYS_ADMIN",
    ),
    Finds(
        "all of them",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "from oslo_privsep import capabilities as c\n"
        "default = priv_context.PrivContext('x', capabilities=list(c.Capabilities))\n",
        "4:1",
        "the capabilities of default are not listed: they may be all",
    ),
    Clean(
        "one",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "from oslo_privsep import capabilities as c\n"
        "net = priv_context.PrivContext('x', capabilities=[c.CAP_NET_ADMIN])\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find contexts that hold all, cannot be counted, or hold enough to be root."""
    for module in evidence.modules:
        for context in module.contexts:
            names = context.capabilities
            if names is None:
                given = any(keyword.arg == "capabilities" for keyword in context.node.keywords)
                if given:
                    yield Found(
                        context.span,
                        f"the capabilities of {context.name} are not listed: they may be all",
                        "list them one by one",
                    )
                continue
            strong = sorted(_STRONG & set(names))
            if len(strong) > 1:
                yield Found(
                    context.span,
                    f"{context.name} is as good as root: {' '.join(strong)}",
                    "divide it by what its commands work on",
                )
