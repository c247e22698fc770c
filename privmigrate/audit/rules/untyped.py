"""An entrypoint whose parameters have no types.

What a client sends is what the function gets: a list where a text was meant, a number, a very long
text. oslo.privsep checks nothing; annotations at least say what was meant, and ours are enforced.

Instead: an annotation for each parameter, and @command of privmigrate.privsep, which checks it in
the daemon.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.modules import span_of
from privmigrate.examples import Clean, Finds

CODE: Final = "PM606"
LEVEL: Final = Level.MEDIUM


EXAMPLES: Final = (
    Finds(
        "none",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(a, b):\n"
        "    return a\n",
        "4:1",
        "f takes anything for a, b",
    ),
    Finds(
        "one of two",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(a: int, b):\n"
        "    return a\n",
        "4:1",
        "f takes anything for b",
    ),
    Clean(
        "all",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(a: int):\n"
        "    return a\n",
    ),
    Clean(
        "no parameter",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f():\n"
        "    return 1\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find entrypoints with parameters that have no annotation."""
    for module in evidence.modules:
        for entrypoint in module.entrypoints:
            bare = [p.arg for p in entrypoint.own_parameters if p.annotation is None]
            if bare:
                yield Found(
                    span_of(module.path, entrypoint.node),
                    f"{entrypoint.name} takes anything for {', '.join(bare)}",
                    "annotate each parameter, and check it in the daemon",
                )
