"""Write the goldens: what convert makes of the filters in tests/golden, stage by stage.

Usage: python -m tools.regen [--check]. With --check, write nothing and exit with 1 where a golden
differs. Every folder of tests/golden with ``.filters`` files has beside them `rules.json` (what
was read), `table.txt` (what the person sees) and ``package/`` (what was written, the lock
included; ``.txt`` behind the names keeps linters and type checkers away from them). Where it has
a ``source/`` as well, its calls are converted, and `calls.json` says what becomes of each.
"""

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from difflib import unified_diff
from pathlib import Path
from typing import Final

from privmigrate.callsites import Site, find_sites
from privmigrate.convert import Options, convert, report, report_calls
from privmigrate.convert.lock import Disk
from privmigrate.convert.place import COMMON
from privmigrate.convert.source import read_sources, relabel

SOURCE: Final = "source"
GOLDEN: Final = Path(__file__).resolve().parent.parent / "tests" / "golden"


def folders() -> list[Path]:
    """Every golden of convert."""
    return sorted({path.parent for path in GOLDEN.glob("*/*.filters")})


def outputs(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each golden in a folder."""
    # from within the folder: places name files, and must be the same in every checkout
    with contextlib.chdir(folder):
        sources = read_sources(sorted(path.name for path in folder.glob("*.filters")))
    rules = relabel(sources.rules, sources.labels)
    sites = called(folder)
    result = convert(rules, Options(exec_dirs=sources.exec_dirs), Disk(None, {}), sites)
    shown = [asdict(rule) | {"status": rule.status.value} for rule in rules]
    yield "rules.json", json.dumps(shown, indent=1) + "\n"
    rows = report.rows(rules, result.ops, result.prefixes, result.outcomes, COMMON)
    lines = [*report.table(rows, colour=False), ""]
    if sites is not None:
        lines += report_calls.summary(result.wide, rows, result.uses, result.unlinked)
        lines += report_calls.stays(result.unlinked)
        calls = report_calls.calls_as_json(result.uses, result.unlinked)
        yield "calls.json", json.dumps(calls, indent=1) + "\n"
    lines.append(report.summary(rows))
    yield "table.txt", "\n".join(lines) + "\n"
    for name, text in result.texts.items():
        yield f"package/{name}.txt", text


def called(folder: Path) -> tuple[Site, ...] | None:
    """The call sites of the sources that a golden has; None if it has none.

    Their names end in ``.txt`` too, so that they are put elsewhere to be read.
    """
    source = folder / SOURCE
    if not source.is_dir():
        return None
    with tempfile.TemporaryDirectory() as place:
        for path in source.rglob("*.txt"):
            copy = Path(place, path.relative_to(source)).with_suffix("")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
        return find_sites([place]).sites


def main(arguments: list[str]) -> int:
    """Write the goldens, or compare them."""
    stale = False
    for folder in folders():
        wanted = dict(outputs(folder))
        present = {
            str(path.relative_to(folder))
            for path in folder.rglob("*")
            if path.is_file() and path.suffix != ".filters" and SOURCE not in path.parts
        }
        for name in sorted(present - wanted.keys()):
            stale = True
            print(f"{folder.name}/{name} is of no use", file=sys.stderr)
            if "--check" not in arguments:
                (folder / name).unlink()
        for name, text in wanted.items():
            path = folder / name
            before = path.read_text("utf-8") if path.exists() else ""
            if before == text:
                continue
            stale = True
            old, new = before.splitlines(), text.splitlines()
            place = f"{folder.name}/{name}"
            print("\n".join(unified_diff(old, new, place, place, lineterm="")), file=sys.stderr)
            if "--check" not in arguments:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, "utf-8")
    return int(stale and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
