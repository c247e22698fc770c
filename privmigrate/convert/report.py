"""What the person reads: a row for every rule, and what came of it; the same as data."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from privmigrate.convert.chain import may_stand_in_front
from privmigrate.convert.lower import NARROWS_WIDE as GENERAL
from privmigrate.convert.operation import Fate, Op, Outcome, Prefix, Source, Width
from privmigrate.convert.place import UNVERIFIED
from privmigrate.diagnostics import counted, printable
from privmigrate.rootwrap.rule import Rule

HEAD: Final = ("filter", "entrypoint", "width", "context", "capabilities")
_YELLOW: Final = "\033[33m"
_RED: Final = "\033[31m"
_PLAIN: Final = "\033[0m"
_MOST_NAMES: Final = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One rule: what became of it, and where."""

    source: Source
    filter_class: str
    fate: Fate
    entrypoint: str = ""
    width: str = ""
    context: str = ""
    capabilities: tuple[str, ...] | None = ()
    under: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    calls: int = 0  # that it was made from

    def as_json(self) -> dict[str, object]:
        """Plain values; capabilities are null where nothing is taken away."""
        return {
            "file": self.source.file,
            "line": self.source.line,
            "filter": self.source.name,
            "class": self.filter_class,
            "fate": self.fate.value,
            "entrypoint": self.entrypoint,
            "width": self.width,
            "context": self.context,
            "capabilities": None if self.capabilities is None else list(self.capabilities),
            "under": list(self.under),
            "remarks": list(self.remarks),
            **({"calls": self.calls} if self.calls else {}),
        }


def rows(
    rules: Sequence[Rule],
    ops: Sequence[Op],
    prefixes: Sequence[Prefix],
    outcomes: Sequence[Outcome],
    common: str,
) -> tuple[Row, ...]:
    """A row for every rule, in the order of files and lines; `common` has the prefix classes."""
    classes = {
        Source(rule.span.file, rule.span.line, rule.raw_name): rule.filter_class for rule in rules
    }
    found = [
        Row(
            source,
            classes[source],
            Fate.ENTRYPOINT,
            f"{op.module}.{op.name}",
            op.width.value,
            op.context,
            op.capabilities,
            op.prefixes,
            op.remarks,
            len(op.calls),
        )
        for op in ops
        for source in op.sources
    ]
    for prefix in prefixes:
        wraps = sum(prefix.name in op.prefixes for op in ops)
        remarks = [f"goes in front of {'one entrypoint' if wraps == 1 else f'{wraps} entrypoints'}"]
        left_out = sum(may_stand_in_front(prefix, op) for op in ops) - wraps
        # what is made of calls has in front of it what its calls have
        if left_out and not any(op.calls for op in ops):
            remarks.append(
                f"is not offered to {left_out} on files or storage, which see no network"
            )
        name = prefix.name if prefix.namespace else f"{common}.{prefix.name}"
        found.extend(
            Row(
                source,
                classes[source],
                Fate.PREFIX,
                name,
                capabilities=prefix.capabilities,
                remarks=tuple(remarks),
            )
            for source in prefix.sources
        )
    found.extend(
        Row(each.source, each.filter_class, each.fate, remarks=(each.why,)) for each in outcomes
    )
    return tuple(sorted(found, key=lambda row: (row.source, row.entrypoint)))


def counts(found: Sequence[Row]) -> dict[str, int]:
    """How many rules, how many entrypoints of each width, and what became of the others."""
    entrypoints = {row.entrypoint: row for row in found if row.fate is Fate.ENTRYPOINT}
    widths = Counter(row.width for row in entrypoints.values())
    fates = Counter(row.fate for row in found)
    return {
        "rules": len({row.source for row in found}),
        "entrypoints": len(entrypoints),
        **{width.value: widths[width.value] for width in Width},
        **{fate.value: fates[fate] for fate in Fate if fate is not Fate.ENTRYPOINT},
        UNVERIFIED: sum(row.capabilities is None for row in entrypoints.values()),
    }


def table(found: Sequence[Row], *, colour: bool) -> Iterator[str]:
    """Lines of aligned columns; remarks stand below the row that they are about."""
    head = (*HEAD, "calls") if any(row.calls for row in found) else HEAD
    cells = [head, *(_cells(row)[: len(head)] for row in found)]
    told: set[tuple[str, str]] = set()
    widths = [max(len(line[number]) for line in cells) for number in range(len(head) - 1)]
    for number, line in enumerate(cells):
        padded = [cell.ljust(width) for cell, width in zip(line, [*widths, 0], strict=True)]
        text = printable("  ".join(padded).rstrip())
        row = found[number - 1] if number else None
        yield _coloured(text, row) if colour and row else text
        for remark in row.remarks if row else ():
            # once for an entrypoint, and what is said of every wide one once below
            if row and (row.entrypoint, remark) not in told and remark != GENERAL:
                told.add((row.entrypoint, remark))
                yield f"    {printable(remark)}"


def _cells(row: Row) -> tuple[str, ...]:
    width = row.width.upper() if row.width == Width.WIDE.value else row.width
    if row.fate not in {Fate.ENTRYPOINT, Fate.PREFIX}:
        return (str(row.source), "-", row.fate.value, "", "", "")
    return (
        str(row.source),
        row.entrypoint,
        width or row.fate.value,
        row.context,
        _capabilities(row.capabilities),
        str(row.calls or ""),
    )


def _capabilities(names: tuple[str, ...] | None) -> str:
    if names is None:
        return "ALL"
    if len(names) > _MOST_NAMES:
        return f"{' '.join(names[:_MOST_NAMES])} +{len(names) - _MOST_NAMES}"
    return " ".join(names) or "none"


def _coloured(text: str, row: Row) -> str:
    if row.fate is Fate.REFUSED:
        return f"{_RED}{text}{_PLAIN}"
    if row.width == Width.WIDE.value or row.capabilities is None:
        return f"{_YELLOW}{text}{_PLAIN}"
    return text


def summary(found: Sequence[Row], called: Sequence[str] = ()) -> str:
    """One line with all counts; `called` are entrypoints that stay for no other reason."""
    number = counts(found)
    text = (
        f"{counted(number['rules'], 'rule')}, {counted(number['entrypoints'], 'entrypoint')}: "
        f"{number['exact']} exact, {number['narrowed']} narrowed, {number['wide']} wide"
    )
    if called:
        are, they = ("stays", "it is") if len(called) == 1 else ("stay", "they are")
        text += f"; {counted(len(called), 'entrypoint')} {are} because {they} called"
    others = [
        f"{number[fate.value]} {fate.value}"
        for fate in Fate
        if fate is not Fate.ENTRYPOINT and number[fate.value]
    ]
    if others:
        text += f"; other rules: {', '.join(others)}"
    if number[UNVERIFIED]:
        text += f"; with every capability: {number[UNVERIFIED]} ({UNVERIFIED})"
    return text


def legend(found: Sequence[Row]) -> str | None:
    """What would narrow the wide ones, where nothing special was said."""
    return f"WIDE: {GENERAL}" if any(GENERAL in row.remarks for row in found) else None
