"""A dangerous variable that sudo keeps.

What env_keep or env_check names goes from the caller to the command: PATH, LD_LIBRARY_PATH and
PYTHONPATH choose its code.

Instead: keep locale variables at most.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.environment import dangerous_variable
from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM509"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "a library path",
        'Defaults env_keep += "LD_LIBRARY_PATH LANG"\n',
        "1:1",
        "sudo passes the caller's LD_LIBRARY_PATH on, which names libraries that it loads",
    ),
    Finds(
        "no reset at all",
        "Defaults !env_reset\n",
        "1:1",
        "sudo's commands get the caller's whole environment",
    ),
    Clean("a locale", 'Defaults env_keep += "LANG LC_ALL"\n'),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find variables that name code."""
    for default in evidence.defaults:
        if default.name == "env_reset" and default.value is False:
            yield Found(
                default.span, "sudo's commands get the caller's whole environment", "keep env_reset"
            )
        if default.name in {"env_keep", "env_check"} and isinstance(default.value, list):
            for name in map(str, default.value):
                why = dangerous_variable(name.partition("=")[0])
                if why:
                    yield Found(
                        default.span,
                        f"sudo passes the caller's {name} on, which names {why}",
                        f"take {name} out of {default.name}",
                    )
