"""A KillFilter for an interpreter.

The program of a process is what /proc/PID/exe names. For a script that is the interpreter, so the
filter allows signals for every process of Python on the machine, other services' included.

Instead: a systemd unit that the daemon may stop, or a program of its own name (a compiled one, or
a copy of the interpreter); generated code tells programs of one interpreter apart as little.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM129"
LEVEL: Final = Level.MEDIUM

_INTERPRETERS: Final = frozenset(
    {"python", "perl", "ruby", "node", "bash", "sh", "dash", "java", "php", "lua", "busybox"}
)

EXAMPLES: Final = (
    Finds(
        "python",
        "[Filters]\nk: KillFilter, root, python3, -9\n",
        "2:1",
        "k allows signals for every process of python3, whatever it runs",
    ),
    Finds(
        "a shell by its path",
        "[Filters]\nk: KillFilter, root, /bin/bash, -9\n",
        "2:1",
        "k allows signals for every process of bash, whatever it runs",
    ),
    Clean("one program", "[Filters]\nk: KillFilter, root, /usr/sbin/radvd, -9\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find KillFilters for programs that run other people's scripts."""
    for entry in evidence.of_class("KillFilter"):
        program = entry.rule.texts[1] if len(entry.rule.texts) > 1 else ""
        name = program.rpartition("/")[2]
        if name.rstrip("0123456789.") in _INTERPRETERS:
            yield Found(
                entry.span,
                f"{entry.name} allows signals for every process of {name}, whatever it runs",
                "name the process by its unit or pid file",
            )
