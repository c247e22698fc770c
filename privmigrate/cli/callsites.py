"""``privmigrate callsites``: where a service runs commands as root, and which."""

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from privmigrate.cli import add_format, say
from privmigrate.diagnostics import counted, printable
from privmigrate.errors import InputError

if TYPE_CHECKING:
    from privmigrate.callsites import Findings, Site
    from privmigrate.callsites.reasons import Total
    from privmigrate.convert.allow import Allowance

FINDINGS: Final = 1
BAD_INPUT: Final = 2

_DESCRIPTION: Final = """\
Find every call in a service's Python that runs a command as root, and tell the shape of its
command line. Nothing that is analysed is imported or executed, and nothing is written.

PATH is a folder of Python modules, or a file. Tests are left out. What analysis cannot see is said
in the table [tool.privmigrate] of the project's pyproject.toml.
"""
_EPILOG: Final = """\
in the table:
  {path}       one word that is only known at run time       [-o {x}]     words that may be there
  {*options}   a list of words that is only known then       (-{x})...    words that are repeated
exit codes: 0 fine, 1 findings, 2 bad input. Findings are calls that could not be resolved, files
  that are no Python 3 and, with --filters, calls that no filter allows and filters that no call
  uses.
examples:
  privmigrate callsites manila/
  privmigrate callsites cinder/ --filters etc/cinder/rootwrap.d
  privmigrate callsites --json neutron/ | jq '.sites[] | select(.resolved | not)'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="folder of Python modules, or a file")
    add(
        "--filters",
        action="append",
        default=[],
        metavar="PATH",
        help="rootwrap.d folder, .filters file or rootwrap.conf: tell which filter allows a call",
    )
    add_format(parser, "everything, as data")


def run(arguments: argparse.Namespace) -> int:
    """Analyse and print."""
    from privmigrate.callsites import find_sites
    from privmigrate.diagnostics import Severity

    found = find_sites(arguments.paths)
    failed = any(each.severity is Severity.ERROR for each in found.diagnostics)
    if not found.files and not failed:
        raise InputError(f"{' '.join(arguments.paths)}: error: no Python file there")
    # where calls could not be read, filters would seem to be used by none
    judged = arguments.filters and not failed
    allowance = _allowance(arguments.filters, found) if judged else None
    for diagnostic in found.diagnostics:
        say(str(diagnostic))
    if failed and not found.sites and arguments.format != "json":
        return BAD_INPUT
    if arguments.format == "json":
        print(json.dumps(_as_json(found, allowance), indent=2))
    else:
        for line in _as_text(found, allowance):
            print(printable(line))
    if failed:
        return BAD_INPUT
    told = allowance is not None and bool(allowance.denied or allowance.unused)
    # in a file that is not understood there may be any call
    open_ones = found.unparsed or any(_is_open(site) for site in found.sites)
    return FINDINGS if told or open_ones else 0


def _allowance(paths: list[str], found: "Findings") -> "Allowance":
    from privmigrate.convert.allow import allow
    from privmigrate.convert.source import read_sources, relabel

    sources = read_sources(paths)
    for note in sources.notes:
        say(note)
    return allow(relabel(sources.rules, sources.labels), found.sites)


def _is_open(site: "Site") -> bool:
    """Whether a person has to look at it: wrappers are looked at where they are called."""
    from privmigrate.callsites.site import Reason

    return not site.resolved and Reason.WRAPPER not in site.reasons


def _as_json(found: "Findings", allowance: "Allowance | None") -> dict[str, object]:
    from privmigrate.callsites.text import site_json

    sites = [site_json(site) for site in found.sites]
    data: dict[str, object] = {
        "sites": sites,
        "wrappers": list(found.wrappers),
        "forwarders": list(found.forwarders),
        "diagnostics": [diagnostic.as_json() for diagnostic in found.diagnostics],
        "summary": _counts(found),
        "reasons": [each.as_json() for each in _totals(found)],
    }
    if allowance is not None:
        for site, rows, perhaps in zip(sites, allowance.allowing, allowance.perhaps, strict=True):
            site["filters"] = [[str(source) for source in row] for row in rows]
            site["filters_perhaps"] = [str(source) for source in perhaps]
        data["denied"] = [
            {"file": site.span.file, "line": site.span.line, "template": number}
            for site, number in allowance.denied
        ]
        data["unused_filters"] = [str(source) for source in allowance.unused]
    return data


def _totals(found: "Findings") -> "tuple[Total, ...]":
    from privmigrate.callsites.reasons import totals

    return totals(reason.value for site in found.sites for reason in site.reasons)


def _counts(found: "Findings") -> dict[str, int]:
    direct = [site for site in found.sites if site.direct]
    return {
        "files": found.files,
        "sites": len(found.sites),
        "direct": len(direct),
        "resolved": sum(site.resolved for site in direct),
        "typable": sum(site.typable for site in direct),
        "checkable": sum(site.checkable for site in direct),
        "through_wrappers": sum(bool(site.via) for site in found.sites),
        "declared": sum(bool(site.declared) for site in found.sites),
        "through_wrappers_resolved": sum(bool(site.via) and site.resolved for site in found.sites),
        "covered": sum(site.covered and site.resolved for site in found.sites),
    }


# the table


def _as_text(found: "Findings", allowance: "Allowance | None") -> Iterator[str]:
    head = ("site", "command line", "root", "options", "filter")
    rows = [row for n, site in enumerate(found.sites) for row in _rows(site, n, allowance)]
    width = len(head) if allowance is not None else len(head) - 1
    yield from _aligned(head[:width], [row[:width] for row in rows])
    open_sites = [site for site in found.sites if _is_open(site)]
    yield from _section("not resolved", [row for site in open_sites for row in _reasons(site)])
    if allowance is not None:
        yield from _section("no filter allows", [_denied(*each) for each in allowance.denied])
        unused = [(f"  {source}",) for source in allowance.unused]
        yield from _section("filters that no call uses", unused)
        if unused and open_sites:
            yield "  (unless a call that is not resolved needs them)"
        elif unused and found.unparsed:
            yield "  (unless a call in a file that is no Python 3 needs them)"
    yield ""
    yield from _summary(found)


def _section(title: str, rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    if rows:
        yield ""
        yield f"{title}:"
        yield from _aligned((), rows)


def _rows(site: "Site", number: int, allowance: "Allowance | None") -> Iterator[tuple[str, ...]]:
    from privmigrate.callsites.text import options_text, root_text, template_text

    place = f"{site.span.file}:{site.span.line}"
    texts = [template_text(each) for each in site.templates] or ["?"]
    filters = [""] * len(texts)
    if allowance is not None:
        perhaps = " ".join(f"{source}?" for source in allowance.perhaps[number])
        rows = allowance.allowing[number] or ((),)
        filters = [" ".join(map(str, row)) or perhaps or "-" for row in rows]
    yield place, texts[0], root_text(site), options_text(site), filters[0]
    for text, filter_names in list(zip(texts, filters, strict=True))[1:]:
        yield "", text, "", "", filter_names


def _denied(site: "Site", number: int) -> tuple[str, ...]:
    from privmigrate.callsites.text import template_text

    place = f"  {site.span.file}:{site.span.line}"
    return place, template_text(site.templates[number]), _doubt(site)


def _doubt(site: "Site") -> str:
    """Where the call may go instead."""
    from privmigrate.callsites.reasons import EXPLAINED
    from privmigrate.callsites.site import Reason

    remote = Reason.REMOTE
    return EXPLAINED[remote.value].why if remote in site.reasons else ""


def _reasons(site: "Site") -> Iterator[tuple[str, ...]]:
    from privmigrate.callsites.reasons import EXPLAINED

    place = f"  {site.span.file}:{site.span.line}"
    for reason in site.reasons:
        yield place, reason.value, EXPLAINED[reason.value].why


def _aligned(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    lines = [head, *rows] if head else list(rows)
    if not lines:
        return
    count = len(lines[0])
    # one very long line does not push all others to the right
    widths = [min(max(len(line[n]) for line in lines), _WIDEST) for n in range(count - 1)]
    for line in lines:
        padded = [cell.ljust(width) for cell, width in zip(line, [*widths, 0], strict=True)]
        yield "  ".join(padded).rstrip()


_WIDEST: Final = 72


def _summary(found: "Findings") -> Iterator[str]:
    from privmigrate.callsites.reasons import explain

    number = _counts(found)
    yield (
        f"{counted(number['sites'], 'call')} as root in {counted(number['files'], 'file')}:"
        f" {number['direct']} direct, {number['through_wrappers']} through"
        f" {counted(len(found.wrappers), 'wrapper')}"
    )
    yield (
        f"of the direct ones: {number['resolved']} resolved, {number['typable']} can become a typed"
        f" call, {number['checkable']} a call whose list is checked"
    )
    if number["through_wrappers"]:
        yield (
            f"of those through wrappers: {number['through_wrappers_resolved']} resolved,"
            f" {number['covered']} by a list that the wrapper's own call can have checked"
        )
    if declared := number["declared"]:
        yield f"local because a person says it (local-injected): {counted(declared, 'call')}"
    if rows := _totals(found):
        yield "reasons:"
        yield from explain(rows)
