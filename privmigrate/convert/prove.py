"""Tests that compare each rewritten call with the call before it: their text.

A test holds both forms, each in a function whose parameters are the names that it uses, with the
statements that build the command line. `privmigrate.testing.equivalence` finds values for them.
"""

import ast
import copy
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Final

from privmigrate.argv.spec import ArgSpec, Choice, Const
from privmigrate.callsites.site import Convention, Segment, Site, Text, Value, Word
from privmigrate.convert.callers import FileChange
from privmigrate.convert.document import Document, bound_names, loaded_names
from privmigrate.convert.preceding import body_of
from privmigrate.convert.replace import Replacement, Target
from privmigrate.convert.routes import Forms, through
from privmigrate.convert.use import callers_of
from privmigrate.diagnostics import Span

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
    change: FileChange,
    target: Target,
    documents: Callable[[str], Document],
    left: Container[Span],
) -> str:
    """The text of the tests for one file.

    For the own call of a wrapper there is a test for each of its callers that is not among `left`;
    `documents` has their files.
    """
    document, replacements, removed = change.document, change.replacements, change.statements
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
        old, new = _old(each), _new(each, target)
        if each.use.site.given is None:
            before = body_of(document, each.call, old, ())
            after = body_of(document, each.call, new, removed)
            forms = Forms(before, after, ((document, each.call),))
            lines += ["", "", *_test(each, forms, target, f"{number}")]
            continue
        spans = set(callers_of(each.use.site, left))
        callers = (one for one in each.use.site.given.callers if spans & {*one.route[:1]})
        for caller, one in enumerate(callers):
            ways = [*((documents(span.file), span) for span in one.route)]
            forms = through((document, each.call), ways, (old, new), removed)
            lines += ["", "", *_test(each, forms, target, f"{number}_{caller}")]
    return "\n".join([*lines, ""])


def _test(each: Replacement, forms: Forms, target: Target, number: str) -> Iterator[str]:
    line = each.use.site.span.line
    before, after = forms.before, forms.after
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
    options: dict[str, list[object]] = {}
    for _, call in forms.calls:
        options |= _options(call)
    options |= _keywords(*forms.calls[0], before)
    if options := options | (_fronts(each.use.site, before) if each.use.as_built else {}):
        yield f"        options={options!r},"
    if codes := sorted({code for _, call in forms.calls for code in _numbers(call)}):
        yield f"        exit_codes={codes!r},"
    constants: dict[str, object] = {}
    for document, _ in forms.calls:
        constants |= _constants(document, (*before, *after))
    if constants:
        yield f"        constants={constants!r},"
    yield "    )"


def _function(name: str, body: Sequence[ast.stmt], known: set[str]) -> Iterator[str]:
    free = _free(body, known)
    yield f"    def {name}({', '.join(sorted(free))}):"
    for statement in body:
        yield from (f"        {line}" for line in ast.unparse(statement).splitlines())
    yield ""


def _free(
    body: Sequence[ast.stmt], known: set[str], given: frozenset[str] = frozenset()
) -> set[str]:
    """The names that statements read of what is around them; of a wrapper, as it is defined."""
    wrappers = [each for each in body if isinstance(each, ast.FunctionDef)]
    rest = [each for each in body if not isinstance(each, ast.FunctionDef)]
    bound = {each for statement in rest for each in bound_names(statement)}
    loaded = {each for statement in rest for each in loaded_names(statement)}
    inner = {
        target
        for statement in rest
        for node in ast.walk(statement)
        if isinstance(node, ast.comprehension)
        for target in bound_names(node.target)
    }
    rebound = bound & (_read_first(rest, given) - inner)
    free = (loaded - bound - _BUILTINS - known) | rebound
    for each in wrappers:
        arguments = frozenset(bound_names(each.args))
        free |= _free(each.body, known, arguments) - arguments
        free |= {*loaded_names(each.args)} - _BUILTINS - known
    return free - {each.name for each in wrappers}


def _read_first(body: Sequence[ast.stmt], seen: frozenset[str] = frozenset()) -> set[str]:
    """Names that may be read before the statements bind them: of what stood further above."""
    return _follow(body, set(seen))[0]


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
    document: Document, call: ast.Call, body: Sequence[ast.stmt]
) -> dict[str, list[object]]:
    """What stands behind ``**kwargs``: every key that is asked for, or none."""
    function = document.function(call)
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
