"""``privmigrate audit``: what filters, sudoers, paths and privsep modules allow, and to whom."""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from privmigrate.audit.finding import Level
from privmigrate.audit.report import (
    FINE,
    WARNINGS,
    Report,
    as_json,
    as_text,
    listed,
    score_as_json,
    score_as_text,
)
from privmigrate.cli import add_format, say
from privmigrate.diagnostics import Span, counted
from privmigrate.errors import InputError
from privmigrate.linux.reading import read_regular

if TYPE_CHECKING:
    from privmigrate.audit.evidence import Evidence

COULD_NOT_RUN: Final = 255
PROFILES: Final = ("production", "migrate")
FORMATS: Final = ("sarif", "html", "baseline")

_DESCRIPTION: Final = """\
Judge what a service can do as root: its filters, its sudoers, who can change what these stand on,
and its privsep modules. Nothing is executed and nothing is written.

PATH is a rootwrap.conf, a .filters file, a Python file, a folder of these, or / for everything
that a machine has (default: /).
"""
_EPILOG: Final = """\
profiles:
  production  a machine, or what will become one: everything counts as it is
  migrate     sources before their migration: who owns the files is not judged, wide commands are
              at most medium (convert narrows them), entries that do not do what they say are at
              least medium
exit codes:
  0  fine: no finding above note
  1  warnings: findings, but none of the level of --fail-on
  2  failures: findings of that level or worse
  255  could not run: no such path, a baseline that is none, a rule that does not load
inline: '# privmigrate: ignore PM105: why it is acceptable' in a comment above the line (in Python
and sudoers also in the line).
examples:
  privmigrate audit --profile migrate etc/cinder/rootwrap.d
  privmigrate audit --root /var/lib/machines/cinder --format html > audit.html
  privmigrate audit --format baseline / > known.json && privmigrate audit --baseline known.json /
  privmigrate audit --score rootwrap.d && privmigrate audit --score cinder/privileged
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("paths", nargs="*", metavar="PATH", help="what to judge (default: /)")
    add("--root", metavar="DIR", help="an image: paths are inside it")
    add("--profile", choices=PROFILES, default="production", help="(default: production)")
    add(
        "--fail-on",
        choices=[str(level) for level in Level],
        default=str(Level.HIGH),
        metavar="LEVEL",
        help="exit code 2 from this level on: note, low, medium, high or critical (default: high)",
    )
    add_format(parser, more=FORMATS)
    add("--baseline", metavar="FILE", help="findings in it do not count")
    add(
        "--score",
        action="store_true",
        help="print the reachable power, and how it comes about; exit code 1 if a file could not be"
        " counted",
    )
    add("--explain", metavar="RULE", help="print the page of a rule such as PM105, or of all")


def run(arguments: argparse.Namespace) -> int:
    """Judge and print."""
    if arguments.explain is not None:
        _check_form("--explain", arguments.format, ("text",))
        return _explain(arguments.explain)
    if arguments.score:
        _check_form("--score", arguments.format, ("text", "json"))
    return _audit(arguments)


def _check_form(option: str, form: str, known: tuple[str, ...]) -> None:
    """Refuse a format that would be passed over in silence."""
    if form not in known:
        raise InputError(f"{option} is not to be had as {form} ({' or '.join(known)})")


def _explain(code: str) -> int:
    from privmigrate.audit.engine import load_rules
    from privmigrate.audit.manual import page_of

    rules = load_rules()
    chosen = [rule for rule in rules if code.lower() in {rule.code.lower(), rule.name, "all"}]
    if not chosen:
        raise InputError(f"there is no rule {code!r}: {rules[0].code} to {rules[-1].code}, or all")
    print("\n\n".join(page_of(rule) for rule in chosen))
    return FINE


def _audit(arguments: argparse.Namespace) -> int:
    from privmigrate.audit.accepted import (
        apply_baseline,
        apply_ignores,
        print_baseline,
        read_ignores,
    )
    from privmigrate.audit.engine import all_ways, judge, load_rules, version
    from privmigrate.audit.gather import gather
    from privmigrate.audit.score import score
    from privmigrate.audit.tree import DiskTree

    paths = arguments.paths or ["/"]
    if arguments.root and not os.path.isdir(arguments.root):  # noqa: PTH112
        raise InputError(f"{arguments.root}: is no folder")
    if arguments.root and (relative := [path for path in paths if not path.startswith("/")]):
        raise InputError(f"{relative[0]}: with --root, paths begin with / and are inside it")
    tree = DiskTree(os.path.abspath(arguments.root) if arguments.root else "")  # noqa: PTH100
    evidence = gather(tree, paths, trust=arguments.profile != "migrate")
    if arguments.score:
        return _score(evidence, arguments.format)
    findings = judge(evidence, arguments.profile)
    findings, accepted = apply_ignores(findings, read_ignores(evidence.texts))
    gone = 0
    if arguments.baseline is not None:
        findings, more, gone = apply_baseline(findings, _read_baseline(arguments.baseline))
        accepted += more
    looked_at = listed(
        [
            counted(sum(1 for _ in evidence.entries), "entry of filters", "entries of filters"),
            counted(len(evidence.grants), "grant of sudoers", "grants of sudoers"),
            counted(len({g.walk.path for g in evidence.guarded}), "path"),
            counted(sum(len(m.entrypoints) for m in evidence.modules), "entrypoint"),
        ]
    )
    report = Report(findings, accepted, gone, looked_at)
    match arguments.format:
        case "json":
            _print([json.dumps(as_json(report), indent=2)])
        case "sarif":
            from privmigrate.audit.sarif import as_sarif

            _print([json.dumps(as_sarif(report, load_rules(), version()), indent=2)])
        case "html":
            from privmigrate.audit.page import as_page

            _print(as_page(report, evidence, score(evidence, all_ways()), load_rules()))
        case "baseline":
            _print([print_baseline(findings)])
            return FINE
        case _:
            colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
            _print(as_text(report, colour=colour))
    return report.exit_code(Level[arguments.fail_on.upper()])


def _score(evidence: "Evidence", form: str) -> int:
    from privmigrate.audit.engine import all_ways
    from privmigrate.audit.score import score

    reached = score(evidence, all_ways())
    if form == "json":
        _print([json.dumps(score_as_json(reached), indent=2)])
    else:
        _print(score_as_text(reached))
    for place, why in (missed := list(_uncounted(evidence))):
        say(f"not counted: {place}: {why}")
    return WARNINGS if missed else FINE


def _uncounted(evidence: "Evidence") -> Iterator[tuple[Span, str]]:
    """What a score is too low by: a file that could not be read has no entries."""
    problems = [problem for policy in evidence.policies for problem in policy.problems]
    for policy in evidence.policies:
        problems += [error for file in policy.files for error in file.parsed.errors]
    for problem in (*problems, *evidence.unread):
        yield problem.span, problem.message


def _read_baseline(path: str) -> dict[str, int]:
    from privmigrate.audit.accepted import read_baseline

    try:
        return read_baseline(read_regular(path).decode(), path)
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a name that none can have
        why = error.strerror if isinstance(error, OSError) else "is no text in UTF-8"
        raise InputError(
            f"{path}: cannot be read: {why} (write one with --format baseline)"
        ) from error


def _print(lines: Iterable[str]) -> None:
    """Names of files may hold bytes that are no text: they are printed as escapes."""
    for line in lines:
        print(line.encode("utf-8", "backslashreplace").decode("utf-8"))
