"""Ratios of interleaved rounds, what was promised of them, and how both are shown."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

REACHABLE: Final = 1.4
"""So many times the raw ping-pong's figure is as good as a target that lies below it; where more is
better, that share of a figure with which it misses the target itself."""

_ALIGN: Final = "{:<34} {:>11} {:>11} {:>7}  {:<15} {:<12}"


@dataclass(frozen=True, slots=True)
class Target:
    """What a ratio, or where there is nothing to compare with a figure, must keep to."""

    most: float | None = None
    least: float | None = None

    def holds(self, value: float) -> bool:
        """Whether it does."""
        if self.most is not None:
            return value <= self.most
        return self.least is None or value >= self.least

    def __str__(self) -> str:
        return f"<= {self.most:g}" if self.most is not None else f">= {self.least:g}"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing measured in every round, beside the same thing done by another.

    Attributes:
        against: what is compared with what; the heading above the row.
        ours, other: one figure for each round, taken within seconds of each other.
        absolute: the target is for the first figure and not for the ratio.
        floor: the raw ping-pong's figures of the same rounds, where they bound what can be had.
    """

    name: str
    unit: str
    against: str
    target: Target | None = None
    absolute: bool = False
    ours: list[float] = field(default_factory=list)
    other: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)

    def add(self, ours: float, other: float, floor: float | None = None) -> None:
        """Note the figures of one round."""
        self.ours.append(ours)
        self.other.append(other)
        if floor is not None:
            self.floor.append(floor)

    @property
    def ratios(self) -> list[float]:
        """Ours relative to the other, round by round."""
        return [a / b for a, b in zip(self.ours, self.other, strict=True)]

    @property
    def judged(self) -> float:
        """The figure that the target is about."""
        return statistics.median(self.ours if self.absolute else self.ratios)

    @property
    def bound(self) -> float | None:
        """The ratio that the raw ping-pong reaches, where it was measured."""
        if not self.floor:
            return None
        return statistics.median(a / b for a, b in zip(self.floor, self.other, strict=True))

    @property
    def missed(self) -> bool:
        """Whether the target, if there is one, is missed, and that by more than it must be."""
        if self.target is None or self.target.holds(self.judged):
            return False
        if self.bound is None:
            return True
        if self.target.least is not None:
            return self.target.holds(self.bound) or self.judged < self.bound / REACHABLE
        return self.judged > REACHABLE * self.bound

    def as_text(self) -> str:
        """One line of the table."""
        ratios = self.ratios
        verdict = ""
        if self.target is not None:
            verdict = f"{'MISSED' if self.missed else 'ok'} {self.target}"
            verdict += f" {self.unit}" if self.absolute else ""
            if self.bound is not None:
                verdict += f", raw {self.bound:.2f}"
        return _ALIGN.format(
            self.name,
            f"{statistics.median(self.ours):.4g} {self.unit}",
            f"{statistics.median(self.other):.4g} {self.unit}",
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f} - {max(ratios):.2f}",
            verdict,
        ).rstrip()

    def as_json(self) -> dict[str, object]:
        """Everything, for a machine."""
        return {
            "name": self.name,
            "unit": self.unit,
            "against": self.against,
            "ours": self.ours,
            "other": self.other,
            "ratio": statistics.median(self.ratios),
            "target": None if self.target is None else str(self.target),
            "raw": self.bound,
            "missed": self.missed,
        }


def as_table(rows: Iterable[Row]) -> str:
    """All rows, under a heading for each thing that was compared with."""
    lines: list[str] = []
    against = ""
    for row in rows:
        if row.against != against:
            against = row.against
            heading = _ALIGN.format("", "first", "second", "ratio", "lowest - highest", "target")
            lines += ["", against, heading.rstrip()]
        lines.append(row.as_text())
    return "\n".join(lines).lstrip("\n")
