"""An entry that a wider one makes pointless.

A RegExpFilter narrows a command only as long as no CommandFilter for the same executable and user
stands in the same policy: that one allows everything that the pattern was to keep out.

Instead: remove the CommandFilter.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Entry, Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.diagnostics import Diagnostic
from privmigrate.examples import Clean, Finds

CODE: Final = "PM308"
LEVEL: Final = Level.MEDIUM


_NARROW: Final = frozenset({"RegExpFilter", "PathFilter", "ReadFileFilter", "KillFilter"})

EXAMPLES: Final = (
    Finds(
        "a wide entry before",
        "[Filters]\nc: CommandFilter, cat, root\nd: RegExpFilter, cat, root, cat, /etc/x\n",
        "3:1",
        "d narrows nothing: c (/example.filters:2) allows cat with any arguments",
    ),
    Finds(
        "a wide entry behind",
        "[Filters]\nd: ReadFileFilter, /etc/x\nz: CommandFilter, cat, root\n",
        "2:1",
        "d narrows nothing: z (/example.filters:3) allows cat with any arguments",
    ),
    Clean(
        "another user",
        "[Filters]\nc: CommandFilter, cat, nobody\nd: RegExpFilter, cat, root, cat, /etc/x\n",
    ),
    Clean(
        "another command",
        "[Filters]\nc: CommandFilter, tac, root\nd: RegExpFilter, cat, root, cat, /etc/x\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find narrow entries beside a CommandFilter for the same."""
    for policy in evidence.policies:
        wide = {
            (_name(entry), entry.run_as): entry
            for entry in policy.live
            if entry.rule.filter_class == "CommandFilter"
        }
        for entry in policy.live:
            other = wide.get((_name(entry), entry.run_as))
            if entry.rule.filter_class in _NARROW and other is not None:
                yield Found(
                    entry.span,
                    f"{entry.name} narrows nothing: {other.name} ({other.span.file}:"
                    f"{other.span.line}) allows {_name(entry)} with any arguments",
                    f"remove {other.name}",
                )


def _name(entry: Entry) -> str:
    if isinstance(entry.bound, Diagnostic):
        return ""
    return entry.bound.exec_path.rpartition("/")[2]
