"""The statements of a function that the names in one of its expressions come from."""

import ast
from collections.abc import Iterator, Sequence

from privmigrate.convert.document import Document, Function, bound_names, loaded_names
from privmigrate.convert.effects import filled
from privmigrate.convert.tidy import blocks, touched


def body_of(
    document: Document, call: ast.Call, expression: ast.expr, removed: Sequence[ast.stmt]
) -> list[ast.stmt]:
    """The statements that the names of an expression come from, and the expression."""
    function = document.function(call)
    statements: list[ast.stmt] = []
    needed = set(loaded_names(expression))
    gone = {id(node) for statement in removed for node in ast.walk(statement)}
    before = [] if function is None else list(_preceding(document, function, call))
    for statement in reversed(before):
        if not set(touched(statement)) & needed or id(statement) in gone:
            continue
        if isinstance(statement, ast.Assign):
            bound = set(bound_names(statement))
            needed -= bound
            if any(not isinstance(each, ast.Name) for each in statement.targets):
                continue  # several values at once: found by trying, each by itself
        needed |= set(loaded_names(statement))
        statements.insert(0, statement)
    return [*statements, ast.Return(expression)]


def _preceding(document: Document, function: Function, call: ast.Call) -> Iterator[ast.stmt]:
    """Statements that come before a call in the blocks around it, in order.

    A branch that ends in an error or a return was not taken.
    """
    around = [node for node in document.around(call) if isinstance(node, ast.stmt)]
    chain = {id(node) for node in around}
    for node in reversed(around[: around.index(function) + 1]):
        if isinstance(node, ast.Try) and any(id(each) in chain for each in node.orelse):
            yield from _followed(node.body)
        for block in (function.body,) if node is function else blocks(node):
            place = next((n for n, each in enumerate(block) if id(each) in chain), None)
            if place is not None:
                yield from _followed(block[:place])


def _followed(block: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a block that bind or fill names, inside of others as well."""
    for statement in block:
        match statement:
            case ast.Try(body=body, orelse=orelse, finalbody=final):
                yield from _followed([*body, *orelse, *final])
            case ast.With(body=body):
                yield from _followed(body)
            case ast.If(body=body, orelse=orelse) if orelse and _ends(body):
                yield from _followed(orelse)
            case ast.If(body=body, orelse=orelse) if orelse and _ends(orelse):
                yield from _followed(body)
            case _ if _only_binds(statement):
                yield statement
            case _:
                continue


def _ends(block: Sequence[ast.stmt]) -> bool:
    return isinstance(block[-1], ast.Raise | ast.Return | ast.Continue | ast.Break)


def _only_binds(statement: ast.stmt) -> bool:
    """Whether it binds or fills names, whatever it calls for that: what it calls is not there."""
    if any(isinstance(node, ast.Await | ast.Yield | ast.YieldFrom) for node in ast.walk(statement)):
        return False
    match statement:
        case ast.Assign(targets=targets):
            return all(isinstance(each, ast.Name | ast.Tuple) for each in targets)
        case ast.AnnAssign(target=ast.Name()) | ast.AugAssign(target=ast.Name()):
            return True
        case ast.Expr():
            return bool(list(filled(statement)))
        case ast.If(body=body, orelse=orelse):
            return all(map(_only_binds, (*body, *orelse)))
        case ast.For(body=body, orelse=[]):
            return all(map(_only_binds, body))
        case ast.Pass():
            return True
        case _:
            return False
