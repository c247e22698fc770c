"""Whether expressions may be evaluated in another order, later, or not at all.

Three kinds: what is always the same (constants, a function's own names), what reads something
that a call could change, and what may do anything. Two expressions may change places unless one
may do anything and the other is not always the same.
"""

import ast
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Final

from privmigrate.convert.document import Function


class Effect(IntEnum):
    """What evaluating an expression may do; the larger the worse."""

    FIXED = 0
    READS = 1
    ACTS = 2


# Functions that only look at what they are given.
_PURE: Final = frozenset({
    "bool", "dict", "enumerate", "float", "int", "len", "list", "max", "min", "range", "repr",
    "reversed", "set", "sorted", "str", "sum", "tuple", "zip",
    "os.path.abspath", "os.path.basename", "os.path.dirname", "os.path.join", "os.path.normpath",
    "os.path.split", "os.path.splitext", "shlex.split", "shlex.quote",
    "six.text_type", "netaddr.IPAddress", "netaddr.IPNetwork",
})  # fmt: skip
# Methods of text; a service's object with a method of such a name would have to have effects.
_TEXT_METHODS: Final = frozenset({
    "encode", "endswith", "format", "join", "lower", "lstrip", "partition", "replace", "rpartition",
    "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "upper", "zfill",
})  # fmt: skip
# What building a list calls.
_LIST_METHODS: Final = frozenset({"append", "extend", "insert"})


def effect(node: ast.AST) -> Effect:
    """What evaluating an expression may do, its parts included."""
    match node:
        case ast.Constant():
            return Effect.FIXED
        case ast.Name():
            return Effect.FIXED
        case ast.Lambda():
            return Effect.FIXED
        case ast.Await() | ast.Yield() | ast.YieldFrom() | ast.NamedExpr() | ast.GeneratorExp():
            return Effect.ACTS
        case ast.Call():
            return max(Effect.READS, _parts(node)) if _is_pure(node.func) else Effect.ACTS
        case ast.Attribute() | ast.Subscript() | ast.ListComp() | ast.SetComp() | ast.DictComp():
            return max(Effect.READS, _parts(node))
        case ast.Starred():
            return max(Effect.READS, effect(node.value))
        case _:
            return _parts(node)


def _parts(node: ast.AST) -> Effect:
    inner = (
        part for part in ast.iter_child_nodes(node)
        if isinstance(part, ast.expr | ast.comprehension | ast.keyword)
    )  # fmt: skip
    return max(map(effect, inner), default=Effect.FIXED)


def _is_pure(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute) and function.attr in _TEXT_METHODS:
        return effect(function.value) is not Effect.ACTS
    return ast.unparse(function) in _PURE


def commute(one: ast.AST, other: ast.AST) -> bool:
    """Whether two expressions may change places."""
    first, second = effect(one), effect(other)
    return Effect.ACTS not in (first, second) or Effect.FIXED in (first, second)


def keeps_order(before: Sequence[ast.AST], after: Sequence[ast.AST]) -> bool:
    """Whether evaluating `after` is as good as evaluating `before`.

    Every expression of `after` that may do something must be one of `before`, and as often; no two
    may have changed places that must not. What `after` leaves out must not do anything.
    """
    places: list[int] = []
    rest = list(range(len(before)))
    for each in after:
        written = ast.dump(each)
        found = next((n for n in rest if ast.dump(before[n]) == written), None)
        if found is None:
            if effect(each) is Effect.ACTS:
                return False
            places.append(-1)  # from further above
            continue
        rest.remove(found)
        places.append(found)
    if any(effect(before[n]) is Effect.ACTS for n in rest):
        return False
    for later, place in enumerate(places):
        for earlier in range(later):
            if places[earlier] > place and not commute(after[earlier], after[later]):
                return False
    return True


def pieces(call: ast.Call, prefixes: frozenset[str] = frozenset()) -> Iterator[ast.expr]:
    """The arguments of a call in the order of evaluation, lists and formatting taken apart.

    `prefixes` are functions that do nothing with what they are given, such as prefix classes.
    """
    for each in (*call.args, *(keyword.value for keyword in call.keywords)):
        yield from _taken_apart(each, prefixes)


def _taken_apart(node: ast.expr, prefixes: frozenset[str]) -> Iterator[ast.expr]:
    """The expressions that an expression evaluates and does nothing with but put together."""
    parts: list[ast.expr]
    match node:
        case ast.Constant():
            parts = []
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            pass
        case ast.Starred(value=value):
            parts = [value]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            parts = [left, right]
        case ast.BinOp(left=ast.Constant(value=str()), op=ast.Mod(), right=right):
            parts = [right]
        case ast.JoinedStr(values=values):
            parts = [each.value for each in values if isinstance(each, ast.FormattedValue)]
        case ast.IfExp(test=test, body=body, orelse=orelse):
            parts = [test, body, orelse]
        case ast.Call(func=called, args=parts, keywords=[]) if ast.unparse(called) in prefixes:
            pass
        case _:
            yield node
            return
    for part in parts:
        yield from _taken_apart(part, prefixes)


def only_builds(function: Function) -> bool:
    """Whether a function does nothing but put a list of words together and return it."""
    for node in ast.walk(function):
        match node:
            case ast.Call(func=called):
                method = called.attr if isinstance(called, ast.Attribute) else ""
                if method not in _LIST_METHODS and not _is_pure(called):
                    return False
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                return False
            case ast.Global() | ast.Nonlocal() | ast.Await() | ast.Yield() | ast.YieldFrom():
                return False
            case _:
                continue
    return True


def filled(node: ast.AST) -> Iterator[str]:
    """Names whose list, or text, a statement adds to."""
    match node:
        case ast.AugAssign(target=ast.Name(id=name)):
            yield name
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method))):
            if method in _LIST_METHODS:
                yield name
        case _:
            return


def is_quiet(statement: ast.stmt) -> bool:
    """Whether leaving a statement out is noticed only by who reads the names that it binds."""
    match statement:
        case ast.Assign(targets=targets, value=value):
            plain = all(isinstance(each, ast.Name) for each in targets)
            return plain and effect(value) is not Effect.ACTS
        case ast.AugAssign(target=ast.Name(), value=value):
            return effect(value) is not Effect.ACTS
        case ast.AnnAssign(target=ast.Name(), value=value):
            return value is None or effect(value) is not Effect.ACTS
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(), attr=name)) as call):
            arguments = [*call.args, *(each.value for each in call.keywords)]
            return name in _LIST_METHODS and all(
                effect(each) is not Effect.ACTS for each in arguments
            )
        case ast.If(test=test, body=body, orelse=orelse):
            return effect(test) is not Effect.ACTS and all(map(is_quiet, (*body, *orelse)))
        case ast.For(target=ast.Name() | ast.Tuple(), iter=source, body=body, orelse=[]):
            idle = all(isinstance(each, ast.Pass) for each in body)
            return not idle and effect(source) is not Effect.ACTS and all(map(is_quiet, body))
        case ast.Pass():
            return True
        case _:
            return False
