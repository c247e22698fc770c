"""An entrypoint that calls a method which its caller names.

``getattr(instance, name)(*args)`` and ``importutils.import_class(name)`` reach every method of
every object, ``__class__`` and ``__globals__`` included: any code as root.

Instead: one entrypoint for each method.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.modules import dotted, span_of
from privmigrate.examples import Clean, Finds

CODE: Final = "PM608"
LEVEL: Final = Level.CRITICAL


_CODE: Final = frozenset(
    {"eval", "exec", "import_module", "import_class", "import_object", "__import__", "loads_code"}
)

EXAMPLES: Final = (
    Finds(
        "a method",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(obj, name, *args):\n"
        "    return getattr(obj, name)(*args)\n",
        "5:12",
        "f lets callers choose code by getattr",
    ),
    Finds(
        "a class",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "from oslo_utils import importutils\n"
        "@ctx.entrypoint\n"
        "def f(name):\n"
        "    return importutils.import_class(name)\n",
        "6:12",
        "f lets callers choose code by importutils.import_class",
    ),
    Finds(
        "text as code",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(text):\n"
        "    return eval(text)\n",
        "5:12",
        "f lets callers choose code by eval",
    ),
    Clean(
        "a constant",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(obj):\n"
        "    return getattr(obj, 'size')\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find calls that turn what callers pass into code."""
    for module in evidence.modules:
        for entrypoint in module.entrypoints:
            for call in entrypoint.calls():
                name = dotted(call.func)
                which = {"getattr": 1, "setattr": 1}.get(name, 0)
                last = name.rpartition(".")[2]
                if (name in {"getattr", "setattr"} or last in _CODE) and any(
                    map(entrypoint.is_tainted, call.args[which : which + 1])
                ):
                    yield Found(
                        span_of(module.path, call),
                        f"{entrypoint.name} lets callers choose code by {name}",
                        "write one entrypoint for each thing that is called",
                    )
