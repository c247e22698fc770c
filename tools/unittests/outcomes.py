"""How unit tests ended before and after, and why some fail only after."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MOCKS: Final = "it mocks an executor that is not called any more"
MOVED: Final = "its assertions were moved, and do not hold"
UNSTEADY: Final = "it does not always pass before either"
OTHER: Final = "another reason"


@dataclass(frozen=True, slots=True)
class Ended:
    """How one test ended.

    Attributes:
        outcome: passed, failed, skipped; or started, if it never ended.
        text: the traceback, or why it was skipped.
        reached: the entrypoints that it called, and what was found out about each call.
    """

    outcome: str
    text: str = ""
    reached: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of one project's tests.

    Attributes:
        files: how many test files were run.
        before, after: how every test ended.
        causes: why a test that passed before does not any more.
        noted: what entrypoints would have refused, or executed otherwise than the calls before.
    """

    files: int
    before: Mapping[str, Ended]
    after: Mapping[str, Ended]
    causes: Mapping[str, str]
    noted: Sequence[str]

    def count(self, ended: Mapping[str, Ended], outcome: str) -> int:
        """How many tests ended so."""
        return sum(each.outcome == outcome for each in ended.values())


def read_results(path: Path) -> dict[str, Ended]:
    """What the runner wrote, one line per event; nothing where it did not even start."""
    found: dict[str, Ended] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        each = json.loads(line)
        if each["outcome"] != "done":
            found[each["test"]] = Ended(
                each["outcome"], each.get("text", ""), each.get("reached", ())
            )
    return found


def worse(before: Mapping[str, Ended], after: Mapping[str, Ended]) -> list[str]:
    """The tests that passed before and do not any more."""
    gone = Ended("missing")
    return sorted(
        test
        for test, ended in before.items()
        if ended.outcome == "passed" and after.get(test, gone).outcome != "passed"
    )


def cause_of(old: Ended | None, again: Ended | None, *, moved: bool) -> str:
    """Why a test fails that passed before.

    `old` is how it ends where entrypoints make the calls before, `again` how it ends in the
    untouched copy when it is run once more; `moved` says whether its file was rewritten.
    """
    if again is None or again.outcome != "passed":
        return UNSTEADY
    if old is not None and old.reached:
        return MOCKS if old.outcome == "passed" else OTHER
    return MOVED if moved else OTHER


def noted_in(ended: Iterable[Ended]) -> list[str]:
    """What is to be told of calls that reached an entrypoint, each kind of thing once."""
    found: Counter[tuple[str, str]] = Counter()
    example: dict[tuple[str, str], str] = {}
    for each in ended:
        for note in each.reached:
            found["executor", str(note.get("executor", "unknown"))] += 1
            for kind in ("refused", "differs", "lost"):
                if kind in note:
                    key = (kind, str(note["entrypoint"]))
                    found[key] += 1
                    example.setdefault(key, f", such as: {note[kind]}")
    return [
        f"{kind}: {what}: {count} calls{example.get((kind, what), '')}"
        for (kind, what), count in sorted(found.items())
    ]


def last_line(ended: Ended) -> str:
    """What a traceback says in the end."""
    return next((line for line in reversed(ended.text.splitlines()) if line.strip()), "")
