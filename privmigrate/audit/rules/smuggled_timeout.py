"""A parameter that oslo.privsep takes for its own.

oslo.privsep's wrapper has a keyword ``_wrap_timeout``: an entrypoint with a parameter of that name
never gets it, and one with ``**kwargs`` lets callers set it.

Instead: another name; no ``**kwargs``.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.modules import span_of
from privmigrate.examples import Clean, Finds

CODE: Final = "PM613"
LEVEL: Final = Level.LOW


EXAMPLES: Final = (
    Finds(
        "the name",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(_wrap_timeout):\n"
        "    return _wrap_timeout\n",
        "4:1",
        "f shares _wrap_timeout with oslo.privsep's own _wrap_timeout",
    ),
    Finds(
        "any keywords",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(**kwargs):\n"
        "    return kwargs\n",
        "4:1",
        "f shares **kwargs with oslo.privsep's own _wrap_timeout",
    ),
    Clean(
        "another name",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(timeout):\n"
        "    return timeout\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find parameters that take the wrapper's keyword."""
    for module in evidence.modules:
        for entrypoint in module.entrypoints:
            keywords = entrypoint.node.args.kwarg
            named = [p.arg for p in entrypoint.parameters if p.arg == "_wrap_timeout"]
            if entrypoint.runtime == "oslo" and (named or keywords is not None):
                what = named[0] if named else f"**{keywords.arg if keywords else ''}"
                yield Found(
                    span_of(module.path, entrypoint.node),
                    f"{entrypoint.name} shares {what} with oslo.privsep's own _wrap_timeout",
                    "give the parameter another name, and each keyword its own parameter",
                )
