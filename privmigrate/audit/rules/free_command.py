"""An entrypoint that runs any command of its caller's.

``execute(*cmd)`` in a daemon of root is a root shell for whoever owns the service; several
projects have one, and call it a back door themselves. The capabilities of the context do not hold
it: with oslo.privsep a command started by uid 0 gets all of them again.

Instead: one entrypoint for each command, with its program and options as constants.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM601"
LEVEL: Final = Level.CRITICAL


EXAMPLES: Final = (
    Finds(
        "everything",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(*cmd):\n"
        "    return processutils.execute(*cmd)\n",
        "5:12",
        "f runs any program that callers name in cmd",
    ),
    Finds(
        "a list",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "import subprocess\n"
        "@ctx.entrypoint\n"
        "def f(cmd):\n"
        "    return subprocess.check_output(cmd)\n",
        "6:12",
        "f runs any program that callers name in cmd",
    ),
    Finds(
        "a program by name",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(tool, path):\n"
        "    return processutils.execute(tool, '-x', path)\n",
        "5:12",
        "f runs any program that callers name in tool",
    ),
    Finds(
        "the end of a program's name",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(kind, path):\n"
        "    return processutils.execute('mkfs.' + kind, path)\n",
        "5:12",
        "f runs every program called mkfs.* that callers name in kind",
    ),
    Clean(
        "a prefix that is there or not",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(path, namespace):\n"
        "    cmd = []\n"
        "    if namespace:\n"
        "        cmd += ['ip', 'netns', 'exec', namespace]\n"
        "    cmd += ['x', path]\n"
        "    processutils.execute(*cmd)\n"
        "    cmd = ['y', path]\n"
        "    processutils.execute(*cmd)\n",
    ),
    Clean(
        "a list that begins empty",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(path, force):\n"
        "    cmd = []\n"
        "    cmd += ['x', path]\n"
        "    if force:\n"
        "        cmd.append('-f')\n"
        "    return processutils.execute(*cmd)\n",
    ),
    Clean(
        "a fixed program",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(path):\n"
        "    return processutils.execute('x', '-p', path)\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find commands whose first word callers choose."""
    for module in evidence.modules:
        for entrypoint in module.entrypoints:
            for execution in entrypoint.executions:
                if not execution.program and execution.chosen_by:
                    chosen = ", ".join(dict.fromkeys(execution.chosen_by))
                    begins = execution.begins
                    what = f"every program called {begins}*" if begins else "any program"
                    yield Found(
                        execution.span,
                        f"{entrypoint.name} runs {what} that callers name in {chosen}",
                        "write one entrypoint for each command, with the program as a constant",
                        Level.MEDIUM if begins else None,
                    )
