"""An entrypoint that passes any number of words on to a command.

The program is fixed, its options are not: most tools have one that writes a file or runs a program
(PM1xx names it where it is known).

Instead: one parameter for each word that differs, with a type; options as constants.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM602"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "star arguments",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(*args):\n"
        "    return processutils.execute('scstadmin', *args)\n",
        "5:12",
        "f passes any words in args on to scstadmin",
    ),
    Finds(
        "a list",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(options):\n"
        "    cmd = ['x', '-a']\n"
        "    cmd.extend(options)\n"
        "    return processutils.execute(*cmd)\n",
        "7:12",
        "f passes any words in options on to x",
    ),
    Finds(
        "generated, wide",
        "from privmigrate.privsep import Executable, command, run\n"
        "from privmigrate.privsep.types import Argument, Digits, Operand\n"
        "X = Executable('x')\n"
        "@ctx.entrypoint\n"
        "@command\n"
        "def x(*args: Argument):\n"
        "    return run(X, *args)\n",
        "7:12",
        "x passes any words in args on to x",
    ),
    Clean(
        "a flag that is there or not",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(path, force):\n"
        "    cmd = ['x', path]\n"
        "    if force:\n"
        "        cmd.append('-f')\n"
        "    return processutils.execute(*cmd)\n",
    ),
    Clean(
        "words of one kind each",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(names, kind=None):\n"
        "    more = ['-t', kind] if kind else []\n"
        "    for name in names:\n"
        "        more += '!', '-path', name\n"
        "    return processutils.execute('x', *more)\n",
    ),
    Clean(
        "one word",
        "from oslo_concurrency import processutils\n"
        "from oslo_privsep import priv_context\n"
        "@ctx.entrypoint\n"
        "def f(name):\n"
        "    return processutils.execute('x', '--name', name)\n",
    ),
    Clean(
        "generated, typed",
        "from privmigrate.privsep import Executable, command, run\n"
        "from privmigrate.privsep.types import Argument, Digits, Operand\n"
        "X = Executable('x')\n"
        "@ctx.entrypoint\n"
        "@command\n"
        "def x(count: Digits):\n"
        "    return run(X, '-n', count)\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find commands with a fixed program and words of the caller's behind it."""
    for module in evidence.modules:
        for entrypoint in module.entrypoints:
            for execution in entrypoint.executions:
                is_open = execution.rest is not None and execution.rest.accepts("--x")
                if execution.program and execution.chosen_by and is_open:
                    chosen = ", ".join(dict.fromkeys(execution.chosen_by))
                    yield Found(
                        execution.span,
                        f"{entrypoint.name} passes any words in {chosen} on to {execution.program}",
                        "take one typed parameter for each word that differs",
                        Level.MEDIUM if entrypoint.limit is not None else None,
                    )
