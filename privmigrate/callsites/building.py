"""The statements that do nothing but build one call's command line."""

import ast
from typing import Final

from privmigrate.callsites.frame import has_effect
from privmigrate.callsites.raw import RawSite
from privmigrate.callsites.values import OneOf, Seq, Str
from privmigrate.diagnostics import Span

_GROWERS: Final = frozenset({"append", "extend", "insert"})
MAX_NAMES: Final = 20


def building(raw: RawSite) -> tuple[Span, ...]:
    """Find them: they bind or grow local names that only they and the call read."""
    function = raw.frame.function
    if function is None:
        return ()
    call = {id(node) for node in ast.walk(raw.node)}
    parents = raw.frame.module.parents
    names = _looked_through(raw, function.node)
    while names:
        statements = _statements(function.node, names)
        inside = {id(node) for each in statements for node in ast.walk(each)}
        read = {
            node.id
            for node in ast.walk(function.node)
            if isinstance(node, ast.Name)
            and node.id in names
            and id(node) not in call
            and id(node) not in inside
        }
        if not read:
            spans = {id(each): each for each in _whole(statements, parents)}
            ordered = sorted(spans.values(), key=lambda each: (each.lineno, each.col_offset))
            return tuple(raw.frame.module.file.span(each) for each in ordered)
        names -= read
    return ()


def _looked_through(raw: RawSite, function: ast.AST) -> set[str]:
    """Local names whose value is known, that the call reads, or that those are made of."""
    known = {
        name
        for name, value in raw.start.names.items()
        if name in raw.frame.locals and isinstance(value, Seq | Str | OneOf)
    }
    arguments = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    known -= arguments
    found = {n.id for n in ast.walk(raw.node) if isinstance(n, ast.Name)} & known
    for _ in range(MAX_NAMES):
        more = {
            inner.id
            for statement in ast.walk(function)
            if isinstance(statement, ast.stmt) and _bound_by(statement) in found
            for inner in ast.walk(statement)
            if isinstance(inner, ast.Name) and inner.id in known
        }
        if more <= found:
            break
        found |= more
    return found


def _bound_by(statement: ast.stmt) -> str | None:
    """The name that a statement binds or grows and does nothing else."""
    match statement:
        case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(ast.Name(name), _, value):
            return name if value is not None else None
        case ast.AugAssign(ast.Name(name), ast.Add(), _):
            return name
        case ast.Expr(ast.Call(ast.Attribute(ast.Name(name), method))) if method in _GROWERS:
            return name
        case _:
            return None


def _statements(function: ast.AST, names: set[str]) -> list[ast.stmt]:
    return [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.stmt) and _bound_by(node) in names
    ]


def _whole(statements: list[ast.stmt], parents: dict[ast.AST, ast.AST]) -> list[ast.stmt]:
    """The statements, and instead of all that are in one `if` or loop, that one."""
    found = list(statements)
    for _ in range(MAX_NAMES):
        members = {id(each) for each in found}
        around = {
            id(parent): parent
            for each in found
            if isinstance(parent := parents.get(each), ast.If | ast.For)
        }
        lifted = [
            parent
            for parent in around.values()
            if all(id(inner) in members for inner in (*parent.body, *parent.orelse))
            and not has_effect(parent.test if isinstance(parent, ast.If) else parent.iter)
        ]
        if not lifted:
            break
        gone = {id(inner) for parent in lifted for inner in (*parent.body, *parent.orelse)}
        found = [each for each in found if id(each) not in gone] + list(lifted)
    return found
