"""Commands that hold all capabilities, whatever their context lists.

oslo.privsep's daemon keeps uid 0 and a full bounding set. At exec the kernel gives a command of
uid 0 everything in the bounding set (capabilities(7)): the context's list restricts Python code
only.

Instead: privmigrate.privsep, whose daemon drops the bounding set and locks NOROOT; or in oslo's
configuration a user other than root for the context.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM612"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "a command",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f():\n"
        "    return processutils.execute('lvs')\n",
        "5:12",
        "the command of f holds all capabilities, not its context's",
    ),
    Clean(
        "no command",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "import os\n"
        "@ctx.entrypoint\n"
        "def f():\n"
        "    return os.getpid()\n",
    ),
    Clean(
        "ours",
        "from privmigrate.privsep import Executable, command, run\n"
        "from privmigrate.privsep.types import Argument, Digits, Operand\n"
        "X = Executable('x')\n"
        "@ctx.entrypoint\n"
        "@command\n"
        "def x(n: Digits):\n"
        "    return run(X, n)\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Say it once for each module of oslo.privsep's that runs commands."""
    for module in evidence.modules:
        executions = [
            (entrypoint, execution)
            for entrypoint in module.entrypoints
            if entrypoint.runtime == "oslo"
            for execution in entrypoint.executions
        ]
        if executions:
            entrypoint, execution = executions[0]
            more = f" and {len(executions) - 1} more" if len(executions) > 1 else ""
            yield Found(
                execution.span,
                f"the command of {entrypoint.name}{more} holds all capabilities, not its context's",
                "run it in privmigrate.privsep's daemon, by changing the import",
            )
