"""A parameter of generated code that is as wide as any word.

``Argument`` and ``Any()`` are what convert writes where a filter allowed everything and no call
site said more. They are marked so that they are found.

Instead: narrow the annotation to what callers pass; regenerate with --callsites.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.audit.modules import dotted, span_of
from privmigrate.examples import Clean, Finds

CODE: Final = "PM607"
LEVEL: Final = Level.MEDIUM


_WIDE: Final = frozenset({"Argument", "types.Argument"})

EXAMPLES: Final = (
    Finds(
        "any argument",
        "from privmigrate.privsep import Executable, command, run\n"
        "from privmigrate.privsep.types import Argument, Digits, Operand\n"
        "X = Executable('x')\n"
        "@ctx.entrypoint\n"
        "@command\n"
        "def x(name: Argument):\n"
        "    return run(X, name)\n",
        "6:7",
        "x takes any word for name",
    ),
    Clean(
        "an operand",
        "from privmigrate.privsep import Executable, command, run\n"
        "from privmigrate.privsep.types import Argument, Digits, Operand\n"
        "X = Executable('x')\n"
        "@ctx.entrypoint\n"
        "@command\n"
        "def x(name: Operand):\n"
        "    return run(X, name)\n",
    ),
    Clean(
        "a number",
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
    """Find parameters of ours whose annotation restricts nothing."""
    for module in evidence.modules:
        for entrypoint in module.entrypoints:
            if entrypoint.runtime == "oslo":
                continue
            for parameter in entrypoint.own_parameters:
                annotation = parameter.annotation
                wide = annotation is not None and dotted(annotation) in _WIDE
                if wide:
                    yield Found(
                        span_of(module.path, parameter),
                        f"{entrypoint.name} takes any word for {parameter.arg}",
                        "narrow the annotation to what callers pass",
                    )
