"""Findings that somebody has accepted: inline, with a reason, or in a baseline.

Inline: ``# privmigrate: ignore PM105: the reason`` in the line of the finding, or in a comment
above it. An ignore without a reason, and one that no longer ignores anything, are findings.
A baseline is what ``--format baseline`` printed: what is new since then counts, what went away is
said.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

from privmigrate.audit.finding import Finding, Level
from privmigrate.diagnostics import Span
from privmigrate.errors import InputError

_IGNORE: Final = re.compile(
    r"#\s*privmigrate:\s*ignore\s+(?P<codes>PM\d{3}(?:\s*,\s*PM\d{3})*)\s*(?::\s*(?P<reason>.*\S))?"
)
_VERSION: Final = 1
_ADVICE: Final = "write one anew: privmigrate audit --format baseline"
NO_REASON: Final = "PM002"
NO_FINDING: Final = "PM003"


@dataclass(frozen=True, slots=True)
class Ignore:
    """One comment: which codes, in which line of which file, for which line, and why."""

    span: Span
    codes: tuple[str, ...]
    reason: str
    line: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """A finding that does not count, and where that was said."""

    finding: Finding
    reason: str


def read_ignores(texts: Iterable[tuple[str, Sequence[str]]]) -> tuple[Ignore, ...]:
    """Every ignore in the files that were read."""
    return tuple(ignore for path, lines in texts for ignore in _ignores(path, lines))


def _ignores(path: str, lines: Sequence[str]) -> Iterator[Ignore]:
    for number, line in enumerate(lines, 1):
        if "privmigrate:" in line and (found := _IGNORE.search(line)):
            codes = tuple(code.strip() for code in found["codes"].split(","))
            above = line.lstrip().startswith("#")
            about = _next_statement(lines, number) if above else number
            yield Ignore(Span(path, number, found.start() + 1), codes, found["reason"] or "", about)


def _next_statement(lines: Sequence[str], number: int) -> int:
    """The first line below a comment that is neither comment nor blank."""
    for offset, line in enumerate(lines[number:], number + 1):
        if line.strip() and not line.lstrip().startswith("#"):
            return offset
    return number


def apply_ignores(
    findings: Iterable[Finding], ignores: Sequence[Ignore]
) -> tuple[tuple[Finding, ...], tuple[Accepted, ...]]:
    """What is left, with findings about the ignores themselves, and what was ignored."""
    left: list[Finding] = []
    accepted: list[Accepted] = []
    used: set[tuple[Ignore, str]] = set()
    by_place: dict[tuple[str, int, str], Ignore] = {}
    for ignore in ignores:
        for code in ignore.codes:
            by_place[ignore.span.file, ignore.line, code] = ignore
    for finding in findings:
        ignored = by_place.get((finding.span.file, finding.span.line, finding.code))
        if ignored is None:
            left.append(finding)
            continue
        used.add((ignored, finding.code))
        if ignored.reason:
            accepted.append(Accepted(finding, ignored.reason))
        else:
            left.append(finding)
    left.extend(_about_ignores(ignores, used))
    return tuple(sorted(left, key=lambda finding: finding.order)), tuple(accepted)


def _about_ignores(ignores: Iterable[Ignore], used: set[tuple[Ignore, str]]) -> Iterator[Finding]:
    for ignore in ignores:
        for code in ignore.codes:
            if (ignore, code) not in used:
                yield Finding(
                    NO_FINDING,
                    Level.LOW,
                    ignore.span,
                    f"{code} is ignored here, and nothing here is {code}",
                    "remove the comment",
                )
            elif not ignore.reason:
                yield Finding(
                    NO_REASON,
                    Level.MEDIUM,
                    ignore.span,
                    f"{code} is ignored here without a reason, so it is not ignored",
                    f"write '# privmigrate: ignore {code}: why it is acceptable'",
                )


def print_baseline(findings: Sequence[Finding]) -> str:
    """The findings as a baseline, to be kept in a file."""
    rows = [
        {
            "fingerprint": finding.fingerprint,
            "code": finding.code,
            "file": finding.span.file,
            "message": finding.message,
            "count": sum(other.fingerprint == finding.fingerprint for other in findings),
        }
        for finding in {finding.fingerprint: finding for finding in findings}.values()
    ]
    return json.dumps({"version": _VERSION, "accepted": rows}, indent=2)


def read_baseline(text: str, file: str) -> dict[str, int]:
    """How many findings of each fingerprint were accepted. Raise InputError for another file."""
    try:
        data = json.loads(text)
        if data["version"] != _VERSION:
            raise InputError(
                f"{file}: has version {data['version']!s:.20}, not {_VERSION} ({_ADVICE})"
            )
        rows = cast("list[dict[str, object]]", data["accepted"])
        return {str(row["fingerprint"]): int(cast("int", row["count"])) for row in rows}
    except json.JSONDecodeError as error:
        place = f"{file}:{error.lineno}:{error.colno}"
        raise InputError(
            f"{place}: is no baseline of privmigrate audit: no JSON: {error.msg} ({_ADVICE})"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"{file}: is no baseline of privmigrate audit: other JSON than it writes ({_ADVICE})"
        ) from error


def apply_baseline(
    findings: Iterable[Finding], baseline: dict[str, int]
) -> tuple[tuple[Finding, ...], tuple[Accepted, ...], int]:
    """What is new, what was accepted, and how many accepted ones are gone."""
    open_ones = dict(baseline)
    left: list[Finding] = []
    accepted: list[Accepted] = []
    for finding in findings:
        if open_ones.get(finding.fingerprint, 0):
            open_ones[finding.fingerprint] -= 1
            accepted.append(Accepted(finding, "in the baseline"))
        else:
            left.append(finding)
    return tuple(left), tuple(accepted), sum(open_ones.values())
