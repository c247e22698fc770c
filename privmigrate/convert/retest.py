"""A service's unit tests that assert the command lines of calls which went: what becomes of them.

A test moves where it mocks the executor by a patch that can be told, and asserts nothing on that
mock but one entrypoint's command lines, written out. Every other assertion of such a command line
is listed, and stays.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from privmigrate.callsites.site import Site
from privmigrate.convert.arguments import one_line
from privmigrate.convert.besides import Besides, Expectation, mock_besides
from privmigrate.convert.callers import laid_out, stated
from privmigrate.convert.document import Document, Function, Place
from privmigrate.convert.expected import arguments_of, may_run, words_of
from privmigrate.convert.imports import Naming, name_module
from privmigrate.convert.mocks import Mock, is_plain, mocks_of
from privmigrate.convert.moves import Listed, Moves
from privmigrate.convert.replace import Replacement
from privmigrate.convert.spelling import Call
from privmigrate.diagnostics import Span

_ONCE: Final = frozenset({"assert_called_once_with"})
_ASSERTIONS: Final = _ONCE | {"assert_called_with", "assert_any_call"}
_LISTS: Final = frozenset({"assert_has_calls"})
_EQUAL: Final = frozenset({"self.assertEqual", "self.assertEquals"})
_COUNTS: Final = frozenset({"assert_called_once", "assert_called", "call_count", "called"})
_ANSWERS: Final = frozenset({"return_value", "side_effect"})


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


@dataclass(frozen=True, slots=True)
class Forwarded:
    """The classes of a file whose tests forward commands, and calls of which no test does."""

    classes: frozenset[str] = frozenset()
    unknown: frozenset[Span] = frozenset()


def plan_tests(
    document: Document,
    replacements: Sequence[Replacement],
    package: str,
    staying: Sequence[Site] = (),
    forwarded: Forwarded | None = None,
) -> Moves:
    """Decide about every test of a file; `staying` are calls that were not replaced."""
    plan = _Plan(document, replacements, package, staying, forwarded or Forwarded())
    for function in ast.walk(document.tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = document.function(function)
            if inner is None:
                _plan_function(plan, function)
    return plan.moves


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is planned for one file, and from what."""

    document: Document
    replacements: Sequence[Replacement]
    package: str
    staying: Sequence[Site]
    forwarded: Forwarded
    moves: Moves = field(default_factory=Moves)


def _plan_function(plan: _Plan, function: Function) -> None:
    document, package, moves = plan.document, plan.package, plan.moves
    expected = [
        (call, None, "a call that stays may run this too")
        if any(may_run(site, call) for site in plan.staying)
        else (call, replacement, arguments)
        for call, replacement, arguments in _command_lines(document, function, plan.replacements)
    ]
    if not expected:
        return
    mocks = {each.name: each for each in mocks_of(function)}
    by_mock: dict[str, list[_Expected]] = {}
    for call, replacement, arguments in expected:
        by_mock.setdefault(_receiver(document, call), []).append((call, replacement, arguments))
    for name, found in by_mock.items():
        mock = mocks.get(name)
        outcome = _move(document, function, mock, found)
        naming: Naming | None = Naming("")
        if mock is not None and mock.by_object and not isinstance(outcome, str):
            naming = name_module(document, package, outcome[0].replacement.use.op.module)
        if naming is None:
            outcome = "every name for the entrypoint's module is taken"
        if isinstance(outcome, str) or mock is None or naming is None:
            staying = _not_forwarded(plan, function, found)
            if not staying:
                continue
            besides = _besides(plan, function, staying)
            if besides is not None:
                moves.expressions.update(besides.expressions)
                moves.added.update(besides.added)
                moves.first.setdefault(document.start(function), []).extend(besides.first)
                moves.assertions += len(staying)
                continue
            moves.listed.extend(
                Listed(
                    Span(document.name, call.lineno, document.start(call)[1] + 1),
                    why if isinstance(why, str) else str(outcome),
                )
                for call, _, why in staying
            )
            continue
        op = outcome[0].replacement.use.op
        target = (
            f"{naming.name}.{op.name}" if mock.by_object else f"{package}.{op.module}.{op.name}"
        )
        moves.expressions.update(_written(document, function, mock, outcome, target))
        moves.added.update(_added(document, mock, outcome, target))
        if naming.new is not None:
            moves.imports[naming.new.text] = naming.new
        moves.assertions += len(outcome)


def _not_forwarded(
    plan: _Plan, function: Function, found: Sequence[_Expected]
) -> Sequence[_Expected]:
    """Those that do not go on to hold, because their commands are forwarded to the mock."""
    around = [each for each in plan.document.around(function) if isinstance(each, ast.ClassDef)]
    if not around or around[-1].name not in plan.forwarded.classes:
        return found
    stays = []
    for each in found:
        spans = {
            replacement.use.site.span
            for replacement in plan.replacements
            if may_run(replacement.use.site, each[0])
        }
        if spans & plan.forwarded.unknown:
            stays.append((each[0], None, "its call cannot be made again by names alone"))
        elif spans:
            plan.moves.forwarded += 1
    return stays


def _besides(plan: _Plan, function: Function, found: Sequence[_Expected]) -> Besides | None:
    """A mock of the entrypoint besides the executor's, where nothing has to be guessed for it."""
    expected = []
    for call, replacement, arguments in found:
        assertion = _assertion(plan.document, call)
        if replacement is None or isinstance(arguments, str) or assertion is None:
            return None
        expected.append(Expectation(assertion, call, replacement, arguments))
    return mock_besides(plan.document, function, expected, plan.replacements, plan.package)


def _move(
    document: Document,
    function: Function,
    mock: Mock | None,
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
    if first.form.judged[0] and mock.answer.keywords:
        return f"its patch has {mock.answer.keywords[0].arg}, and the result is judged by a policy"
    if not all(each.once for each in assertions) and not _is_counted(function, mock, assertions):
        return "other commands may be executed through its mock as well"
    return _only_asserted(document, function, mock, assertions) or assertions


def _is_counted(function: Function, mock: Mock, assertions: Sequence[_Assertion]) -> bool:
    """Whether the test says that the mock is called as often as it has assertions."""
    count = f"{mock.name}.call_count"
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in _EQUAL:
            given = {ast.unparse(each) for each in node.args[:2]}
            if given == {count, str(len(assertions))}:
                return True
    return False


def _only_asserted(
    document: Document, function: Function, mock: Mock, assertions: Sequence[_Assertion]
) -> str:
    """Why a mock is more than what the assertions need, or ""."""
    moving = {id(each.call) for each in assertions}
    for node in _occurrences(function, mock):
        where = f"(line {node.lineno})"
        parent = document.parents[node]
        if not isinstance(parent, ast.Attribute):
            return f"{mock.name} is used otherwise too {where}"
        outer = document.parents[parent]
        if parent.attr in _COUNTS or (isinstance(outer, ast.Call) and id(outer) in moving):
            continue
        if parent.attr in _LISTS and isinstance(outer, ast.Call) and _all_in(outer, moving):
            continue
        if parent.attr in _ANSWERS and isinstance(outer, ast.Assign):
            if is_plain(outer.value):
                continue
            return f"what {mock.name} answers depends on the command line {where}"
        return f"{mock.name}.{parent.attr} is no assertion of a command line {where}"
    for keyword in mock.answer.keywords:
        if keyword.arg not in _ANSWERS or not is_plain(keyword.value):
            return f"its patch has {keyword.arg or 'options that are not written there'}"
    return ""


def _all_in(call: ast.Call, moving: set[int]) -> bool:
    """Whether every call that a list of calls expects is one of these."""
    if len(call.args) != 1 or call.keywords or not isinstance(call.args[0], ast.List):
        return False
    return all(id(each) in moving for each in call.args[0].elts)


def _occurrences(function: Function, mock: Mock) -> Iterator[ast.expr]:
    """Where a test reads the mock, by its name or by the dotted name of what it replaced."""
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Name | ast.Attribute)
            and isinstance(node.ctx, ast.Load)
            and ast.unparse(node) == mock.name
        ):
            yield node


def _written(
    document: Document,
    function: Function,
    mock: Mock,
    assertions: Sequence[_Assertion],
    target: str,
) -> Iterator[tuple[tuple[Place, Place], str]]:
    """New text of the patch, and of everything that is done with its mock."""
    callee = ast.unparse(mock.patch.func)
    items = [f"{each.arg}={one_line(document.source(each.value))}" for each in mock.patch.keywords]
    if mock.by_object:
        module, _, name = target.rpartition(".")
        given = [one_line(document.source(each)) for each in mock.patch.args[2:]]
        items = [module, repr(name), *given, *items]
    else:
        callee = callee.removesuffix(".object")
        items = [repr(target), *items]
    patch = Call(callee, ("", ()), tuple(items))
    yield (
        (document.start(mock.patch), document.end(mock.patch)),
        laid_out(patch, mock.patch, document),
    )
    method = assertions[0].replacement.form.judged[0]
    called = f"{_named(mock, target)}.{method}.return_value" if method else _named(mock, target)
    arguments = {id(each.call): each.arguments for each in assertions}
    for node in _occurrences(function, mock):
        parent = document.parents[node]
        outer = document.parents[parent]
        if isinstance(outer, ast.Call) and id(outer) in arguments:
            form = Call(
                f"{called}.{getattr(parent, 'attr', '')}", ("", ()), arguments.pop(id(outer))
            )
            yield (document.start(outer), document.end(outer)), laid_out(form, outer, document)
        elif called != mock.name:
            yield (document.start(node), document.end(node)), called
    for each in assertions:
        if id(each.call) in arguments:  # one of a list of calls
            form = Call(document.source(each.call.func), ("", ()), each.arguments)
            place = (document.start(each.call), document.end(each.call))
            yield place, laid_out(form, each.call, document)


def _named(mock: Mock, target: str) -> str:
    """How the test has the mock now."""
    return target if "." in mock.name else mock.name


def _added(
    document: Document, mock: Mock, assertions: Sequence[_Assertion], target: str
) -> Iterator[tuple[Place, tuple[str, ...]]]:
    """Assertions of how the result is judged, which the executor was told with the words."""
    for each in assertions:
        method, options = each.replacement.form.judged
        if method:
            statement = document.statement(each.call)
            judged = f"{_named(mock, target)}.{method}.assert_called_once_with"
            yield document.start(statement), (stated(judged, options, statement, document),)


def _receiver(document: Document, call: ast.Call) -> str:
    """The name that an assertion, or the assertion around a `mock.call`, is called on."""
    outer = _assertion(document, call)
    if outer is None or not isinstance(outer.func, ast.Attribute):
        return ""
    return ast.unparse(outer.func.value)


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


def expects(tree: ast.AST, replacements: Sequence[Replacement]) -> bool:
    """Whether a test expects a command line somewhere that a call had which went."""
    sites = [each.use.site for each in replacements]
    commands = {each.use.op.command for each in replacements}
    return any(may_run(site, call) for call in _expected_calls(tree, commands) for site in sites)


def _expected_calls(tree: ast.AST, commands: set[str]) -> Iterator[ast.Call]:
    """Assertions, and calls in lists of them, whose first word is one of these commands."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            continue
        is_call = ast.unparse(node.func) in {"mock.call", "call"}
        if not is_call and getattr(node.func, "attr", "") not in _ASSERTIONS:
            continue
        words = words_of(node)
        if words and isinstance(words[0], ast.Constant) and words[0].value in commands:
            yield node


def _command_lines(
    document: Document, function: Function, replacements: Sequence[Replacement]
) -> Iterator[_Expected]:
    """Assertions of command lines whose calls went."""

    def show(node: ast.expr) -> str:
        return one_line(document.source(node))

    commands = {each.use.op.command for each in replacements}
    for node in _expected_calls(function, commands):
        found = {
            (id(each.use.op), each.form.judged, arguments): (each, arguments)
            for each in replacements
            if (arguments := arguments_of(node, each, show)) is not None
        }
        if len(found) == 1:
            yield node, *next(iter(found.values()))
        else:
            why = "several entrypoints could be meant" if found else "no call that went runs this"
            yield node, None, why
