"""How a replacing call is written: on one line where it fits, else its arguments below it."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 79
"""Columns of a line, as OpenStack's hacking rules have it, where a project says nothing else."""
_NARROWEST: Final = 20  # columns of a piece of text
_BESIDE: Final = ast.Name("x", ast.Load())


@dataclass(frozen=True, slots=True)
class Call:
    """The parts of ``package.module.name.policy(options)(arguments)``.

    `judged` is the method that judges the result, with its arguments, or "" and none.
    """

    callee: str
    judged: tuple[str, tuple[str, ...]]
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """How a file's lines end, and how long they may be."""

    newline: str = "\n"
    width: int = WIDTH


def spell(call: Call) -> str:
    """On one line."""
    method, options = call.judged
    judge = f".{method}({', '.join(options)})" if method else ""
    return f"{call.callee}{judge}({', '.join(call.arguments)})"


def lay_out(call: Call, column: int, indent: str, tail: int, lines: Lines) -> str:
    """Where `column` is where it begins, `indent` its line's, and `tail` what follows it there."""
    line, newline = spell(call), lines.newline
    if column + len(line) + tail <= lines.width:
        return line
    method, options = call.judged
    step = "\t" if indent.endswith("\t") else "    "
    head, start = call.callee, column
    if method:
        judge = f"{head}.{method}({', '.join(options)})"
        if start + len(judge) + 1 <= lines.width or not options:
            head = judge
        else:
            last = _filled(options, indent + step, 2, lines)
            head = f"{head}.{method}({newline}{last})"
            indent += step
            whole = f"{head}({', '.join(call.arguments)})"
            if len(whole.rpartition(newline)[2]) + tail <= lines.width:
                return whole
    if not call.arguments:
        return f"{head}()"
    return f"{head}({newline}{_filled(call.arguments, indent + step, tail + 1, lines)})"


def _filled(items: Sequence[str], indent: str, tail: int, lines: Lines) -> str:
    """Items separated by commas, as many on a line as fit."""
    rows: list[str] = []
    line = indent
    for number, item in enumerate(items):
        last = number == len(items) - 1
        if len(indent) + len(item) + (tail if last else 1) > lines.width:
            *whole, rest = _broken(item, indent, tail if last else 1, lines)
            rows += ([] if line == indent else [line]) + whole
            line = rest if whole else f"{indent}{rest}"
            line += "" if last else ","
            continue
        text = item if last else f"{item},"
        space = "" if line == indent else " "
        if line != indent and len(line) + len(space + text) + (tail if last else 0) > lines.width:
            rows.append(line)
            line, space = indent, ""
        line += space + text
    return lines.newline.join([*rows, line])


def _broken(item: str, indent: str, tail: int, lines: Lines) -> list[str]:
    """The lines of an argument that is too long for one."""
    name, equals, source = item.partition("=") if _is_named(item) else ("", "", item)
    node = ast.parse(source, mode="eval").body
    inner = f"{indent}    "
    head = f"{indent}{name}{equals}"
    room = lines.width - len(inner) - 1 - tail
    match node:
        case ast.IfExp(test=test, body=body, orelse=orelse):
            parts = [ast.unparse(body), f"if {ast.unparse(test)}", f"else {ast.unparse(orelse)}"]
            parts = _joined(parts, "", room)
        case ast.BinOp(op=ast.Add()):
            parts = _joined(_terms(node), " +", room)
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod(), right=right):
            after = ast.unparse(ast.BinOp(_BESIDE, ast.Mod(), right)).removeprefix("x")
            parts = _split(text, after, max(room, _NARROWEST + len(after)))
        case ast.BoolOp(op=operator, values=values):
            word = " or" if isinstance(operator, ast.Or) else " and"
            pairs = (ast.unparse(ast.BoolOp(operator, [_BESIDE, each])) for each in values)
            parts = _joined([each.removeprefix(f"x{word} ") for each in pairs], word, room)
        case ast.JoinedStr(values=values) if len(values) > 1:
            parts = [ast.unparse(ast.JoinedStr(list(pair))) for pair in _pairs(values)]
        case ast.Call(func=called, args=arguments, keywords=keywords):
            items = [*map(ast.unparse, arguments)]
            items += [f"{each.arg}={ast.unparse(each.value)}" for each in keywords if each.arg]
            if len(items) != len(arguments) + len(keywords) or not items:
                return [item]
            rest = _filled(items, inner, 1 + tail, lines).split(lines.newline)
            return [f"{head}{ast.unparse(called)}(", *rest[:-1], f"{rest[-1]})"]
        case _ if name and len(head) <= lines.width and len(source) <= room:
            parts = [source]
        case _:
            return [item]
    return [f"{head}(", *(f"{inner}{part}" for part in parts[:-1]), f"{inner}{parts[-1]})"]


def _terms(node: ast.expr) -> list[str]:
    """What is added up, from the left, each as it stands between two ``+``."""
    terms: list[str] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        # on the right of a plus: with brackets, where it needs them there
        terms.insert(0, ast.unparse(ast.BinOp(_BESIDE, ast.Add(), node.right)).removeprefix("x + "))
        node = node.left
    return [ast.unparse(ast.BinOp(node, ast.Add(), _BESIDE)).removesuffix(" + x"), *terms]


def _joined(terms: Sequence[str], operator: str, room: int) -> list[str]:
    """Terms with an operator behind them, as many on a line as fit."""
    lines = [terms[0]]
    for term in terms[1:]:
        lines[-1] += operator
        if len(lines[-1]) + len(f" {term}") > room - len(operator):
            lines.append(term)
        else:
            lines[-1] += f" {term}"
    return lines


def _split(text: str, after: str, room: int) -> list[str]:
    """A literal in pieces, which Python puts together again; behind blanks and commas, if any."""
    pieces = []
    while len(repr(text) + after) > room and len(text) > 1:
        end = min(room, len(text) - 1)
        while len(repr(text[:end])) > room:
            end -= 1
        end = max(text.rfind(" ", 0, end), text.rfind(",", 0, end)) + 1 or end
        pieces.append(repr(text[:end]))
        text = text[end:]
    return [*pieces, repr(text) + after]


def _is_named(item: str) -> bool:
    name, equals, value = item.partition("=")
    return bool(equals) and name.isidentifier() and not value.startswith("=")


def _pairs(values: Sequence[ast.expr]) -> list[tuple[ast.expr, ...]]:
    """Text before a value together with the value."""
    pairs: list[tuple[ast.expr, ...]] = []
    for value in values:
        if pairs and isinstance(pairs[-1][-1], ast.Constant):
            pairs[-1] = (*pairs[-1], value)
        else:
            pairs.append((value,))
    return pairs
