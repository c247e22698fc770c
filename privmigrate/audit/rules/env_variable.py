"""An EnvFilter that lets a dangerous variable through.

The dynamic linker, shells and interpreters take programs from the environment: LD_PRELOAD, PATH,
PYTHONPATH, BASH_ENV. oslo.rootwrap does not look at values, so a value in the rule does not help.

Instead: set the variable in the daemon's configuration, or let strict mode pin its value.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.environment import dangerous_variable
from privmigrate.audit.evidence import Entry, Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds
from privmigrate.rootwrap.filters import Filter

CODE: Final = "PM125"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "a library path",
        "[Filters]\ns: EnvFilter, env, root, LANG=, LD_LIBRARY_PATH=, stonavm\n",
        "2:1",
        "s lets callers set LD_LIBRARY_PATH, which names libraries that it loads: "
        "LD_LIBRARY_PATH=/tmp/x stonavm",
    ),
    Finds(
        "PATH with a value",
        "[Filters]\np: EnvFilter, env, root, PATH=/usr/bin, lvs\n",
        "2:1",
        "p lets callers set PATH, which names the programs that it runs: PATH=/tmp/x lvs",
    ),
    Finds(
        "a tool's own file",
        "[Filters]\nl: EnvFilter, env, root, LVM_SYSTEM_DIR=, lvs\n",
        "2:1",
        "l lets callers set LVM_SYSTEM_DIR, which names LVM's configuration: "
        "LVM_SYSTEM_DIR=/tmp/x lvs",
    ),
    Clean("a harmless one", "[Filters]\nl: EnvFilter, env, root, LC_ALL=C, lvs\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find EnvFilters with a variable that names programs, libraries or configuration."""
    for entry in evidence.of_class("EnvFilter"):
        for text in entry.rule.texts[2:]:
            name, equals, _ = text.partition("=")
            if not equals:
                break
            why = dangerous_variable(name)
            if why:
                yield Found(
                    entry.span,
                    f"{entry.name} lets callers set {name}, which names {why}:"
                    f" {name}=/tmp/x {_program(entry)}",
                    "take the variable out of the rule; where it is constant, set it elsewhere",
                )


def _program(entry: Entry) -> str:
    if isinstance(entry.bound, Filter):
        return entry.bound.exec_path
    return entry.rule.texts[0]
