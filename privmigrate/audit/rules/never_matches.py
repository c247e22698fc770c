"""An entry that can never match.

A pattern for two words at once, a pattern that cannot be compiled, a PathFilter without arguments,
a ChainingFilter: the author thought that something was allowed, and it is not. What did the service
do about it: perhaps a wider entry elsewhere.

Instead: one pattern for each word, separated by commas.
"""

import re
from collections.abc import Iterator
from typing import Final

from privmigrate.audit.evidence import Entry, Evidence
from privmigrate.audit.finding import Found, Level
from privmigrate.diagnostics import Diagnostic
from privmigrate.examples import Clean, Finds

CODE: Final = "PM307"
LEVEL: Final = Level.MEDIUM


_FIRST_PATTERN: Final = 2
_WORDS: Final = re.compile(r"[\w/.-]+ ")

EXAMPLES: Final = (
    Finds(
        "missing commas",
        "[Filters]\nc: RegExpFilter, chown, root, chown root:root /etc/x\n",
        "2:1",
        "c never matches: 'chown root:root /etc/x' is one pattern, for one word",
    ),
    Finds(
        "a broken pattern",
        "[Filters]\nc: RegExpFilter, chown, root, chown, (x\n",
        "2:1",
        "c never matches: the pattern '(x' cannot be used: it is no valid regular "
        "expression: missing ), unterminated subpattern at position 0",
    ),
    Finds(
        "no argument",
        "[Filters]\nc: PathFilter, chown, root\n",
        "2:1",
        "c never matches: a PathFilter without arguments allows nothing",
    ),
    Finds(
        "a base class",
        "[Filters]\nc: ChainingFilter, nice, root\n",
        "2:1",
        "c never matches: the class is only the base of others",
    ),
    Finds(
        "no program",
        "[Filters]\nk: KillFilter, root\n",
        "2:1",
        "k never matches: KillFilter names no program",
    ),
    Finds(
        "argv[0] among the arguments",
        "[Filters]\nc: PathFilter, privsep-helper, root, privsep-helper, --x\n",
        "2:1",
        "c never matches: privsep-helper is the command, not its first argument",
    ),
    Clean(
        "a command with a space in its pattern's class",
        "[Filters]\nc: RegExpFilter, chown, root, chown, [a b]+\n",
    ),
)


def check(evidence: Evidence) -> Iterator[Found]:
    """Find entries that allow nothing, and say why."""
    for entry in evidence.live:
        why = _why_never(entry)
        if why:
            yield Found(
                entry.span,
                f"{entry.name} never matches: {why}",
                "write one pattern for each word, separated by commas",
            )


def _why_never(entry: Entry) -> str:
    bound, texts = entry.bound, entry.rule.texts
    if isinstance(bound, Diagnostic):
        return bound.message.removeprefix(f"{entry.name}: ")
    match entry.rule.filter_class:
        case "ChainingFilter":
            return "the class is only the base of others"
        case "PathFilter" if not bound.args:
            return "a PathFilter without arguments allows nothing"
        case "PathFilter" if bound.args[0] == bound.exec_path:
            return f"{bound.args[0]} is the command, not its first argument"
        case "RegExpFilter" if len(texts) == _FIRST_PATTERN:
            return "it has no pattern, not even for the command itself"
        case "RegExpFilter" if " " in texts[_FIRST_PATTERN] and _WORDS.match(texts[_FIRST_PATTERN]):
            return f"{texts[_FIRST_PATTERN]!r} is one pattern, for one word"
        case _:
            return ""
