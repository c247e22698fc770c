"""Tests that compare each rewritten call with the call before it: their text.

A test holds both forms, each in a function whose parameters are the names that it uses, with the
statements that build the command line. `privmigrate.testing.equivalence` finds values for them.
"""

import ast
import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from privmigrate.argv.spec import ArgSpec, Choice, Const
from privmigrate.callsites.site import Convention, Segment, Site, Text, Value, Word
from privmigrate.convert.document import Document, Function, bound_names, loaded_names
from privmigrate.convert.effects import filled
from privmigrate.convert.replace import Replacement, Target
from privmigrate.convert.tidy import blocks, touched

# What only looks at what it is given; any other name is a value that is found by trying.
_BUILTINS: Final = frozenset({
    "abs", "all", "any", "bool", "bytes", "chr", "dict", "divmod", "enumerate", "filter", "float",
    "format", "frozenset", "int", "isinstance", "len", "list", "map", "max", "min", "ord", "range",
    "repr", "reversed", "round", "set", "sorted", "str", "sum", "tuple", "zip",
})  # fmt: skip
# Values that options may have.
_CHOICES: Final[Mapping[str | None, tuple[object, ...]]] = {
    "check_exit_code": (True, False, 0, [0, 1]),
    "attempts": (1, 2),
    "delay_on_retry": (True, False),
    "log_errors": (0, 1, 2),
    "loglevel": (10,),
    "extra_ok_codes": (None, [1]),
    "log_fail_as_error": (True, False),
    "return_stderr": (False, True),
    "process_input": ("text", None),
    "timeout": (300, 2.5, None),
    "interval": (10, 0),
    "backoff_rate": (2, 1),
    "raise_timeout": (True, False),
}
_EXECUTE: Final = "execute"
_ODD: Final = re.compile(r"[^\w./ -]")
"""What of a file's name is not printed into code: it may end a docstring."""

PROVES: Final = "from privmigrate.testing.equivalence import prove"
CONFTEST: Final = '''\
"""Has the project's top-level package found without running its code."""

import sys
import types

top = types.ModuleType({top!r})
top.__path__ = [{folder!r}]
sys.modules.setdefault({top!r}, top)
'''


def test_module(
    document: Document,
    replacements: Sequence[Replacement],
    removed: Sequence[ast.stmt],
    target: Target,
) -> str:
    """The text of the tests for one file."""
    modules = sorted({f"{target.package}.{each.use.op.module}" for each in replacements})
    name = _ODD.sub("?", document.name)
    lines = [
        f'"""Calls of {name} before and after they were rewritten, compared."""',
        "",
        *(f"import {module}" for module in modules),
        PROVES,
    ]
    lines += [
        f"from {module} import {name}"
        for module, name in sorted({pair for each in replacements for pair in each.imports})
    ]
    for number, each in enumerate(replacements):
        lines += ["", "", *_test(document, each, removed, target, number)]
    return "\n".join([*lines, ""])


def _test(
    document: Document,
    each: Replacement,
    removed: Sequence[ast.stmt],
    target: Target,
    number: int,
) -> Iterator[str]:
    line = each.use.site.span.line
    before = _body(document, each, _old(each), ())
    after = _body(document, each, _new(each, target), removed)
    known = {name for _, name in each.imports} | {target.package.partition(".")[0]}
    yield f"def test_line_{line}_{number}() -> None:"
    yield from _function("before", before, known)
    yield from _function("after", after, known - {_EXECUTE})
    yield "    prove("
    yield "        before,"
    yield "        after,"
    if each.use.site.convention is Convention.LIST:
        name = "netns" if ast.unparse(each.call.func).endswith(".netns.execute") else "list"
        yield f"        convention={name!r},"
    elif each.use.site.timed:
        yield "        convention='timed',"
    if samples := _samples(each.use.site):
        yield f"        samples={samples!r},"
    options = _options(each.call) | _keywords(document, each, before)
    if options := options | (_fronts(each.use.site, before) if each.use.as_built else {}):
        yield f"        options={options!r},"
    if codes := sorted(_numbers(each.call)):
        yield f"        exit_codes={codes!r},"
    if constants := _constants(document, (*before, *after)):
        yield f"        constants={constants!r},"
    yield "    )"


def _function(name: str, body: Sequence[ast.stmt], known: set[str]) -> Iterator[str]:
    bound = {each for statement in body for each in bound_names(statement)}
    loaded = {each for statement in body for each in loaded_names(statement)}
    inner = {
        target
        for statement in body
        for node in ast.walk(statement)
        if isinstance(node, ast.comprehension)
        for target in bound_names(node.target)
    }
    rebound = bound & (_read_first(body) - inner)
    free = (loaded - bound - _BUILTINS - known) | rebound
    yield f"    def {name}({', '.join(sorted(free))}):"
    for statement in body:
        yield from (f"        {line}" for line in ast.unparse(statement).splitlines())
    yield ""


def _read_first(body: Sequence[ast.stmt]) -> set[str]:
    """Names that may be read before the statements bind them: of what stood further above."""
    return _follow(body, set())[0]


def _follow(body: Sequence[ast.stmt], seen: set[str]) -> tuple[set[str], set[str]]:
    """Names that are read before they are bound, and those that are bound then in any case."""
    found: set[str] = set()
    for statement in body:
        match statement:
            case ast.If(test=test, body=one, orelse=other):
                found |= set(loaded_names(test)) - seen
                first, second = _follow(one, set(seen)), _follow(other, set(seen))
                found |= first[0] | second[0]
                seen |= first[1] & second[1]
            case ast.For(target=target, iter=source, body=inner):
                found |= set(loaded_names(source)) - seen
                found |= _follow(inner, seen | set(bound_names(target)))[0]
            case ast.AugAssign(target=ast.Name(id=name), value=value):
                found |= ({name} | set(loaded_names(value))) - seen
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                found |= set(loaded_names(value)) - seen
                seen |= set(bound_names(statement))
            case _:
                found |= set(loaded_names(statement)) - seen
                seen |= set(bound_names(statement))
    return found, seen


def _old(each: Replacement) -> ast.expr:
    call = copy.deepcopy(each.call)
    call.func = ast.Name(_EXECUTE, ast.Load())
    match each.call.func:
        case ast.Attribute(value=ast.Attribute(value=wrapper, attr="netns"), attr="execute"):
            call.args.insert(0, ast.Attribute(wrapper, "namespace", ast.Load()))
        case _:
            pass
    return call


def _new(each: Replacement, target: Target) -> ast.expr:
    """The form after, with the module by its full name."""
    expression = copy.deepcopy(each.expression)
    dotted = ast.parse(f"{target.package}.{each.use.op.module}", mode="eval").body
    callee = each.form.callee.rpartition(".")[0]

    class Renamer(ast.NodeTransformer):
        def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
            return dotted if ast.unparse(node) == callee else self.generic_visit(node)

        def visit_Name(self, node: ast.Name) -> ast.AST:
            return dotted if node.id == callee else node

    renamed: ast.expr = Renamer().visit(expression)
    return renamed


def _body(
    document: Document, each: Replacement, expression: ast.expr, removed: Sequence[ast.stmt]
) -> list[ast.stmt]:
    """The statements that the names of an expression come from, and the expression."""
    function = document.function(each.call)
    statements: list[ast.stmt] = []
    needed = set(loaded_names(expression))
    gone = {id(node) for statement in removed for node in ast.walk(statement)}
    before = [] if function is None else list(_preceding(document, function, each.call))
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


def _samples(site: Site) -> dict[str, list[str]]:
    """Values that the analysis knows of, by the expression that has them."""
    found: dict[str, list[str]] = {}
    for template in site.templates:
        for value in _values(template.segments):
            texts = _texts(value.spec)
            if texts:
                found[value.source] = texts
    return found


def _options(call: ast.Call) -> dict[str, list[object]]:
    """Values of options that are not constants, by the expression that has them."""
    return {
        ast.unparse(each.value): list(_CHOICES[each.arg])
        for each in call.keywords
        if each.arg in _CHOICES and not isinstance(each.value, ast.Constant | ast.List | ast.Tuple)
    }


def _fronts(site: Site, body: Sequence[ast.stmt]) -> dict[str, list[object]]:
    """What a constant of several values may be that begins a list, by its expression."""
    rows: list[object] = []
    for template in site.templates:
        texts = (
            "".join(part.text if isinstance(part, Text) else "/srv/word" for part in word.parts)
            for word in template.front
        )
        rows += [row] if (row := list(texts)) not in rows else []
    first = (
        node.left if isinstance(node, ast.BinOp) else node.value
        for statement in body
        for node in ast.walk(statement)
        if isinstance(node, ast.Starred)
        or (isinstance(node, ast.BinOp) and isinstance(node.right, ast.List))
    )
    return {ast.unparse(each): rows for each in first if isinstance(each, ast.Attribute)}


def _keywords(
    document: Document, each: Replacement, body: Sequence[ast.stmt]
) -> dict[str, list[object]]:
    """What stands behind ``**kwargs``: every key that is asked for, or none."""
    function = document.function(each.call)
    name = function.args.kwarg.arg if function is not None and function.args.kwarg else ""
    if not name or not any(name in loaded_names(statement) for statement in body):
        return {}
    keys: dict[str, object] = {}
    for node in (node for statement in body for node in ast.walk(statement)):
        match node:
            case ast.Subscript(value=ast.Name(id=found), slice=ast.Constant(value=str(key))):
                keys |= {key: f"word-{key}"} if found == name else {}
            case ast.Compare(left=ast.Constant(value=str(key)), comparators=[ast.Name(id=found)]):
                keys |= {key: f"word-{key}"} if found == name else {}
            case _:
                continue
    return {name: [keys, {}]}


def _texts(spec: ArgSpec) -> list[str]:
    match spec:
        case Choice(values):
            return list(values)
        case Const(text):
            return [text]
        case _:
            return []


def _values(segments: Sequence[Segment]) -> Iterator[Value]:
    for segment in segments:
        if isinstance(segment, Word):
            yield from (part for part in segment.parts if isinstance(part, Value))
        else:
            yield from _values(segment.segments)


def _numbers(call: ast.Call) -> set[int]:
    return {
        node.value
        for keyword in call.keywords
        for node in ast.walk(keyword.value)
        if isinstance(node, ast.Constant) and type(node.value) is int and 0 <= node.value < 256  # noqa: PLR2004 - exit codes
    }


def _constants(document: Document, body: Sequence[ast.stmt]) -> dict[str, object]:
    """Constants of the module that the forms read."""
    read = {name for statement in body for name in loaded_names(statement)}
    found: dict[str, object] = {}
    for node in document.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in read:
                try:
                    found[name] = ast.literal_eval(value)
                except ValueError:
                    continue
            case _:
                continue
    return found
