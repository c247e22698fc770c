"""An entrypoint that loads objects from what its caller passes.

``pickle.loads``, ``yaml.load`` and their like make objects, and run code while they do.

Instead: JSON, or plain parameters.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.modules import dotted, span_of
from privmigrate.examples import Clean, Finds

CODE: Final = "PM609"
LEVEL: Final = Level.CRITICAL


_LOADERS: Final = frozenset(
    {
        "pickle.load", "pickle.loads", "marshal.loads", "yaml.load", "yaml.unsafe_load",
        "dill.loads", "shelve.open", "jsonpickle.decode",
    }
)  # fmt: skip

EXAMPLES: Final = (
    Finds(
        "pickle",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "import pickle\n"
        "@ctx.entrypoint\n"
        "def f(data):\n"
        "    return pickle.loads(data)\n",
        "6:12",
        "f runs code that is in what callers pass, by pickle.loads",
    ),
    Finds(
        "yaml",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "import yaml\n"
        "@ctx.entrypoint\n"
        "def f(data):\n"
        "    return yaml.load(data)\n",
        "6:12",
        "f runs code that is in what callers pass, by yaml.load",
    ),
    Clean(
        "json",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "import json\n"
        "@ctx.entrypoint\n"
        "def f(data):\n"
        "    return json.loads(data)\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find loaders that execute."""
    for module in evidence.modules:
        for entrypoint in module.entrypoints:
            for call in entrypoint.calls():
                name = dotted(call.func)
                safe = any("Safe" in dotted(keyword.value) for keyword in call.keywords)
                if name in _LOADERS and not safe and any(map(entrypoint.is_tainted, call.args)):
                    yield Found(
                        span_of(module.path, call),
                        f"{entrypoint.name} runs code that is in what callers pass, by {name}",
                        "take JSON or plain parameters",
                    )
