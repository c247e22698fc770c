"""What a value might be called, by the expression that gives it."""

import ast
import re
from typing import Final

# verbs of getters say nothing of what they get
_GETTER: Final = re.compile(r"_*(?:get|fetch|find|build|make|calculate|read|generate)_+")
_OF_TEXTS: Final = frozenset({
    "strip", "rstrip", "lstrip", "lower", "upper", "replace", "split", "encode", "decode",
})  # fmt: skip
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def names_of(node: ast.expr) -> tuple[str, ...]:
    """Names for a value, best first."""
    cleaned = (re.sub(r"\W", "_", name).strip("_") for name in _names(node))
    return tuple(dict.fromkeys(name for name in cleaned if _WORD.match(name)))


def _names(node: ast.expr) -> tuple[str, ...]:
    match node:
        case ast.Name(name):
            return (name,)
        case ast.Attribute(_, attr):
            return (attr,)
        case ast.Subscript(_, ast.Constant(str() as key)):
            return (key,)
        case ast.Subscript(value, _):
            return names_of(value)
        case ast.Call():
            return _names_of_call(node)
        case ast.BinOp(left, ast.Mult() | ast.Add() | ast.Sub(), _):
            return names_of(left)
        case _:
            return ()


def _names_of_call(node: ast.Call) -> tuple[str, ...]:
    match node.func, node.args:
        case ast.Attribute(_, "get"), [ast.Constant(str() as key), *_]:
            return (key,)
        case ast.Attribute(_, "join"), [argument]:
            return names_of(argument)
        case ast.Attribute(value, method), _ if method in _OF_TEXTS:
            return names_of(value)
        case ast.Name("str" | "int" | "list" | "tuple"), [argument]:
            return names_of(argument)
        case _:
            return tuple(_GETTER.sub("", name) for name in names_of(node.func)[:1])
