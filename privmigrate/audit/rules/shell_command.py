"""An entrypoint that gives text to a shell.

With ``shell=True``, ``os.system`` or ``sh -c`` a parameter in the text is a command: ``; id``.

Instead: a list of words, without a shell.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM603"
LEVEL: Final = Level.CRITICAL

_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "ksh"})

EXAMPLES: Final = (
    Finds(
        "shell=True",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "import subprocess\n"
        "@ctx.entrypoint\n"
        "def f(name):\n"
        "    subprocess.run('x ' + name, shell=True)\n",
        "6:5",
        "f puts what callers pass into a shell's text",
    ),
    Finds(
        "system",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "import os\n"
        "@ctx.entrypoint\n"
        "def f(name):\n"
        "    os.system(f'x {name}')\n",
        "6:5",
        "f puts what callers pass into a shell's text",
    ),
    Finds(
        "sh -c",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(name):\n"
        "    processutils.execute('sh', '-c', 'echo %s' % name)\n",
        "5:5",
        "f puts what callers pass into a shell's text",
    ),
    Clean(
        "a constant",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "import os\n"
        "@ctx.entrypoint\n"
        "def f():\n"
        "    os.system('x')\n",
    ),
    Clean(
        "no shell",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "import subprocess\n"
        "@ctx.entrypoint\n"
        "def f(name):\n"
        "    subprocess.run(['x', name])\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find shells whose text callers have a part in."""
    for module in evidence.modules:
        for entrypoint in module.entrypoints:
            for execution in entrypoint.executions:
                name = execution.program.rpartition("/")[2]
                is_shell = execution.shell or (
                    name in _SHELLS and any(slot.shown == "-c" for slot in execution.slots)
                )
                if is_shell and any(map(entrypoint.is_tainted, execution.node.args)):
                    yield Found(
                        execution.span,
                        f"{entrypoint.name} puts what callers pass into a shell's text",
                        "pass a list of words, without a shell",
                    )
