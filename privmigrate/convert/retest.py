"""A service's unit tests that assert the command lines of calls which went: what becomes of them.

A test moves where it mocks the executor by a patch that can be told, and asserts nothing on that
mock but one entrypoint's command lines, written out. Every other assertion of such a command line
is listed, and stays.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from privmigrate.convert import rewrite
from privmigrate.convert.callers import FileChange
from privmigrate.convert.document import Document, Function, Place, Unreadable, read
from privmigrate.convert.expected import arguments_of, words_of
from privmigrate.convert.replace import Replacement
from privmigrate.diagnostics import Span

_ONCE: Final = frozenset({"assert_called_once_with"})
_ASSERTIONS: Final = _ONCE | {"assert_called_with", "assert_any_call"}
_LISTS: Final = frozenset({"assert_has_calls"})
_COUNTS: Final = frozenset({"assert_called_once", "assert_called", "call_count", "called"})
_ANSWERS: Final = frozenset({"return_value", "side_effect"})
_EXECUTORS: Final = frozenset({"execute", "_execute"})


@dataclass(frozen=True, slots=True)
class Listed:
    """An assertion of a command line that went, which stays, and why."""

    span: Span
    text: str


@dataclass(slots=True)
class Moves:
    """What to write into one test file.

    Attributes:
        expressions: new text, by where an expression begins and ends.
        added: statements, by where the one begins that they come behind.
        listed: what stays.
        assertions: how many were moved.
    """

    expressions: dict[tuple[Place, Place], str] = field(default_factory=dict)
    added: dict[Place, tuple[str, ...]] = field(default_factory=dict)
    listed: list[Listed] = field(default_factory=list)
    assertions: int = 0


@dataclass(frozen=True, slots=True)
class _Mock:
    """A mock of an executor in one test: its name, and the patch that made it."""

    name: str
    patch: ast.Call
    executor: str


_Expected = tuple[ast.Call, Replacement | None, tuple[str, ...] | str]
"""An assertion, the call that went whose command line it has, and what the entrypoint gets; or no
call, and why."""


@dataclass(frozen=True, slots=True)
class _Assertion:
    """One command line that a test expects, and the arguments that the entrypoint gets instead."""

    call: ast.Call
    replacement: Replacement
    arguments: tuple[str, ...]
    once: bool


def plan_tests(document: Document, replacements: Sequence[Replacement], package: str) -> Moves:
    """Decide about every test of a file."""
    moves = Moves()
    for function in ast.walk(document.tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = document.function(function)
            if inner is None:
                _plan_function(document, function, replacements, package, moves)
    return moves


def _plan_function(
    document: Document,
    function: Function,
    replacements: Sequence[Replacement],
    package: str,
    moves: Moves,
) -> None:
    expected = list(_command_lines(function, replacements))
    if not expected:
        return
    mocks = {each.name: each for each in _mocks(function)}
    by_mock: dict[str, list[_Expected]] = {}
    for call, replacement, arguments in expected:
        by_mock.setdefault(_receiver(document, call), []).append((call, replacement, arguments))
    for name, found in by_mock.items():
        outcome = _move(document, function, mocks.get(name), found)
        if isinstance(outcome, str):
            moves.listed.extend(
                Listed(Span(document.name, call.lineno, document.start(call)[1] + 1), outcome)
                for call, _, _ in found
            )
            continue
        moves.expressions.update(_written(document, function, mocks[name], outcome, package))
        moves.added.update(_added(document, mocks[name], outcome))
        moves.assertions += len(outcome)


def _move(
    document: Document,
    function: Function,
    mock: _Mock | None,
    found: Sequence[_Expected],
) -> list[_Assertion] | str:
    """The assertions that move together with their mock, or why they stay."""
    if mock is None:
        return "what it is called on is no patch of an executor that can be told"
    assertions = []
    for call, replacement, arguments in found:
        if replacement is None or isinstance(arguments, str):
            return str(arguments)
        method = _method(document, call)
        assertions.append(_Assertion(call, replacement, arguments, method in _ONCE))
    first = assertions[0].replacement
    ops = {id(each.replacement.use.op): each.replacement.use.op for each in assertions}
    if len({op.key for op in ops.values()}) > 1:
        return "its mock expects commands of several entrypoints"
    if first.use.site.executor.split(".")[-1] != mock.executor.split(".")[-1]:
        return f"it patches {mock.executor}, and the call was of {first.use.site.executor}"
    if any(each.replacement.form.judged != first.form.judged for each in assertions):
        return "its mock expects results that are judged in different ways"
    if first.form.judged[0] and mock.patch.keywords:
        return f"its patch has {mock.patch.keywords[0].arg}, and the result is judged by a policy"
    if not all(each.once for each in assertions):
        return "other commands may be executed through its mock as well"
    return _only_asserted(document, function, mock, assertions) or assertions


def _only_asserted(
    document: Document, function: Function, mock: _Mock, assertions: Sequence[_Assertion]
) -> str:
    """Why a mock is more than what the assertions need, or ""."""
    moving = {id(each.call) for each in assertions}
    for node in ast.walk(function):
        if (
            not isinstance(node, ast.Name)
            or node.id != mock.name
            or isinstance(node.ctx, ast.Store)
        ):
            continue
        parent = document.parents[node]
        if not isinstance(parent, ast.Attribute):
            return f"{mock.name} is used otherwise too (line {node.lineno})"
        outer = document.parents[parent]
        if parent.attr in _COUNTS or (isinstance(outer, ast.Call) and id(outer) in moving):
            continue
        if parent.attr in _ANSWERS and isinstance(outer, ast.Assign):
            if _is_plain(outer.value):
                continue
            return f"what {mock.name} answers depends on the command line (line {node.lineno})"
        return f"{mock.name}.{parent.attr} is no assertion of a command line (line {node.lineno})"
    for keyword in mock.patch.keywords:
        if keyword.arg not in _ANSWERS or not _is_plain(keyword.value):
            return f"its patch has {keyword.arg or 'options that are not written there'}"
    return ""


def _is_plain(node: ast.expr) -> bool:
    """An answer that looks at no arguments: values, and errors to raise."""
    match node:
        case ast.Constant() | ast.JoinedStr():
            return True
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return all(map(_is_plain, parts))
        case ast.Call(func=called):
            return ast.unparse(called).endswith(("Error", "Exception", "Failure", "Failed"))
        case ast.BinOp(left=left, right=right):
            return _is_plain(left) and _is_plain(right)
        case _:
            return False


def _written(
    document: Document,
    function: Function,
    mock: _Mock,
    assertions: Sequence[_Assertion],
    package: str,
) -> Iterator[tuple[tuple[Place, Place], str]]:
    op = assertions[0].replacement.use.op
    dotted = f"{package}.{op.module}.{op.name}"
    callee = ast.unparse(mock.patch.func)
    options = [f"{each.arg}={document.source(each.value)}" for each in mock.patch.keywords]
    if callee.endswith(".object"):
        callee = callee.removesuffix(".object")
    items = [repr(dotted), *options]
    yield (
        (document.start(mock.patch), document.end(mock.patch)),
        f"{callee}({', '.join(items)})",
    )
    method = assertions[0].replacement.form.judged[0]
    called = f"{mock.name}.{method}.return_value" if method else mock.name
    arguments = {id(each.call): each.arguments for each in assertions}
    for node in ast.walk(function):
        if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
            continue
        outer = document.parents[node]
        if node.value.id != mock.name:
            continue
        text = f"{called}.{node.attr}"
        if isinstance(outer, ast.Call) and id(outer) in arguments:
            text += f"({', '.join(arguments[id(outer)])})"
            yield (document.start(outer), document.end(outer)), text
        elif method:
            yield (document.start(node), document.end(node)), text


def _added(
    document: Document, mock: _Mock, assertions: Sequence[_Assertion]
) -> Iterator[tuple[Place, tuple[str, ...]]]:
    """Assertions of how the result is judged, which the executor was told with the words."""
    for each in assertions:
        method, options = each.replacement.form.judged
        if method:
            place = document.start(document.statement(each.call))
            yield place, (f"{mock.name}.{method}.assert_called_once_with({', '.join(options)})",)


def _mocks(function: Function) -> Iterator[_Mock]:
    """Mocks that patches give names to: as `with ... as`, or a decorator's parameter."""
    for node in ast.walk(function):
        match node:
            case ast.withitem(
                context_expr=ast.Call() as patch, optional_vars=ast.Name(id=name)
            ) if executor := _patched(patch):
                yield _Mock(name, patch, executor)
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
        name = parameters.pop(0)
        if executor := _patched(decorator):
            yield _Mock(name, decorator, executor)


def _is_patch(call: ast.Call) -> bool:
    return ast.unparse(call.func) in {"mock.patch", "mock.patch.object", "patch", "patch.object"}


def _positions(call: ast.Call) -> int:
    return 2 if ast.unparse(call.func).endswith(".object") else 1


def _patched(call: ast.Call) -> str:
    """What a patch replaces, where it is a function that executes; or ""."""
    if not _is_patch(call) or len(call.args) != _positions(call):
        return ""
    last = call.args[-1]
    if not isinstance(last, ast.Constant) or not isinstance(last.value, str):
        return ""
    name = last.value
    if _positions(call) > 1:
        name = f"{ast.unparse(call.args[0])}.{name}"
    return name if name.rpartition(".")[2] in _EXECUTORS else ""


def _receiver(document: Document, call: ast.Call) -> str:
    """The name that an assertion, or the assertion around a `mock.call`, is called on."""
    outer = _assertion(document, call)
    if outer is None or not isinstance(outer.func, ast.Attribute):
        return ""
    return outer.func.value.id if isinstance(outer.func.value, ast.Name) else ""


def _method(document: Document, call: ast.Call) -> str:
    outer = _assertion(document, call)
    return outer.func.attr if outer and isinstance(outer.func, ast.Attribute) else ""


def _assertion(document: Document, call: ast.Call) -> ast.Call | None:
    names = _ASSERTIONS | _LISTS
    for node in (call, *document.around(call)):
        if isinstance(node, ast.stmt):
            return None
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in names
        ):
            return node
    return None


def _command_lines(function: Function, replacements: Sequence[Replacement]) -> Iterator[_Expected]:
    """Assertions of command lines whose calls went."""
    commands = {each.use.op.command for each in replacements}
    for node in ast.walk(function):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        is_call = ast.unparse(node.func) in {"mock.call", "call"}
        if not is_call and node.func.attr not in _ASSERTIONS:
            continue
        words = words_of(node)
        if not words or not isinstance(words[0], ast.Constant) or words[0].value not in commands:
            continue
        found = {
            (id(each.use.op), each.form.judged, arguments): (each, arguments)
            for each in replacements
            if (arguments := arguments_of(node, each)) is not None
        }
        if len(found) == 1:
            yield node, *next(iter(found.values()))
        else:
            why = "several entrypoints could be meant" if found else "no call that went runs this"
            yield node, None, why


@dataclass(frozen=True, slots=True)
class TestChange:
    """One test file: as it was, its new bytes, and how many assertions moved."""

    document: Document
    after: bytes
    assertions: int


def move_tests(
    files: Sequence[FileChange], texts: Mapping[str, bytes], package: str
) -> tuple[tuple[TestChange, ...], tuple[Listed, ...]]:
    """Move what can be moved of the tests among a service's files, and list the rest."""
    replacements = [each for change in files for each in change.replacements]
    sources = {change.document.name for change in files}
    commands = {each.use.op.command.encode() for each in replacements}
    changed: list[TestChange] = []
    listed: list[Listed] = []
    for name, data in sorted(texts.items()):
        if name in sources or not _is_test(name) or not any(each in data for each in commands):
            continue
        try:
            document = read(name, data)
        except Unreadable as error:
            listed.append(Listed(Span(name), str(error)))
            continue
        moves = plan_tests(document, replacements, package)
        listed += moves.listed
        if moves.expressions:
            changes = rewrite.Changes(moves.expressions, added=moves.added)
            changed.append(TestChange(document, rewrite.apply(document, changes), moves.assertions))
    return tuple(changed), tuple(listed)


def _is_test(name: str) -> bool:
    *folders, file = name.split("/")
    return "tests" in folders or "test" in folders or file.startswith("test_")
