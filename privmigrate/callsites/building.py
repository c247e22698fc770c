"""The statements that do nothing but build one call's command line."""

import ast
from collections.abc import Iterator
from typing import Final

from privmigrate.callsites.body import Body, bound_by
from privmigrate.callsites.motion import Motion
from privmigrate.callsites.raw import RawSite
from privmigrate.callsites.state import is_pure_call
from privmigrate.callsites.values import OneOf, Seq, Str
from privmigrate.diagnostics import Span

MAX_NAMES: Final = 20


def building(raw: RawSite, motion: Motion) -> tuple[Span, ...]:
    """Find them: they bind or grow local names that only they and the call read.

    None of them has an effect but what is moved to the call, and without them no block is empty.
    """
    function = raw.frame.function
    if function is None:
        return ()
    body = raw.frame.module.body(function.node)
    names = _looked_through(raw, body)
    own = {id(node) for node in ast.walk(raw.node)}
    # most names are read by another statement, which tells without looking at all that build them
    names = {name for name in names if all(id(each) in own for each in body.readers.get(name, ()))}
    for _ in range(MAX_NAMES):
        statements = [each for name in names for each in body.building.get(name, ())]
        whole = _whole(statements, raw.frame.module.parents, body)
        kept = names - _read_elsewhere(raw, body, names, whole)
        kept -= {bound_by(each) for each in statements if _has_other_effect(each, motion)}
        kept -= _emptying(statements, whole, raw.frame.module.parents)
        if kept == names:
            ordered = sorted(whole, key=lambda each: (each.lineno, each.col_offset))
            return tuple(raw.frame.module.file.span(each) for each in ordered)
        names = kept
    return ()


def _looked_through(raw: RawSite, body: Body) -> set[str]:
    """Local names whose value is known, that the call reads, or that those are made of."""
    read = {each.id for each in ast.walk(raw.node) if isinstance(each, ast.Name)}
    found = {name for name in read if _is_known(name, raw, body)}
    for _ in range(MAX_NAMES):
        around = {inner for name in found for inner in body.reading.get(name, ())}
        more = {name for name in around - found if _is_known(name, raw, body)}
        if not more:
            break
        found |= more
    return found


def _is_known(name: str, raw: RawSite, body: Body) -> bool:
    value = raw.start.names.get(name)
    local = name in raw.frame.locals and name not in body.arguments
    return local and isinstance(value, Seq | Str | OneOf)


def _read_elsewhere(raw: RawSite, body: Body, names: set[str], whole: list[ast.stmt]) -> set[str]:
    inside = {id(node) for node in ast.walk(raw.node)}
    inside |= {id(node) for each in whole for node in ast.walk(each)}
    return {
        name for name in names if any(id(node) not in inside for node in body.names.get(name, ()))
    }


def _has_other_effect(statement: ast.stmt, motion: Motion) -> bool:
    """Whether a statement does more than to grow a list, and what is moved to the call."""
    own = statement.value if isinstance(statement, ast.Expr) else None
    todo: list[ast.AST] = [statement]
    while todo:
        node = todo.pop()
        if id(node) in motion.moved:
            continue
        if isinstance(node, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr):
            return True
        if isinstance(node, ast.Call) and node is not own and not is_pure_call(node):
            return True
        todo.extend(ast.iter_child_nodes(node))
    return False


def _whole(
    statements: list[ast.stmt], parents: dict[ast.AST, ast.AST], body: Body
) -> list[ast.stmt]:
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
            and _only_reads(parent, body)
        ]
        if not lifted:
            break
        gone = {id(inner) for parent in lifted for inner in (*parent.body, *parent.orelse)}
        found = [each for each in found if id(each) not in gone] + list(lifted)
    return found


def _only_reads(parent: ast.If | ast.For, body: Body) -> bool:
    """Whether a branch's condition has no effect; a loop's variables are used in it alone."""
    head = parent.test if isinstance(parent, ast.If) else parent.iter
    if any(isinstance(n, ast.Call) and not is_pure_call(n) for n in ast.walk(head)):
        return False
    if isinstance(parent, ast.If):
        return True
    bound = {node.id for node in ast.walk(parent.target) if isinstance(node, ast.Name)}
    inside = {id(node) for node in ast.walk(parent)}
    return not any(id(node) not in inside for name in bound for node in body.names.get(name, ()))


def _emptying(
    statements: list[ast.stmt], whole: list[ast.stmt], parents: dict[ast.AST, ast.AST]
) -> set[str | None]:
    """Names of statements without which a block would be empty."""
    gone = {id(each) for each in whole}
    empty = {
        id(inner)
        for each in whole
        for block in _blocks(parents.get(each))
        if all(id(inner) in gone for inner in block)
        for inner in block
    }
    inside = {id(n) for each in whole if id(each) in empty for n in ast.walk(each)}
    return {bound_by(each) for each in statements if id(each) in inside}


def _blocks(node: ast.AST | None) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list) and block:
            yield block
