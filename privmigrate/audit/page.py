"""The report as one self-contained page, with a picture of who can reach what.

No script, no font, no image from elsewhere: the page can be opened on a machine without network,
and shows nothing that was not escaped.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from privmigrate.audit.engine import AuditRule
from privmigrate.audit.evidence import Evidence
from privmigrate.audit.gather import is_wrapper
from privmigrate.audit.report import Report
from privmigrate.audit.score import Line, Score
from privmigrate.diagnostics import printable

MAX_ROWS: Final = 60
_COLUMNS: Final = ("service user", "filter or entrypoint", "command", "capabilities", "gain")
_X: Final = (10, 190, 430, 620, 850)
_WIDTHS: Final = (150, 210, 160, 200, 220)
_HEIGHT: Final = 26
_TOP: Final = 40
_CHARACTER: Final = 7

_STYLE: Final = """
:root{color-scheme:light dark;--bad:#b3261e;--mid:#b26a00;--ok:#2e7d32;--line:#8886}
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1100px;padding:0 1rem}
h1{font-size:1.5rem}code,td,svg text{font-family:ui-monospace,monospace;font-size:13px}
table{border-collapse:collapse;width:100%}td,th{border-top:1px solid var(--line);padding:.4rem;
text-align:left;vertical-align:top;overflow-wrap:anywhere}details{margin:.2rem 0}
summary{cursor:pointer}pre{white-space:pre-wrap}.critical,.high{color:var(--bad);font-weight:600}
.medium{color:var(--mid)}.low,.note{opacity:.8}.scroll{overflow-x:auto}
svg rect{fill:none;stroke:var(--line)}svg text{fill:currentColor}svg path{fill:none;
stroke-width:1.5;opacity:.55}.p3{stroke:var(--bad)}.p2{stroke:var(--mid)}.p1{stroke:var(--ok)}
"""


def as_page(
    report: Report, evidence: Evidence, score: Score, rules: Sequence[AuditRule]
) -> Iterator[str]:
    """The page, in pieces."""
    yield "<!DOCTYPE html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width">'
    yield '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
    yield " style-src 'unsafe-inline'\">"
    yield f"<title>privmigrate audit</title><style>{_STYLE}</style></head><body>"
    yield "<h1>Who can reach what</h1>"
    yield f"<p>{_safe(report.summary)}</p>"
    yield (
        f"<p>Reachable power: <strong>{score.total}</strong>, the sum over {len(score.lines)}"
        f" programs; {score.root_ways} of them give root.</p>"
    )
    yield '<div class="scroll">'
    yield from _picture(evidence, score)
    yield "</div>"
    yield "<h2>Findings, worst first</h2>"
    yield from _findings(report)
    yield "<h2>The rules that found something</h2>"
    yield from _pages(report, rules)
    yield "</body></html>"


def _safe(text: str) -> str:
    return escape(printable(text))


@dataclass(frozen=True, slots=True)
class _Row:
    cells: tuple[str, str, str, str, str]
    power: int


def _rows(evidence: Evidence, score: Score) -> list[_Row]:
    users = sorted({g.who for g in evidence.grants if is_wrapper(g) and not g.negated})
    who = ", ".join(users) or "the service"
    return [_Row(_cells(who, line), line.power) for line in score.lines[:MAX_ROWS]]


def _cells(who: str, line: Line) -> tuple[str, str, str, str, str]:
    limit = "all" if line.limit is None else str(line.limit)
    return who, line.name, line.program, limit, line.gain


def _picture(evidence: Evidence, score: Score) -> Iterator[str]:
    """Five columns; each distinct text is one box, each line of the score one path through them."""
    rows = _rows(evidence, score)
    places: list[dict[str, int]] = [{} for _ in _COLUMNS]
    for row in rows:
        for column, cell in enumerate(row.cells):
            places[column].setdefault(cell, len(places[column]))
    height = _TOP + _HEIGHT * max([len(column) for column in places] + [1]) + 10
    yield (
        f'<svg role="img" aria-label="who can reach what" viewBox="0 0 1080 {height}"'
        f' width="1080" height="{height}">'
    )
    for x, title in zip(_X, _COLUMNS, strict=True):
        yield f'<text x="{x}" y="20" font-weight="bold">{title}</text>'
    for row in rows:
        kind = 3 if row.power >= 80 else 2 if row.power >= 30 else 1  # noqa: PLR2004 - as the text
        for column in range(len(_COLUMNS) - 1):
            x1 = _X[column] + _WIDTHS[column]
            x2 = _X[column + 1]
            y1 = _middle(places[column][row.cells[column]])
            y2 = _middle(places[column + 1][row.cells[column + 1]])
            half = (x1 + x2) // 2
            yield f'<path class="p{kind}" d="M{x1} {y1}C{half} {y1} {half} {y2} {x2} {y2}"/>'
    for column, texts in enumerate(places):
        for text, number in texts.items():
            y = _TOP + _HEIGHT * number
            yield (
                f'<g><title>{_safe(text)}</title><rect x="{_X[column]}" y="{y}" rx="4"'
                f' width="{_WIDTHS[column]}" height="{_HEIGHT - 6}"/>'
                f'<text x="{_X[column] + 6}" y="{y + 14}">'
                f"{_safe(_short(text, _WIDTHS[column]))}</text></g>"
            )
    yield "</svg>"
    if len(score.lines) > MAX_ROWS:
        yield f"<p>and {len(score.lines) - MAX_ROWS} more programs, less powerful than these</p>"


def _middle(number: int) -> int:
    return _TOP + _HEIGHT * number + (_HEIGHT - 6) // 2


def _short(text: str, width: int) -> str:
    room = (width - 10) // _CHARACTER
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _findings(report: Report) -> Iterator[str]:
    yield "<table><tr><th>level</th><th>rule</th><th>place</th><th>what, and what to do</th></tr>"
    for finding in report.findings:
        yield (
            f'<tr><td class="{finding.level}">{finding.level}</td>'
            f'<td><a href="#{finding.code}">{finding.code}</a></td>'
            f"<td>{_safe(str(finding.span))}</td>"
            f"<td>{_safe(finding.message)}<br>&rarr; {_safe(finding.advice)}</td></tr>"
        )
    for accepted in report.accepted:
        yield (
            f'<tr class="note"><td>accepted</td><td>{accepted.finding.code}</td>'
            f"<td>{_safe(str(accepted.finding.span))}</td>"
            f"<td>{_safe(accepted.finding.message)}<br>{_safe(accepted.reason)}</td></tr>"
        )
    yield "</table>"


def _pages(report: Report, rules: Sequence[AuditRule]) -> Iterator[str]:
    found = {finding.code for finding in report.findings}
    for rule in rules:
        if rule.code in found:
            page = rule.page.partition("\n")[2].strip()
            yield (
                f'<details id="{rule.code}"><summary>{rule.code} {_safe(rule.title)}</summary>'
                f"<pre>{escape(page)}</pre></details>"
            )
