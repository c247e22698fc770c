"""A filter for ip that would run another program.

IpFilter and IpNetnsExecFilter look for the word ``ip`` and then run their own executable. With
another one in that place, what runs is neither ip nor checked.

Instead: write ``ip`` as the executable.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds

CODE: Final = "PM123"
LEVEL: Final = Level.HIGH


EXAMPLES: Final = (
    Finds(
        "another executable",
        "[Filters]\nn: IpNetnsExecFilter, ncat, root\n",
        "2:1",
        "n runs ncat with the words of an ip command",
    ),
    Clean("ip by its path", "[Filters]\nn: IpNetnsExecFilter, /sbin/ip, root\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find filters for ip whose executable is something else."""
    for entry in evidence.of_class("IpFilter", "IpNetnsExecFilter"):
        program = entry.rule.texts[0]
        if program.rpartition("/")[2] != "ip":
            yield Found(
                entry.rule.values[0].span if entry.rule.values[0].span.line == 0 else entry.span,
                f"{entry.name} runs {program} with the words of an ip command",
                "write ip as the executable",
            )
