"""What an audit came to, and its plain forms: text for people, JSON for machines."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from privmigrate.audit.accepted import Accepted
from privmigrate.audit.finding import Finding, Level
from privmigrate.audit.score import Score
from privmigrate.diagnostics import counted, printable

FINE, WARNINGS, FAILURES = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Report:
    """The findings that count, those that were accepted, and what was looked at."""

    findings: tuple[Finding, ...]
    accepted: tuple[Accepted, ...] = ()
    gone: int = 0
    looked_at: str = ""

    def exit_code(self, fail_on: Level) -> int:
        """As oslo.upgradecheck: 0 fine, 1 warnings, 2 failures."""
        if any(finding.level >= fail_on for finding in self.findings):
            return FAILURES
        return WARNINGS if any(f.level > Level.NOTE for f in self.findings) else FINE

    @property
    def summary(self) -> str:
        """One line."""
        counts = Counter(finding.level for finding in self.findings)
        by_level = ", ".join(
            f"{counts[level]} {level}" for level in reversed(Level) if counts[level]
        )
        text = f"{counted(len(self.findings), 'finding')}{f': {by_level}' if by_level else ''}"
        if self.accepted:
            text += f"; {len(self.accepted)} accepted"
        if self.gone:
            text += f"; {self.gone} of the baseline are gone"
        return f"{text}; looked at {self.looked_at}"


def as_text(report: Report, *, colour: bool) -> Iterator[str]:
    """Worst first: level, code, place, what and why, what to do."""
    for finding in report.findings:
        level = f"{finding.level!s:<8}"
        if colour:
            level = f"\x1b[{_COLOURS[finding.level]}m{level}\x1b[0m"
        yield f"{level} {finding.code}  {printable(str(finding.span))}"
        yield f"    {printable(finding.message)}"
        yield f"    -> {printable(finding.advice)}"
    yield report.summary


_COLOURS = {
    Level.CRITICAL: "1;31",
    Level.HIGH: "31",
    Level.MEDIUM: "33",
    Level.LOW: "36",
    Level.NOTE: "2",
}


def as_json(report: Report) -> dict[str, object]:
    """Plain values."""
    counts = Counter(finding.code for finding in report.findings)
    return {
        "summary": report.summary,
        "counts": dict(sorted(counts.items())),
        "findings": [finding.as_json() for finding in report.findings],
        "accepted": [
            {**accepted.finding.as_json(), "reason": accepted.reason}
            for accepted in report.accepted
        ],
    }


def score_as_text(score: Score) -> Iterator[str]:
    """The number, and how it came about."""
    yield f"reachable power: {score.total}"
    yield (
        f"  the sum over {len(score.lines)} programs, each with its most powerful entry;"
        f" 100 is root, by {score.root_ways} of them"
    )
    for line in score.lines:
        limit = "" if line.limit is None else f", holding {line.limit}"
        yield (
            f"  {line.power:5}  {printable(line.program)}: {line.gain}"
            f" ({line.kind} {printable(line.name)}, {printable(str(line.span))}{limit})"
        )
        yield f"           {printable(line.why)}"


def score_as_json(score: Score) -> dict[str, object]:
    """Plain values."""
    return {
        "score": score.total,
        "root_ways": score.root_ways,
        "lines": [
            {
                "program": line.program,
                "power": line.power,
                "name": line.name,
                "kind": line.kind,
                "file": line.span.file,
                "line": line.span.line,
                "gain": line.gain,
                "why": line.why,
                "capabilities": None if line.limit is None else list(line.limit.names),
            }
            for line in score.lines
        ],
    }


def listed(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else list(parts))
