"""Count what audit finds in OpenStack's filters, and keep the table in docs/audit.md.

Usage: python -m tools.audit_counts [--check]. The first column is the releases that
tools/fetch_filters.py has fetched, the second the corpus (see tests/conftest.py); where the corpus
is not there, its column stays as it is, and nothing is written.
"""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from privmigrate.audit.engine import judge, load_rules
from privmigrate.audit.gather import gather
from privmigrate.audit.tree import DiskTree
from tools.modules import PROJECT

PAGE: Final = PROJECT / "docs" / "audit.md"
FETCHED: Final = PROJECT / ".cache" / "filters"
_TABLE: Final = re.compile(r"(?<=<!-- counts -->\n).*?(?=<!-- end of counts -->)", re.DOTALL)
_ROW: Final = re.compile(r"^\| (PM\d+) [^|]*\| ([\d ]*) \| ([\d ]*) \|$", re.MULTILINE)


def corpus() -> Path:
    """Where older filters are, if they are there."""
    named = os.environ.get("PRIVMIGRATE_CORPUS")
    return Path(named) if named else PROJECT.parent / "shared" / "corpus"


def count(folder: Path) -> tuple[int, Counter[str]]:
    """How many entries of filters there are, and how many findings of each rule.

    Each file is judged alone: files of twelve years in one folder are no policy.
    """
    entries = 0
    counts: Counter[str] = Counter()
    for path in sorted(folder.rglob("*.filters")):
        evidence = gather(DiskTree(), (str(path),), trust=False)
        entries += sum(1 for _ in evidence.entries)
        counts.update(finding.code for finding in judge(evidence))
    return entries, counts


def table(releases: Path, history: Path) -> str:
    """The rows of all rules that found something, and the totals."""
    sides = [count(releases), count(history)]
    lines = [
        f"| rule | releases ({sides[0][0]} entries) | history ({sides[1][0]} entries) |",
        "|---|---|---|",
    ]
    for rule in load_rules():
        found = [counts[rule.code] for _, counts in sides]
        if any(found):
            lines.append(f"| {rule.code} {rule.title} | {found[0]} | {found[1]} |")
    totals = [sum(counts.values()) for _, counts in sides]
    lines.append(f"| all | {totals[0]} | {totals[1]} |")
    return "\n".join(lines) + "\n"


def recorded() -> dict[str, tuple[int, int]]:
    """What the page says of each rule."""
    found = _TABLE.search(PAGE.read_text())
    assert found is not None  # the page has the marks
    rows = _ROW.findall(found.group())
    return {code: (int(releases), int(history)) for code, releases, history in rows}


def main(words: Iterable[str]) -> int:
    """Write the table, or with --check say whether it is as it would be written."""
    if not corpus().is_dir():
        print(f"audit_counts: {corpus()} is not there", file=sys.stderr)
        return 2
    text = PAGE.read_text()
    new = _TABLE.sub(lambda _: table(FETCHED, corpus()), text)
    if "--check" in words:
        return 0 if new == text else 1
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
