"""An entrypoint that passes an environment of its caller's on.

LD_PRELOAD, PATH and the like choose the code of the command.

Instead: the variables that the command needs, by name (``environment({...}, NAME=value)``).
"""

import ast
from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.modules import Entrypoint
from privmigrate.examples import Clean, Finds

CODE: Final = "PM610"
LEVEL: Final = Level.HIGH


_NAMES: Final = frozenset({"env", "env_variables"})

EXAMPLES: Final = (
    Finds(
        "a mapping",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(env):\n"
        "    processutils.execute('x', env_variables=env)\n",
        "5:5",
        "f lets callers choose the variables of x",
    ),
    Finds(
        "names by keyword",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "import subprocess\n"
        "@ctx.entrypoint\n"
        "def f(**extra):\n"
        "    subprocess.run(['x'], env=dict(PATH='/bin', **extra))\n",
        "6:5",
        "f lets callers choose the variables of x",
    ),
    Clean(
        "one value",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "import subprocess\n"
        "@ctx.entrypoint\n"
        "def f(lang):\n"
        "    subprocess.run(['x'], env={'LANG': lang})\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find commands whose variables' names callers choose."""
    for module in evidence.modules:
        for entrypoint in module.entrypoints:
            for execution in entrypoint.executions:
                for keyword in execution.node.keywords:
                    if keyword.arg in _NAMES and _is_open(entrypoint, keyword.value):
                        yield Found(
                            execution.span,
                            f"{entrypoint.name} lets callers choose the variables of"
                            f" {execution.program or 'its command'}",
                            "name the variables, and take their values",
                        )


def _is_open(entrypoint: Entrypoint, node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return node.id in {p.arg for p in entrypoint.parameters}
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return any(entrypoint.is_tainted(value if key is None else key) for key, value in pairs)
    if isinstance(node, ast.Call):
        spread = [keyword.value for keyword in node.keywords if keyword.arg is None]
        return any(map(entrypoint.is_tainted, [*spread, *node.args]))
    return False
