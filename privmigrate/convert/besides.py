"""A mock of the entrypoint besides a test's own mock of the executor.

For tests whose mock of the executor may be made anywhere, or may get other commands too: it stays,
and only the assertions move. Nothing of what it answers is known, so this is for calls whose result
nobody looks at, in tests that expect no error.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from privmigrate.callsites.site import Result
from privmigrate.convert.callers import laid_out, stated
from privmigrate.convert.document import Document, Function, Place, bound_names, loaded_names
from privmigrate.convert.imports import import_names
from privmigrate.convert.operation import Op
from privmigrate.convert.replace import Replacement
from privmigrate.convert.spelling import Call

_ERRORS: Final = ("side_effect", "assertRaises", "return_value")


@dataclass(frozen=True, slots=True)
class Expectation:
    """An assertion of a command line.

    Attributes:
        assertion: the whole of it.
        call: itself, or one `mock.call` of those in its list.
        arguments: what the entrypoint gets instead.
    """

    assertion: ast.Call
    call: ast.Call
    replacement: Replacement
    arguments: tuple[str, ...]


@dataclass(slots=True)
class Besides:
    """What to write: new text, statements behind others, and what the test begins with."""

    expressions: dict[tuple[Place, Place], str] = field(default_factory=dict)
    added: dict[Place, tuple[str, ...]] = field(default_factory=dict)
    first: list[str] = field(default_factory=list)


def mock_besides(
    document: Document,
    function: Function,
    expected: Sequence[Expectation],
    replacements: Sequence[Replacement],
    package: str,
) -> Besides | None:
    """Mock the entrypoints of these assertions; None where something would have to be guessed."""
    by_assertion: dict[int, list[Expectation]] = {}
    for each in expected:
        by_assertion.setdefault(id(each.assertion), []).append(each)
    if not _is_plain_test(document, function):
        return None
    names: dict[str, str] = {}
    besides = Besides()
    for group in by_assertion.values():
        forms = {(each.replacement.use.op.key, each.replacement.form.judged) for each in group}
        if len(forms) > 1 or not _is_whole(group) or not _is_ignored(group[0], replacements):
            return None
        op = group[0].replacement.use.op
        name = names.get(op.key) or f"mock_{op.name}"
        if op.key not in names:
            if name in {*bound_names(function), *loaded_names(function), *names.values()}:
                return None
            names[op.key] = name
            besides.first += _started(name, op, package)
        _write(document, group, name, besides)
    return besides


def _is_plain_test(document: Document, function: Function) -> bool:
    """A method of a test class that expects no error and says no answers."""
    owner = document.parents[function]
    first = function.args.args[0].arg if function.args.args else ""
    text = document.source(function)
    return (
        isinstance(owner, ast.ClassDef)
        and isinstance(function, ast.FunctionDef)
        and first == "self"
        and "mock" in import_names(document)
        and not any(word in text for word in _ERRORS)
    )


def _is_whole(group: Sequence[Expectation]) -> bool:
    """Whether these are all that one assertion expects."""
    assertion = group[0].assertion
    if group[0].call is assertion:
        return len(group) == 1
    if (
        len(assertion.args) != 1
        or assertion.keywords
        or not isinstance(assertion.args[0], ast.List)
    ):
        return False
    return {id(each) for each in assertion.args[0].elts} == {id(each.call) for each in group}


def _is_ignored(each: Expectation, replacements: Sequence[Replacement]) -> bool:
    """Whether nobody who calls the entrypoint looks at what comes back."""
    key = each.replacement.use.op.key
    return all(
        other.use.site.result is Result.IGNORED for other in replacements if other.use.op.key == key
    )


def _started(name: str, op: Op, package: str) -> list[str]:
    return [
        f"patcher = mock.patch('{package}.{op.module}.{op.name}')",
        f"{name} = patcher.start()",
        "self.addCleanup(patcher.stop)",
    ]


def _write(document: Document, group: Sequence[Expectation], name: str, besides: Besides) -> None:
    method, options = group[0].replacement.form.judged
    assertion = group[0].assertion
    receiver = f"{name}.{method}.return_value" if method else name
    function = assertion.func
    callee = f"{receiver}.{getattr(function, 'attr', '')}"
    if group[0].call is assertion:
        form = Call(callee, ("", ()), group[0].arguments)
        place = (document.start(assertion), document.end(assertion))
        besides.expressions[place] = laid_out(form, assertion, document)
    else:
        place = (document.start(function), document.end(function))
        besides.expressions[place] = callee
        for each in group:
            form = Call(document.source(each.call.func), ("", ()), each.arguments)
            place = (document.start(each.call), document.end(each.call))
            besides.expressions[place] = laid_out(form, each.call, document)
    if method:
        statement = document.statement(assertion)
        text = stated(f"{name}.{method}.assert_called_with", options, statement, document)
        besides.added[document.start(statement)] = (text,)
