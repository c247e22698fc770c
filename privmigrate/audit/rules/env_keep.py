"""A dangerous variable that sudo keeps.

What env_keep or env_check names goes from the caller to the command: PATH, LD_LIBRARY_PATH and
PYTHONPATH choose its code. ``OS_*`` is what oslo.config reads before any file
(``OS_SECTION__OPTION``): with it a service chooses user and capabilities of oslo.privsep's daemons.

Instead: keep locale variables at most.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.environment import dangerous_pattern
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
    Finds(
        "what oslo.config reads",
        'Defaults env_keep += "OS_*"\n',
        "1:1",
        "sudo passes the caller's OS_* on, which names options of services, such as the user and"
        " the capabilities of a privsep daemon",
    ),
    Finds(
        "a wildcard",
        'Defaults env_keep += "PYTHON*"\n',
        "1:1",
        "sudo passes the caller's PYTHON* on, which names modules that Python imports",
    ),
    Clean("credentials, by their names", 'Defaults env_keep += "OS_AUTH_URL OS_TOKEN"\n'),
    Clean("a locale", 'Defaults env_keep += "LANG LC_ALL"\n'),
)


def _why(name: str) -> str:
    if name.startswith("OS_") and ("*" in name or "__" in name):
        return "options of services, such as the user and the capabilities of a privsep daemon"
    return dangerous_pattern(name)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find variables that name code."""
    for default in evidence.defaults:
        if default.name == "env_reset" and default.value is False:
            yield Found(
                default.span, "sudo's commands get the caller's whole environment", "keep env_reset"
            )
        if default.name in {"env_keep", "env_check"} and isinstance(default.value, list):
            for name in map(str, default.value):
                why = _why(name.partition("=")[0])
                if why:
                    yield Found(
                        default.span,
                        f"sudo passes the caller's {name} on, which names {why}",
                        f"take {name} out of {default.name}",
                    )
