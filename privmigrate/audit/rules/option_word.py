"""An entrypoint that lets an option through where a name was meant.

A parameter that becomes a word of its own in a command may begin with ``-``: ``--config=...`` of
many tools reads a file or runs a program.

Instead: ``Operand`` in generated code; elsewhere refuse a leading dash, or put ``--`` in front.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM616"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "a name",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(name):\n"
        "    processutils.execute('lvremove', '-f', name)\n",
        "5:5",
        "f lets callers pass an option to lvremove",
    ),
    Clean(
        "behind two dashes",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(name):\n"
        "    processutils.execute('lvremove', '-f', '--', name)\n",
    ),
    Clean(
        "typed",
        "from privmigrate.privsep import Executable, command, run\n"
        "from privmigrate.privsep.types import Argument, Digits, Operand\n"
        "X = Executable('x')\n"
        "@ctx.entrypoint\n"
        "@command\n"
        "def x(name: Operand):\n"
        "    return run(X, name)\n",
    ),
    Clean(
        "behind a key",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(n):\n"
        "    processutils.execute('dd', f'count={n}')\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find words of commands that callers may begin with a dash."""
    for module in evidence.modules:
        for entrypoint in module.entrypoints:
            for execution in entrypoint.executions:
                ended = False
                for slot in execution.slots if execution.program else ():
                    ended = ended or slot.shown == "--"
                    if not ended and slot.takes("--config=x") and slot.takes("-x"):
                        yield Found(
                            execution.span,
                            f"{entrypoint.name} lets callers pass an option to {execution.program}",
                            "refuse words that begin with -, or put -- in front of them",
                            Level.MEDIUM,
                        )
                        break
