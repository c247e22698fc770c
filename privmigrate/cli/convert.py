"""``privmigrate convert``: from ``.filters`` files to a package of entrypoints."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from difflib import unified_diff
from enum import Enum
from itertools import chain
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, Final

from privmigrate.cli import add_format, diff_of, print_diff, say
from privmigrate.diagnostics import counted, printable
from privmigrate.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from privmigrate.callsites import Findings
    from privmigrate.convert import Conversion, Options
    from privmigrate.convert.lock import Disk
    from privmigrate.convert.replaced import Replaced
    from privmigrate.convert.report import Row
    from privmigrate.rootwrap.rule import Rule

OUT_OF_DATE: Final = 1
NEEDS_A_PERSON: Final = 3

_DESCRIPTION: Final = """\
Write a package of typed privsep entrypoints from rootwrap filters.

PATH is a rootwrap.d folder, a .filters file, or a rootwrap.conf. The package is written into the
current folder, or into --output. What a person changes in it by hand is kept: privmigrate.lock,
which belongs under version control with the package, remembers what was written.

With --callsites the entrypoints are made of the calls in the service's own source, each within the
filters that allow it: a filter that allows any arguments is replaced by what its calls need.
"""
_EXAMPLE: Final = """\
examples:
  privmigrate convert /etc/cinder/rootwrap.d
  privmigrate convert etc/nova/rootwrap.conf --output nova --package nova.privileged --diff
  privmigrate convert rootwrap.d --check        # for CI: exit code 1 when out of date
  privmigrate convert etc/manila/rootwrap.d --callsites manila
exit codes: 0 written, shown or up to date, 1 out of date (--check), 2 bad input, 3 a conflict with
  what was edited by hand: --keep or --replace settles it.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = _DESCRIPTION
    parser.epilog = _EXAMPLE
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="rootwrap.d folder, .filters file, rootwrap.conf")
    add("--output", default=".", metavar="DIR", help="where to put the package (default: here)")
    add("--package", default="privileged", metavar="NAME", help="its name (default: privileged)")
    add(
        "--runtime",
        choices=("privmigrate", "oslo"),
        default="privmigrate",
        help="whose contexts and daemons to use (default: privmigrate)",
    )
    add("--capabilities", metavar="FILE", help="TOML: command or module.entrypoint = [CAP_*, ...]")
    add(
        "--callsites",
        nargs="+",
        action="extend",
        default=[],
        metavar="PATH",
        help="the service's Python: make entrypoints of what it really calls",
    )
    add(
        "--keep-unreferenced",
        action="store_true",
        help="with --callsites: keep filters that no call needs, as they are",
    )
    add("--single-context", action="store_true", help="one context, and one daemon, for all")
    add(
        "--keep",
        action="append",
        default=[],
        metavar="NAME",
        help="settle a conflict: module.entrypoint stays as it was edited",
    )
    add(
        "--replace",
        action="append",
        default=[],
        metavar="NAME",
        help="write module.entrypoint anew, though it was edited or deleted by hand",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--diff", action="store_true", help="show what would change, write nothing")
    what.add_argument("--check", action="store_true", help="exit with 1 if anything would change")
    what.add_argument(
        "--show", choices=("rules", "sites", "ops"), help="print a stage as JSON, write nothing"
    )
    add_format(parser, "the table as data")


def run(arguments: argparse.Namespace) -> int:
    """Convert; raise InputError for what cannot be used."""
    from privmigrate.convert import Options, convert
    from privmigrate.convert.lock import Disk, read_disk
    from privmigrate.convert.merge import Choices
    from privmigrate.convert.needs import read_needs
    from privmigrate.convert.place import Needs
    from privmigrate.convert.source import read_sources, relabel

    package = _package(arguments.package)
    sources = read_sources(arguments.paths)
    rules = relabel(sources.rules, sources.labels)
    folder = Path(arguments.output, *package.split("."))
    disk = Disk(None, {}) if arguments.show else read_disk(folder, package)
    made_with = _made_with(arguments, disk)
    findings = _findings(arguments)
    called, replaced = _called(arguments, disk)
    options = Options(
        package=package,
        runtime=arguments.runtime,
        exec_dirs=sources.exec_dirs,
        single_context=arguments.single_context,
        needs=read_needs(arguments.capabilities) if arguments.capabilities else Needs({}),
        choices=Choices(frozenset(arguments.keep), frozenset(arguments.replace)),
        keep_unreferenced=arguments.keep_unreferenced or bool(findings and findings.unparsed),
        made_with=made_with,
        called=called,
        replaced=replaced,
    )
    result = convert(rules, options, disk, findings.sites if findings else None)
    _check_names(options, result)
    for note in sources.notes:
        say(note)
    for problem in findings.diagnostics if findings else ():
        say(str(problem))
    if findings and findings.unparsed and not arguments.keep_unreferenced:
        say("filters that no call uses are kept: calls that are not known may use them")
    if arguments.show == "rules":
        return _print_json([_plain(asdict(rule)) for rule in rules])
    if arguments.show == "sites":
        from privmigrate.callsites.text import site_json

        return _print_json([site_json(site) for site in findings.sites] if findings else [])
    if arguments.show == "ops":
        ops = [asdict(op) for op in result.ops] + [asdict(prefix) for prefix in result.prefixes]
        return _print_json([_plain(each) for each in ops])
    return _finish(arguments, rules, result, disk)


def _made_with(arguments: argparse.Namespace, disk: "Disk") -> tuple[str, ...]:
    """The options that decide what is generated, which the lock remembers."""
    if not arguments.callsites:
        for option, given in (
            ("--keep-unreferenced", arguments.keep_unreferenced),
            ("--show sites", arguments.show == "sites"),
        ):
            if given:
                raise InputError(f"{option}: error: needs --callsites PATH")
        if disk.lock and "callsites" in disk.lock.options:
            raise InputError(
                f"{disk.folder}: error: was made of call sites, and without them every filter "
                "would be as wide as before (say --callsites PATH, or choose another --package)"
            )
        return ()
    kept = ("keep-unreferenced",) if arguments.keep_unreferenced else ()
    if disk.lock and "callsites" in disk.lock.options:
        before = "keep-unreferenced" in disk.lock.options
        if before != arguments.keep_unreferenced:
            said = "with" if before else "without"
            say(f"{disk.folder} was written {said} --keep-unreferenced")
    return ("callsites", *kept)


def _called(
    arguments: argparse.Namespace, disk: "Disk"
) -> "tuple[frozenset[str], tuple[Replaced, ...]]":
    """The entrypoints that the service calls by now, where its calls are looked at.

    With the calls of which they took the place, as far as the lock knows these.
    """
    if not arguments.callsites or disk.lock is None:
        return frozenset(), ()
    from privmigrate.callsites.files import read_files
    from privmigrate.convert.replaced import still_called
    from privmigrate.convert.still import find_called

    files, _ = read_files(arguments.callsites, ())
    called = find_called([file.data for file in files], disk.lock.files)
    return called, still_called(disk.lock.replaced, files)


def _findings(arguments: argparse.Namespace) -> "Findings | None":
    if not arguments.callsites:
        return None
    from privmigrate.callsites import find_sites

    findings = find_sites(arguments.callsites)
    if findings.errors:
        # what is not read has calls that nobody knows, whose filters would be needed by none
        raise InputError("\n".join(map(str, findings.errors)))
    if not findings.files:
        raise InputError(
            f"--callsites {' '.join(arguments.callsites)}: error: no Python file there"
        )
    return findings


def _finish(
    arguments: argparse.Namespace, rules: "Sequence[Rule]", result: "Conversion", disk: "Disk"
) -> int:
    """Report; then write, show or compare."""
    from privmigrate.convert.lock import write

    folder = Path(disk.folder)
    changed = {name: text for name, text in result.texts.items() if disk.texts.get(name) != text}
    _report(arguments, rules, result, disk, sorted(changed))
    conflicts = _tell(result)
    if arguments.diff:
        if arguments.format == "text":
            print_diff(_diff(disk, result.texts, changed))
    elif arguments.check:
        for name in sorted(changed):
            say(f"{folder / name} is out of date")
    elif changed:
        write(folder, changed, disk.texts)
        say(f"wrote {counted(len(changed), 'file')} into {folder}/")
        if result.uses:
            say(f"next: {_next(arguments)}")
    else:
        say(f"{folder}/ is up to date")
    if conflicts:
        return NEEDS_A_PERSON
    return OUT_OF_DATE if arguments.check and changed else 0


def _next(arguments: argparse.Namespace) -> str:
    """The command line that shows what the service's calls would become."""
    words = [*arguments.callsites, "--to", arguments.package]
    if arguments.output != ".":
        words += ["--output", arguments.output]
    for path in arguments.paths:
        words += ["--filters", path]
    return shlex.join(["privmigrate", "rewrite", *words, "--diff"])


def _package(name: str) -> str:
    for part in name.split("."):
        if not part.isidentifier() or not part.isascii() or iskeyword(part):
            raise InputError(f"--package {name}: error: {part!r} is no name of a Python package")
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top in {"privmigrate", "oslo_privsep"}:
        raise InputError(f"--package {name}: error: {top} is the name of another package")
    return name


def _check_names(options: "Options", result: "Conversion") -> None:
    """Names that the person gave must be names of something."""
    from privmigrate.convert.place import COMMON

    entrypoints = {f"{op.module}.{op.name}" for op in result.ops}
    entrypoints |= {f"{COMMON}.{prefix.name}" for prefix in result.prefixes}
    for option, names in (("keep", options.choices.keep), ("replace", options.choices.replace)):
        for name in sorted(names - entrypoints):
            raise InputError(f"--{option} {name}: error: there is no such entrypoint")
    commands = {op.command for op in result.ops} | {prefix.command for prefix in result.prefixes}
    for name in sorted(options.needs.sets.keys() - entrypoints - commands):
        say(f"--capabilities: {name} is neither a command nor an entrypoint here")


def _report(
    arguments: argparse.Namespace,
    rules: "Sequence[Rule]",
    result: "Conversion",
    disk: "Disk",
    changed: list[str],
) -> None:
    from privmigrate.convert import report
    from privmigrate.convert.place import COMMON

    found = report.rows(rules, result.ops, result.prefixes, result.outcomes, COMMON)
    calls = _about_calls(arguments, result, found)
    if arguments.format == "json":
        data: dict[str, object] = {
            "rules": [row.as_json() for row in found],
            "summary": report.counts(found),
            "called": list(result.called),
            "changed": changed,
            "notes": [
                {"entrypoint": note.place, "message": note.message, "conflict": note.conflict}
                for note in result.notes
            ],
        }
        if arguments.diff:
            data["diff"] = "".join(_diff(disk, result.texts, changed))
        _print_json(data | calls)
        return
    if not arguments.diff and not arguments.check:
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        for line in report.table(found, colour=colour):
            print(line)
        print()
        if legend := report.legend(found):
            print(legend)
        for line in _lines_about_calls(arguments, result, found):
            print(printable(line))
        print(report.summary(found, result.called))
        return
    for line in _lines_about_calls(arguments, result, found):
        say(line)
    say(report.summary(found, result.called))


def _about_calls(
    arguments: argparse.Namespace, result: "Conversion", found: "Sequence[Row]"
) -> dict[str, object]:
    if not arguments.callsites:
        return {}
    from privmigrate.convert import report_calls

    return {
        "calls": report_calls.calls_as_json(result.uses, result.unlinked),
        "wide": report_calls.wide_counts(result.wide, found),
        "call summary": report_calls.call_counts(result.uses, result.unlinked)
        | {"replaced": result.replaced},
    }


def _lines_about_calls(
    arguments: argparse.Namespace, result: "Conversion", found: "Sequence[Row]"
) -> "Iterable[str]":
    if not arguments.callsites:
        return ()
    from privmigrate.convert import report_calls

    lines = report_calls.summary(
        result.wide, found, result.uses, result.unlinked, replaced=result.replaced
    )
    if arguments.diff or arguments.check:
        return lines
    return chain(lines, report_calls.stays(result.unlinked))


def _tell(result: "Conversion") -> bool:
    """Say what happened to what a person changed; true if something is to be decided."""
    conflicts = [note for note in result.notes if note.conflict]
    for note in result.notes:
        say(f"{note.place} {note.message}")
        if note.conflict:
            for line in unified_diff(
                note.mine.splitlines(),
                note.generated.splitlines(),
                f"{note.place} as it is",
                f"{note.place} as the rule says now",
                lineterm="",
            ):
                say(f"  {line}")
    if conflicts:
        names = " ".join(f"--keep {note.place}" for note in conflicts)
        say(f"to keep them: {names}; to write them anew: --replace in place of --keep")
    return bool(conflicts)


def _diff(disk: "Disk", texts: Mapping[str, str], changed: "Iterable[str]") -> "Iterable[str]":
    folder = Path(disk.folder)
    return diff_of((str(folder / name), disk.texts.get(name), texts[name]) for name in changed)


def _print_json(value: object) -> int:
    print(json.dumps(value, indent=2))
    return 0


def _plain(value: object) -> object:
    """What JSON can say: enumerations by their values, specifications by what they print."""
    match value:
        case Enum():
            return value.value
        case dict():
            return {str(key): _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case _:
            return value
