"""What a parameter's annotation lets callers pass, read from its source without running it."""

import ast
from collections.abc import Callable
from typing import Final

from privmigrate.argv import spec
from privmigrate.argv.word import accepts
from privmigrate.audit.runnable import ANY_WORD, ANYTHING, Slot, fixed

_SPECS: Final[dict[str, type]] = {
    name: getattr(spec, name)
    for name in ("AbsolutePath", "Any", "Choice", "Const", "Int", "Key", "Matches", "PathWithin")
}
# privmigrate.privsep.types
_TYPES: Final[dict[str, spec.ArgSpec]] = {
    "Argument": spec.Any(),
    "EnvValue": spec.Any(),
    "Operand": spec.Any(operand=True, newline=False),
    "Word": spec.Any(operand=True, empty=False, newline=False),
    "Digits": spec.Int(),
    "Pid": spec.Int(minimum=1, maximum=2**22),
}


def read_slot(annotation: ast.expr | None) -> Slot:
    """The words that a parameter can become; any word where the annotation says nothing."""
    found = _read(annotation)
    return ANY_WORD if found is None else found


def read_hole(specification: ast.expr) -> Slot:
    """The words of a hole in a known command line: a specification, or the name of a type."""
    value = _construct(specification)
    return read_slot(specification) if value is None else _slot(value)


def element_of(annotation: ast.expr | None) -> ast.expr | None:
    """``X`` of ``tuple[X, ...]`` and of other sequences; None where nothing is said of elements."""
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
            return element_of(left)
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=[one, *_])):
            return one
        case ast.Subscript(value=ast.Name(id="list" | "Sequence" | "Iterable"), slice=one):
            return one
        case _:
            return None


def _read(annotation: ast.expr | None) -> Slot | None:
    match annotation:
        case ast.Constant(value=str() as text):
            try:
                return _read(ast.parse(text, mode="eval").body)
            except SyntaxError:
                return None
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
            return _read(left)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            one, other = _read(left), _read(right)
            if one is None or other is None:
                return None
            return Slot(ANYTHING, lambda word: one.accepts(word) or other.accepts(word))
        case ast.Subscript(value=value, slice=inner):
            return _read_subscript(last_name(value), inner)
        case ast.Name() | ast.Attribute():
            name = last_name(annotation)
            if name in {"int", "float", "bool"}:
                return Slot(ANYTHING, lambda word: word.lstrip("-").isdigit())
            return _slot(_TYPES[name]) if name in _TYPES else None
        case _:
            return None


def _read_subscript(name: str, inner: ast.expr) -> Slot | None:
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if name == "Literal":
        words = {str(part.value) for part in parts if isinstance(part, ast.Constant)}
        return Slot(ANYTHING, lambda word: word in words)
    if name == "Optional":
        return _read(inner)
    if name == "Annotated":
        for part in parts[1:]:
            value = _construct(part)
            if value is not None:
                return _slot(value)
        return _read(parts[0])
    return None


def _construct(node: ast.expr) -> spec.ArgSpec | None:
    if not isinstance(node, ast.Call) or last_name(node.func) not in _SPECS:
        return None
    try:
        arguments = [_value(argument) for argument in node.args]
        keywords = {keyword.arg or "": _value(keyword.value) for keyword in node.keywords}
        made: spec.ArgSpec = _SPECS[last_name(node.func)](*arguments, **keywords)
    except (TypeError, ValueError):
        return None
    return made


def _value(node: ast.expr) -> object:
    return _construct(node) or ast.literal_eval(node)


def _slot(what: spec.ArgSpec) -> Slot:
    if what == spec.Any():
        return ANY_WORD
    if isinstance(what, spec.Const):
        return fixed(what.text)
    prefix = what.below if isinstance(what, spec.AbsolutePath) else ""
    return Slot(ANYTHING, _test(what), prefix)


def _test(what: spec.ArgSpec) -> Callable[[str], bool]:
    if isinstance(what, spec.PathWithin):
        # Links lead nowhere else: the daemon resolves them. Two dots do not either.
        base = what.base.rstrip("/")
        return lambda word: word == base or (word.startswith(f"{base}/") and ".." not in word)
    return lambda word: accepts(what, word)


def last_name(node: ast.expr) -> str:
    """The last part of a dotted name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
