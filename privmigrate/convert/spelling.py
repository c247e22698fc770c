"""How a replacing call is written: on one line where it fits, else its arguments below it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 79
"""Columns of a line, as OpenStack's hacking rules have it."""


@dataclass(frozen=True, slots=True)
class Call:
    """The parts of ``package.module.name.policy(options)(arguments)``.

    `judged` is the method that judges the result, with its arguments, or "" and none.
    """

    callee: str
    judged: tuple[str, tuple[str, ...]]
    arguments: tuple[str, ...]


def spell(call: Call) -> str:
    """On one line."""
    method, options = call.judged
    judge = f".{method}({', '.join(options)})" if method else ""
    return f"{call.callee}{judge}({', '.join(call.arguments)})"


def lay_out(call: Call, column: int, indent: str, tail: int, newline: str) -> str:
    """Where `column` is where it begins, `indent` its line's, and `tail` what follows it there."""
    line = spell(call)
    if column + len(line) + tail <= WIDTH:
        return line
    method, options = call.judged
    step = "\t" if indent.endswith("\t") else "    "
    head, start = call.callee, column
    if method:
        judge = f"{head}.{method}({', '.join(options)})"
        if start + len(judge) + 1 <= WIDTH or not options:
            head = judge
        else:
            last = _filled(options, indent + step, 2, newline)
            head = f"{head}.{method}({newline}{last})"
            indent += step
            whole = f"{head}({', '.join(call.arguments)})"
            if len(whole.rpartition(newline)[2]) + tail <= WIDTH:
                return whole
    if not call.arguments:
        return f"{head}()"
    return f"{head}({newline}{_filled(call.arguments, indent + step, tail + 1, newline)})"


def _filled(items: Sequence[str], indent: str, tail: int, newline: str) -> str:
    """Items separated by commas, as many on a line as fit."""
    lines: list[str] = []
    line = indent
    for number, item in enumerate(items):
        last = number == len(items) - 1
        text = item if last else f"{item},"
        space = "" if line == indent else " "
        if line != indent and len(line) + len(space + text) + (tail if last else 0) > WIDTH:
            lines.append(line)
            line, space = indent, ""
        line += space + text
    return newline.join([*lines, line])
