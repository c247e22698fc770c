"""Expressions as text: as they are written where that is one line, else as Python writes them."""

import ast
import re
from typing import Final

from privmigrate.callsites.values import Guard, Hole
from privmigrate.diagnostics import Span

_PLAIN: Final = re.compile(r"[\w.\[\]()]+")
_QUOTED: Final = re.compile(r"['\"\\{}]")


def expression(hole: Hole | None) -> str:
    """The text of an expression."""
    if hole is None:
        return ""
    return written(hole.node, hole)


def shown(hole: Hole) -> str:
    """The text of an expression for what stands in a word, which `str` need not give."""
    text = expression(hole)
    if not text or not hole.shown:
        return text
    if hole.shown.startswith("%"):
        binds = isinstance(hole.node, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
        return f"{hole.shown!r} % {text if binds else f'({text})'}"
    if _PLAIN.fullmatch(text) and not _QUOTED.search(hole.shown):
        return f"f'{{{text}{hole.shown}}}'"
    return f"{f'{{{hole.shown}}}'!r}.format({text})"


def written(node: ast.AST, hole: Hole) -> str:
    """The text of a node in the file of a hole."""
    return hole.frame.module.file.segment(node) or unparse(node)


def unparse(node: ast.AST) -> str:
    """The text of a node, or "" where it is nested too deeply."""
    try:
        return ast.unparse(node)
    except (RecursionError, AttributeError):
        return ""


def guard_text(guard: Guard) -> str:
    """A condition as an expression, or "" where it cannot be one."""
    text = expression(guard.hole)
    if not text:
        return ""
    if not guard.negated:
        return text
    node = guard.hole.node if guard.hole is not None else None
    simple = isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
    return f"not {text}" if simple else f"not ({text})"


def span_of(hole: Hole | None) -> Span | None:
    """Where an expression stands, if it was not made up."""
    if hole is None or not getattr(hole.node, "lineno", 0):
        return None
    return hole.frame.module.file.span(hole.node)
