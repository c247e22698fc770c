"""A first pattern that is not the executable's name.

In a RegExpFilter the first pattern decides which command is meant, and the executable of the rule
is what runs. Where the two differ, asking for one program runs another; where the pattern is open,
asking for anything does.

Instead: write the executable's name as the first pattern.
"""

from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.examples import Clean, Finds
from privmigrate.rootwrap.filters.regexp import RegExpFilter

CODE: Final = "PM206"
LEVEL: Final = Level.MEDIUM


EXAMPLES: Final = (
    Finds(
        "another name",
        "[Filters]\nu: RegExpFilter, /usr/bin/tee, root, cat, /etc/x\n",
        "2:1",
        "u: asking for cat runs /usr/bin/tee",
    ),
    Finds(
        "any name",
        "[Filters]\nu: RegExpFilter, tee, root, .*, /etc/x\n",
        "2:1",
        "u: whatever is asked for runs tee",
    ),
    Clean("the same name", "[Filters]\nu: RegExpFilter, /usr/bin/tee, root, tee, /etc/x\n"),
    Clean("its path", "[Filters]\nu: RegExpFilter, /usr/bin/tee, root, /usr/bin/tee, /etc/x\n"),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find RegExpFilters that other names than the executable's reach."""
    for entry in evidence.of_class("RegExpFilter"):
        if not isinstance(entry.bound, RegExpFilter) or not entry.bound.matchers:
            continue
        path, first = entry.bound.exec_path, entry.bound.matchers[0]
        name = path.rpartition("/")[2]
        if first.matches("\x01other"):
            what = f"whatever is asked for runs {path}"
        elif not (first.matches(name) or first.matches(path)):
            what = f"asking for {first.pattern} runs {path}"
        else:
            continue
        yield Found(entry.span, f"{entry.name}: {what}", f"write {name} as the first pattern")
