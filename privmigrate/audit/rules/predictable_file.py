"""A file in /tmp that root opens by a name that is known.

Whoever makes the file, or a link with its name, first decides what root reads or writes there.

Instead: tempfile, or a folder of the daemon's own below /run.
"""

import ast
from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.modules import dotted, span_of
from privmigrate.examples import Clean, Finds

CODE: Final = "PM614"
LEVEL: Final = Level.HIGH


_OPENERS: Final = frozenset({"open", "os.open", "io.open", "os.mkdir", "os.mkfifo"})
_SHARED: Final = ("/tmp/", "/var/tmp/", "/dev/shm/")

EXAMPLES: Final = (
    Finds(
        "a constant",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(data: str):\n"
        "    with open('/tmp/x.lock', 'w') as file:\n"
        "        file.write(data)\n",
        "5:10",
        "f opens /tmp/x.lock, which anybody can make first",
    ),
    Clean(
        "a folder of root's",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(data: str):\n"
        "    with open('/run/x/lock', 'w') as file:\n"
        "        file.write(data)\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find constants below folders that everybody writes to."""
    for module in evidence.modules:
        for entrypoint in module.entrypoints:
            for call in entrypoint.calls():
                name = dotted(call.func)
                if name not in _OPENERS or not call.args:
                    continue
                text = next(
                    (n.value for n in ast.walk(call.args[0]) if isinstance(n, ast.Constant)), ""
                )
                if isinstance(text, str) and text.startswith(_SHARED):
                    yield Found(
                        span_of(module.path, call),
                        f"{entrypoint.name} opens {text}, which anybody can make first",
                        "use a folder below /run that only root writes to",
                    )
