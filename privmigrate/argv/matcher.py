"""A pattern that is not our own becomes a matcher that cannot blow up; see `regex` for the why."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from privmigrate.argv.linear import is_linear
from privmigrate.argv.syntax import Unsupported, parse, unparse


@dataclass(frozen=True, slots=True)
class Matcher:
    """A compiled pattern.

    Attributes:
        pattern: as it was written.
        why_never: why it accepts nothing, or None.
        by_re: whether `re` executes it; otherwise an automaton of ours does.
        matches: says whether the pattern matches the whole text.
    """

    pattern: str
    why_never: str | None
    by_re: bool
    matches: Callable[[str], bool] = field(repr=False, compare=False)


def compile_pattern(pattern: str) -> Matcher:
    """Compile a pattern for whole texts; what cannot be executed safely accepts nothing."""
    try:
        tree = parse(pattern)
        if is_linear(tree):
            # The tree is printed again because it differs from the text: ASCII digits, no flags.
            compiled = re.compile(unparse(tree))
            return Matcher(
                pattern, None, by_re=True, matches=lambda text: compiled.fullmatch(text) is not None
            )
        # not needed by most daemons, so not loaded by them
        from privmigrate.argv.automaton import Automaton

        return Matcher(pattern, None, by_re=False, matches=Automaton(tree).matches)
    except Unsupported as unsupported:
        why = str(unsupported)
    except RecursionError:
        why = "it is nested too deeply"
    return Matcher(pattern, why, by_re=False, matches=lambda _: False)
