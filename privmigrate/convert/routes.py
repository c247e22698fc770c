"""Both forms of a call that goes through wrappers: these are defined in them, and called."""

import ast
import copy
from collections.abc import Sequence
from dataclasses import dataclass

from privmigrate.convert.document import Document, Function
from privmigrate.convert.preceding import body_of
from privmigrate.diagnostics import Span
from privmigrate.errors import InternalError

Place = tuple[Document, ast.Call]


@dataclass(frozen=True, slots=True)
class Forms:
    """The statements of both forms, and the calls on the way to the executor, outermost first."""

    before: Sequence[ast.stmt]
    after: Sequence[ast.stmt]
    calls: tuple[Place, ...]


def through(
    own: Place,
    route: Sequence[tuple[Document, Span]],
    expressions: tuple[ast.expr, ast.expr],
    removed: Sequence[ast.stmt],
) -> Forms:
    """The forms of one caller: what it gives, given to the wrapper with its own call in it."""
    calls = [own]
    for document, span in reversed(route):
        inner, node = calls[0]
        calls.insert(0, (document, _call_at(document, span, _around(inner, node).name)))
    old, new = expressions
    return Forms(_body(calls, old, ()), _body(calls, new, removed), tuple(calls))


def _call_at(document: Document, span: Span, name: str) -> ast.Call:
    """The call of a function of that name that begins at a place."""
    for node in document.calls.get(span.line, ()):
        if node.col_offset + 1 == span.column and _last_name(node.func) == name:
            return node
    raise InternalError(f"{span}: the call of {name} is not there any more")


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else ast.unparse(node)


def _around(document: Document, call: ast.Call) -> Function:
    function = document.function(call)
    if function is None:
        raise InternalError(f"{document.name}:{call.lineno}: a wrapper that is no function")
    return function


def _body(
    calls: Sequence[Place], expression: ast.expr, removed: Sequence[ast.stmt]
) -> list[ast.stmt]:
    wrappers: list[ast.stmt] = []
    for number in range(len(calls) - 1, 0, -1):
        document, call = calls[number]
        function = _around(document, call)
        name = f"wrapper_{number}"
        wrapper = ast.parse(f"def {name}(): pass").body[0]
        if isinstance(wrapper, ast.FunctionDef):
            wrapper.args = _arguments(function)
            wrapper.body = body_of(document, call, expression, removed)
            wrappers.append(wrapper)
        expression = _call_of(*calls[number - 1], name, document, function)
        removed = ()
    return [*wrappers, *body_of(*calls[0], expression, ())]


def _arguments(function: Function) -> ast.arguments:
    found = copy.deepcopy(function.args)
    for node in ast.walk(found):
        if isinstance(node, ast.arg):
            node.annotation = None
    return found


def _call_of(
    document: Document, call: ast.Call, name: str, defined: Document, function: Function
) -> ast.Call:
    """The call of a wrapper, by this name; a method gets its object as an argument."""
    made = copy.deepcopy(call)
    made.func = ast.Name(name, ast.Load())
    decorators = {ast.unparse(each) for each in function.decorator_list}
    method = isinstance(defined.parents.get(function), ast.ClassDef)
    if method and "staticmethod" not in decorators and isinstance(call.func, ast.Attribute):
        receiver = copy.deepcopy(call.func.value)
        if isinstance(receiver, ast.Call) and ast.unparse(receiver.func) == "super":
            own = _around(document, call).args
            receiver = ast.Name([*own.posonlyargs, *own.args][0].arg, ast.Load())
        if "classmethod" in decorators or not _is_class(defined, receiver):
            made.args.insert(0, receiver)
    return made


def _is_class(document: Document, node: ast.expr) -> bool:
    """Whether it is the class itself, which is given its object by the caller."""
    name = _last_name(node)
    return any(isinstance(each, ast.ClassDef) and each.name == name for each in document.tree.body)
