"""Mocks of executors that a unit test makes, and by what patch."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from privmigrate.convert.document import Function

_PATCHES: Final = frozenset({"mock.patch", "mock.patch.object", "patch", "patch.object"})
_MOCKS: Final = frozenset({"mock.Mock", "mock.MagicMock", "Mock", "MagicMock"})
_MOCK_OBJECT: Final = "self.mock_object"
_EXECUTORS: Final = frozenset({"execute", "_execute"})


@dataclass(frozen=True, slots=True)
class Mock:
    """A mock of an executor in one test.

    Attributes:
        name: the expression by which the test has it.
        patch: the call that made it: a `mock.patch`, or a test class's `mock_object`.
        executor: what it replaces.
        answer: the call that has what it answers: the patch, or the `mock.Mock` given to it.
    """

    name: str
    patch: ast.Call
    executor: str
    answer: ast.Call

    @property
    def by_object(self) -> bool:
        """Whether `mock_object` made it, which is given the module itself."""
        return ast.unparse(self.patch.func) == _MOCK_OBJECT


def mocks_of(function: Function) -> Iterator[Mock]:
    """Mocks that patches give names to: by `with`, by assignment, as a decorator's parameter."""
    for node in ast.walk(function):
        match node:
            case ast.withitem(context_expr=ast.Call() as patch, optional_vars=ast.Name(id=name)):
                yield from _mock(name, patch)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as patch):
                yield from _mock(name, patch)
            case ast.Expr(value=ast.Call() as patch) if ast.unparse(patch.func) == _MOCK_OBJECT:
                yield from _mock(_patched(patch), patch)
            case _:
                continue
    parameters = [each.arg for each in function.args.args if each.arg not in {"self", "cls"}]
    for decorator in reversed(function.decorator_list):
        if not isinstance(decorator, ast.Call) or not _is_patch(decorator):
            return  # it may give arguments of its own
        given = {each.arg for each in decorator.keywords}
        if len(decorator.args) > _positions(decorator) or given & {"new", None}:
            continue  # the replacement is given, and so no parameter
        if not parameters:
            return
        yield from _mock(parameters.pop(0), decorator)


def _mock(name: str, patch: ast.Call) -> Iterator[Mock]:
    executor = _patched(patch)
    answer = patch
    if ast.unparse(patch.func) == _MOCK_OBJECT and len(patch.args) > _positions(patch):
        given = patch.args[-1]
        made = isinstance(given, ast.Call) and ast.unparse(given.func) in _MOCKS
        if not isinstance(given, ast.Call) or not made or given.args:
            return
        answer = given
    if executor:
        yield Mock(name, patch, executor, answer)


def _is_patch(call: ast.Call) -> bool:
    return ast.unparse(call.func) in _PATCHES


def _positions(call: ast.Call) -> int:
    """How many arguments say what is replaced."""
    return 2 if ast.unparse(call.func).endswith("object") else 1


def _patched(call: ast.Call) -> str:
    """What a patch replaces, where it is a function that executes; or ""."""
    by_object = ast.unparse(call.func) == _MOCK_OBJECT
    if not (by_object or _is_patch(call)) or len(call.args) < _positions(call):
        return ""
    last = call.args[_positions(call) - 1]
    if not isinstance(last, ast.Constant) or not isinstance(last.value, str):
        return ""
    name = last.value
    if _positions(call) > 1:
        name = f"{ast.unparse(call.args[0])}.{name}"
    return name if name.rpartition(".")[2] in _EXECUTORS else ""


def is_plain(node: ast.expr) -> bool:
    """An answer that looks at no arguments: values, and errors to raise."""
    match node:
        case ast.Constant() | ast.JoinedStr():
            return True
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return all(map(is_plain, parts))
        case ast.Call(func=called):
            return ast.unparse(called).endswith(("Error", "Exception", "Failure", "Failed"))
        case ast.BinOp(left=left, right=right):
            return is_plain(left) and is_plain(right)
        case _:
            return False
