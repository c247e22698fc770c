"""An EnvFilter whose executable only has the letters env in its path.

oslo.rootwrap takes every path in which the letters e, n, v occur for ``env`` itself, and then runs
the first word behind the variables: /opt/venv/bin/tool becomes whatever the rule says next.

Instead: write ``env`` as the executable, and the tool's path behind the variables.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds
from privmigrate.rootwrap.filters import Filter

CODE: Final = "PM128"
LEVEL: Final = Level.MEDIUM


EXAMPLES: Final = (
    Finds(
        "a virtual environment",
        "[Filters]\nt: EnvFilter, /opt/venv/bin/tool, root, A=, other\n",
        "2:1",
        "t runs other, not /opt/venv/bin/tool, because that path has the letters env",
    ),
    Clean("env by its path", "[Filters]\nt: EnvFilter, /usr/bin/env, root, A=, tool\n"),
    Clean("no such letters", "[Filters]\nt: EnvFilter, /opt/bin/tool, root, A=\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find executables that are mistaken for env."""
    for entry in evidence.of_class("EnvFilter"):
        named = entry.rule.texts[0]
        runs = entry.bound.exec_path if isinstance(entry.bound, Filter) else named
        if named != runs and named.rpartition("/")[2] != "env":
            yield Found(
                entry.span,
                f"{entry.name} runs {runs}, not {named}, because that path has the letters env",
                f"write 'env' as the executable and {named} behind the variables",
            )
