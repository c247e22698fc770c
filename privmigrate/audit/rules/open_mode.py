"""A file that everybody may write to, made by root.

0777 and 0666 hand over what root made; ``os.umask(0)`` does it to all that follows. oslo.privsep's
daemon has umask 0, so that files which its commands make without a mode are writable by all.

Instead: the owner that needs it, and 0640 or less.
"""

import ast
from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.modules import dotted, span_of
from privmigrate.examples import Clean, Finds

CODE: Final = "PM615"
LEVEL: Final = Level.MEDIUM


_MODES: Final = frozenset({"os.chmod", "os.fchmod", "os.mkdir", "os.makedirs", "os.open"})

EXAMPLES: Final = (
    Finds(
        "chmod",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "import os\n"
        "@ctx.entrypoint\n"
        "def f():\n"
        "    os.chmod('/run/x', 0o777)\n",
        "6:5",
        "f makes a file writable by everybody (777)",
    ),
    Finds(
        "umask",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "import os\n"
        "@ctx.entrypoint\n"
        "def f():\n"
        "    os.umask(0)\n",
        "6:5",
        "f takes the umask away",
    ),
    Clean(
        "a narrow mode",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "import os\n"
        "@ctx.entrypoint\n"
        "def f():\n"
        "    os.chmod('/run/x', 0o640)\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find modes with write permission for all."""
    for module in evidence.modules:
        for entrypoint in module.entrypoints:
            for call in entrypoint.calls():
                name = dotted(call.func)
                numbers = [
                    a.value
                    for a in call.args
                    if isinstance(a, ast.Constant) and isinstance(a.value, int)
                ]
                if name == "os.umask" and numbers == [0]:
                    what = "takes the umask away"
                elif name in _MODES and any(number & 0o002 for number in numbers[-1:]):
                    what = f"makes a file writable by everybody ({numbers[-1]:o})"
                else:
                    continue
                yield Found(
                    span_of(module.path, call),
                    f"{entrypoint.name} {what}",
                    "give the file to the owner that needs it, 0640 or less",
                )
