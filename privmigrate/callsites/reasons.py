"""What each reason means for a person, what to do about it, and how often it was met."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Final

from privmigrate.callsites.site import Reason


@dataclass(frozen=True, slots=True)
class Explained:
    """A reason in words: why a call stays, and what would change that."""

    why: str
    advice: str


EXPLAINED: Final[Mapping[str, Explained]] = {
    Reason.SPLIT.value: Explained(
        "a text that is only known at run time is split into words",
        "keep its words in a list",
    ),
    Reason.FREE_WORDS.value: Explained(
        "a list of words comes from elsewhere",
        "put the list together in the function that executes it",
    ),
    Reason.FREE_COMMAND.value: Explained(
        "what is run is not known",
        "name the command where it is executed",
    ),
    Reason.TOO_MANY.value: Explained(
        "its command line has more shapes than are followed",
        "write a call for each of what it is for",
    ),
    Reason.WRAPPER.value: Explained(
        "it passes parameters of its function on: the callers are the sites",
        "nothing here: look at its callers",
    ),
    Reason.REASSIGNED.value: Explained(
        "what looks like a constant is assigned elsewhere as well",
        "assign it once, or make it a parameter",
    ),
    Reason.REMOTE.value: Explained(
        "the same call may go to another host",
        "if it never does, say so by local or local-injected in pyproject.toml",
    ),
    Reason.SHELL.value: Explained(
        "it runs a shell or the like, whose program is one of the words",
        "run its commands one by one, without a shell",
    ),
    Reason.OPTIONS.value: Explained(
        "it has keyword arguments that no entrypoint has",
        "do without them, or keep the call",
    ),
    Reason.PROCESS.value: Explained(
        "the caller gets the running process, which no entrypoint can give",
        "let the command end, or keep the call",
    ),
    Reason.INJECTED.value: Explained(
        "the executor is passed in, and not every one is known",
        "if every one runs on this host, say so by local-injected in pyproject.toml",
    ),
    Reason.UNPARSED.value: Explained(
        "the file is no Python 3",
        "make it Python 3",
    ),
}


@dataclass(frozen=True, slots=True)
class Total:
    """How many calls there are of one reason."""

    code: str
    count: int
    why: str
    advice: str

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


def totals(
    codes: Iterable[str], explained: Mapping[str, Explained] = EXPLAINED
) -> tuple[Total, ...]:
    """Count them, the most frequent first."""
    counts = Counter(codes)
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return tuple(
        Total(code, count, explained[code].why, explained[code].advice) for code, count in rows
    )


def explain(found: Iterable[Total]) -> Iterator[str]:
    """Two lines for each: how many and why, and below what to do."""
    rows = tuple(found)
    widest = max((len(row.code) for row in rows), default=0)
    digits = max((len(str(row.count)) for row in rows), default=0)
    for row in rows:
        head = f"  {row.count:{digits}}  {row.code:{widest}}  "
        yield f"{head}{row.why}"
        yield f"{' ' * len(head)}-> {row.advice}"
