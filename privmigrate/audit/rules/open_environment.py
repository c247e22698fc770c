"""An entrypoint that passes an environment on, or a variable that names programs.

LD_PRELOAD, PATH and the like choose the code of the command, LVM_SYSTEM_DIR and the like what it
is configured to run.

Instead: the variables that the command needs, by name (``environment({...}, NAME=value)``), and of
those that name programs, libraries or configuration a constant value.
"""

import ast
from collections.abc import Iterator
from itertools import chain
from typing import Final

from privmigrate.audit.environment import dangerous_variable
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
    Finds(
        "a tool's own configuration",
        "from privmigrate.privsep import Executable, command, environment, run\n"
        "from privmigrate.privsep.types import EnvValue\n"
        "LVS = Executable('lvs', dirs=('/sbin',))\n"
        "@ctx.entrypoint\n"
        "@command\n"
        "def lvs(lvm_system_dir: EnvValue):\n"
        "    return run(LVS, env=environment({}, LVM_SYSTEM_DIR=lvm_system_dir))\n",
        "7:12",
        "lvs lets callers set LVM_SYSTEM_DIR, which names LVM's configuration: "
        "LVM_SYSTEM_DIR=/tmp/x lvs",
    ),
    Finds(
        "the same in a command line taken as a list",
        "from privmigrate.privsep import Executable, command, run\n"
        "from privmigrate.privsep.lines import CommandLines, Words, hole, line, parts_of\n"
        "LVS = Executable('lvs', dirs=('/sbin',))\n"
        "@ctx.entrypoint\n"
        "@command\n"
        "def lvs(words: Annotated[Words, CommandLines(\n"
        "    line('env', hole('a', Key('LVM_SYSTEM_DIR=', Any())), 'lvs'))]):\n"
        "    given = parts_of(words)\n"
        "    return run(LVS, *given.args, env=given.env)\n",
        "9:12",
        "lvs lets callers set LVM_SYSTEM_DIR, which names LVM's configuration: "
        "LVM_SYSTEM_DIR=/tmp/x lvs",
    ),
    Clean(
        "a tool's own configuration, fixed",
        "from privmigrate.privsep import Executable, command, environment, run\n"
        "LVS = Executable('lvs', dirs=('/sbin',))\n"
        "@ctx.entrypoint\n"
        "@command\n"
        "def lvs():\n"
        "    return run(LVS, env=environment({'LVM_SYSTEM_DIR': '/etc/cinder'}))\n",
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
                    if keyword.arg not in _NAMES:
                        continue
                    program = execution.program or "its command"
                    if _is_open(entrypoint, keyword.value):
                        yield Found(
                            execution.span,
                            f"{entrypoint.name} lets callers choose the variables of {program}",
                            "name the variables, and take their values",
                        )
                    named = chain(
                        _dangerous(entrypoint, keyword.value), _in_words(entrypoint.parameters)
                    )
                    for name, why in dict(named).items():
                        yield Found(
                            execution.span,
                            f"{entrypoint.name} lets callers set {name}, which names {why}:"
                            f" {name}=/tmp/x {program}",
                            "make its value a constant, or leave it to the daemon's configuration",
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


def _dangerous(entrypoint: Entrypoint, node: ast.expr) -> Iterator[tuple[str, str]]:
    """Variables with a value of the caller's that name programs, libraries or configuration."""
    for name, value in _variables(node):
        why = dangerous_variable(name)
        if why and entrypoint.is_tainted(value):
            yield name, why


def _in_words(parameters: tuple[ast.arg, ...]) -> Iterator[tuple[str, str]]:
    """The same, of variables that stand in front of a command line taken as a list."""
    for parameter in parameters:
        for node in ast.walk(parameter):
            match node:
                case ast.Call(func=ast.Name(id="Key"), args=[ast.Constant(value=str(prefix)), *_]):
                    name, equals, _ = prefix.partition("=")
                    if equals and (why := dangerous_variable(name)):
                        yield name, why
                case _:
                    pass


def _variables(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Dict():
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value
        case ast.Call():
            for keyword in node.keywords:
                if keyword.arg is not None:
                    yield keyword.arg, keyword.value
            for each in node.args:
                yield from _variables(each)
        case _:
            return
