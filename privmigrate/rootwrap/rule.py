"""One entry of a ``.filters`` file, as it was written: what every later stage looks at."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from privmigrate.diagnostics import Span

# The classes of oslo.rootwrap 7 and how many values each needs after its name; with fewer,
# oslo.rootwrap does not start at all.
MINIMUM_VALUES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "CommandFilter": 2,
        "RegExpFilter": 2,
        "PathFilter": 2,
        "EnvFilter": 2,
        "KillFilter": 1,
        "ReadFileFilter": 1,
        "IpFilter": 2,
        "IpNetnsExecFilter": 2,
        "ChainingFilter": 2,
        "ChainingRegExpFilter": 2,
    }
)


@dataclass(frozen=True, slots=True)
class Value:
    """One comma-separated value of an entry, stripped as rootwrap strips it."""

    text: str
    span: Span


class Status(Enum):
    """What rootwrap does with an entry."""

    LIVE = "live"
    SHADOWED = "shadowed"  # a later entry of the same file has the same (lower-cased) name
    UNKNOWN_CLASS = "unknown-class"  # skipped with a warning
    INVALID = "invalid"  # rootwrap itself ends with a traceback here


@dataclass(frozen=True, slots=True)
class Rule:
    """One ``name: Class, value, ...`` entry.

    Attributes:
        name: lower-cased, as rootwrap sees it.
        raw_name: as written.
        filter_class: the class name, such as ``RegExpFilter``; may be unknown.
        values: everything after the class, in order.
        comments: the comment lines directly above the entry, without ``#``, oldest first.
        raw: the entry's text in the file, continuation lines included.
        span: the whole entry; `span.line` is the line of its name.
        order: position in its file among all entries, counted from 0.
        status: what rootwrap does with the entry.
    """

    name: str
    raw_name: str
    filter_class: str
    values: tuple[Value, ...]
    comments: tuple[str, ...]
    raw: str
    span: Span
    order: int
    status: Status = Status.LIVE

    @property
    def texts(self) -> tuple[str, ...]:
        """The values without their places."""
        return tuple(value.text for value in self.values)
