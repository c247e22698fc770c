"""ChainingFilter: allows nothing."""

from dataclasses import dataclass
from typing import ClassVar

from privmigrate.examples import Allow, Deny
from privmigrate.rootwrap.command import Allowed, Denied
from privmigrate.rootwrap.filters.base import Filter


@dataclass(frozen=True, slots=True)
class ChainingFilter(Filter):
    """Allow nothing: the class is the base of the chains, and knows no command to run.

    Values: the executable, the user. oslo.rootwrap accepts it in a file and never allows anything
    by it; write ChainingRegExpFilter or IpNetnsExecFilter.
    """

    EXAMPLES: ClassVar[tuple[Allow | Deny, ...]] = (
        Deny(
            "anything",
            "c: ChainingFilter, nice, root",
            ("nice", "-n", "5", "ls"),
            "a ChainingFilter allows nothing",
        ),
    )

    def _decide(self, argv: tuple[str, ...]) -> Allowed | Denied:
        return self._other_command(argv[0]) or Denied("a ChainingFilter allows nothing")
