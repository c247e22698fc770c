"""An entry whose meaning depends on the order of files.

rootwrap reads the files of a folder in the order in which the filesystem lists them, which is
undefined. Where two files have entries for the same command that run different things, or as
different users, which one wins may differ between two machines.

Instead: put both into one file, in the order that is meant.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Entry, Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.diagnostics import Diagnostic
from privmigrate.examples import Clean, Finds

CODE: Final = "PM309"
LEVEL: Final = Level.MEDIUM


_BY_NAME: Final = frozenset({"CommandFilter", "PathFilter"})

EXAMPLES: Final = (
    Finds(
        "two users",
        "-rw-r--r-- root root /etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/x/rootwrap.d\n"
        "-rw-r--r-- root root /etc/x/rootwrap.d/a.filters\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, root\n"
        "-rw-r--r-- root root /etc/x/rootwrap.d/b.filters\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, nobody\n",
        "/etc/x/rootwrap.d/b.filters:2:1",
        "l runs lvs as nobody, and l (/etc/x/rootwrap.d/a.filters:2) lvs as root: "
        "which one is asked first is undefined",
    ),
    Clean(
        "the same in both",
        "-rw-r--r-- root root /etc/x/rootwrap.conf\n"
        "    [DEFAULT]\n"
        "    filters_path=/etc/x/rootwrap.d\n"
        "-rw-r--r-- root root /etc/x/rootwrap.d/a.filters\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, root\n"
        "-rw-r--r-- root root /etc/x/rootwrap.d/b.filters\n"
        "    [Filters]\n"
        "    l: CommandFilter, lvs, root\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find commands that entries of two files run differently."""
    for policy in evidence.policies:
        first: dict[str, Entry] = {}
        for entry in policy.live:
            if isinstance(entry.bound, Diagnostic) or entry.rule.filter_class not in _BY_NAME:
                continue
            name = entry.bound.exec_path.rpartition("/")[2]
            other = first.setdefault(name, entry)
            if other.span.file != entry.span.file and _runs(other) != _runs(entry):
                yield Found(
                    entry.span,
                    f"{entry.name} runs {' as '.join(_runs(entry))}, and {other.name}"
                    f" ({other.span.file}:{other.span.line}) {' as '.join(_runs(other))}: which one"
                    " is asked first is undefined",
                    "put both into one file, in the order that is meant",
                )


def _runs(entry: Entry) -> tuple[str, str]:
    path = "" if isinstance(entry.bound, Diagnostic) else entry.bound.exec_path
    return path, entry.run_as
