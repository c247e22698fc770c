"""A process that may be another one by now.

Between the look at /proc/PID/exe and the kill the process may end and its number go to another
one; oslo.rootwrap's kill then hits that.

Instead: in generated code natives.kill, which holds the process by a pidfd.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.diagnostics import Span
from privmigrate.examples import Clean, Finds

CODE: Final = "PM131"
LEVEL: Final = Level.NOTE


EXAMPLES: Final = (
    Finds(
        "any KillFilter",
        "[Filters]\nk: KillFilter, root, /usr/sbin/dnsmasq, -9\n",
        "2",
        "1 KillFilter: a process that took the pid over after the check is hit",
    ),
    Clean("no KillFilter", "[Filters]\nc: CommandFilter, lvs, root\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Say once for each file that kill may hit another process."""
    for file in evidence.files:
        entries = [e for e in file.live if e.rule.filter_class == "KillFilter"]
        if entries:
            yield Found(
                Span(file.path, entries[0].span.line),
                f"{len(entries)} KillFilter{'s' if len(entries) > 1 else ''}: a process that took"
                " the pid over after the check is hit",
                "convert them: generated code signals by pidfd",
            )
