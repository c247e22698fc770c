"""Measure what call sites make of filters: a Markdown table for each of two questions.

Usage: python -m tools.measure_callsites [PROJECT...]. Reads what `python -m tools.fetch_sources`
has fetched. The first table says what becomes of the filters that each release ships. The second
says of how many calls an entrypoint can take the place, whatever the filters: every command gets a
CommandFilter for that, since some libraries and some services with privsep ship none.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from privmigrate.callsites import Findings, find_sites
from privmigrate.callsites.site import Site
from privmigrate.convert import Conversion, Options, convert, report
from privmigrate.convert.lock import Disk
from privmigrate.convert.operation import Width
from privmigrate.convert.place import COMMON
from privmigrate.convert.report import Row
from privmigrate.convert.report_calls import call_counts, wide_counts
from privmigrate.convert.source import read_sources, relabel
from privmigrate.convert.use import Form
from privmigrate.rootwrap.config import DEFAULT_EXEC_DIRS
from privmigrate.rootwrap.parse import parse_filters
from privmigrate.rootwrap.rule import Rule
from tools.fetch_sources import RELEASES, TARGET

_FILTERS: Final = ("release", "filters", "wide", "replaced", "unused", "stay wide", "entrypoints",
                   "of these wide")  # fmt: skip
_CALLS: Final = ("release", "calls", "typed", "as a list", "through wrappers", "stay",
                 "direct calls", "typed %", "or as a list %")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """One release: its calls, and what its own filters become."""

    name: str
    findings: Findings
    rules: tuple[Rule, ...]
    conversion: Conversion
    rows: tuple[Row, ...]


def measure(folder: Path, findings: Findings | None = None) -> Measured:
    """Find the calls of a release, unless they are known, and convert its filters for them."""
    findings = findings or find_sites([str(folder)])
    files = sorted(str(path) for path in folder.rglob("*.filters"))
    rules: tuple[Rule, ...] = ()
    if files:
        sources = read_sources(files)
        rules = relabel(sources.rules, sources.labels)
    conversion = converted(rules, findings.sites)
    rows = report.rows(rules, conversion.ops, conversion.prefixes, conversion.outcomes, COMMON)
    return Measured(folder.name, findings, rules, conversion, rows)


def converted(rules: Sequence[Rule], sites: Sequence[Site]) -> Conversion:
    """Convert without a package on disk."""
    return convert(rules, Options(exec_dirs=DEFAULT_EXEC_DIRS), Disk(None, {}), sites)


def every_command(sites: Sequence[Site]) -> tuple[Rule, ...]:
    """A CommandFilter for every command that is called, and the chain into namespaces."""
    commands = {command for site in sites for each in site.templates for command in each.commands}
    lines = ["[Filters]", "exec: IpNetnsExecFilter, ip, root"]
    lines += [
        f"c{number}: CommandFilter, {command}, root"
        for number, command in enumerate(sorted(commands))
    ]
    variables = {
        (tuple(name for name, _ in each.environment), command)
        for site in sites
        for each in site.templates
        for command in each.commands
        if each.environment
    }
    lines += [
        f"e{number}: EnvFilter, env, root, {', '.join(f'{name}=' for name in names)}, {command}"
        for number, (names, command) in enumerate(sorted(variables))
    ]
    return parse_filters("\n".join(lines).encode(), "every.filters").rules


def about_filters(each: Measured) -> tuple[object, ...]:
    """A row of the first table."""
    number = wide_counts(each.conversion.wide, each.rows)
    wide = sum(op.width is Width.WIDE for op in each.conversion.ops)
    return (
        each.name,
        len(each.rules),
        number["wide filters"],
        number["replaced"],
        number["unused"],
        number["stay wide"],
        len(each.conversion.ops),
        wide,
    )


def about_calls(each: Measured) -> tuple[object, ...]:
    """A row of the second table."""
    sites = each.findings.sites
    conversion = converted(every_command(sites), sites)
    number = call_counts(conversion.uses, conversion.unlinked)
    forms = {id(use.site): use.form for use in conversion.uses}
    direct = [forms.get(id(site)) for site in sites if site.direct]
    typed = direct.count(Form.TYPED)
    checked = direct.count(Form.CHECKED)
    return (
        each.name,
        number["calls"],
        number["typed"],
        number["checked"],
        number["through"],
        number["stay"],
        len(direct),
        f"{100 * typed / max(len(direct), 1):.0f}",
        f"{100 * (typed + checked) / max(len(direct), 1):.0f}",
    )


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """A Markdown table."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"


def main(projects: Sequence[str]) -> int:
    """Print the tables."""
    folders = [TARGET / f"{release.project}-{release.version}" for release in RELEASES]
    measured = [
        measure(folder)
        for folder in sorted(folders)
        if folder.is_dir() and (not projects or folder.name.rpartition("-")[0] in projects)
    ]
    print("\n".join(table(_FILTERS, [about_filters(each) for each in measured])))
    print()
    print("\n".join(table(_CALLS, [about_calls(each) for each in measured])))
    return 0 if measured else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
