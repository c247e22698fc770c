"""What a value might be called, by the expression that gives it."""

import ast
import re
from typing import Final

# verbs of getters say nothing of what they get
_GETTER: Final = re.compile(r"_*(?:get|fetch|find|build|make|calculate|read|generate)_+")
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def names_of(node: ast.expr) -> tuple[str, ...]:
    """Names for a value, best first."""
    found: list[str] = []
    match node:
        case ast.Name(name):
            found.append(name)
        case ast.Attribute(_, attr):
            found.append(attr)
        case ast.Subscript(_, ast.Constant(str() as key)):
            found.append(key)
        case ast.Subscript(value, _):
            found.extend(names_of(value))
        case ast.Call(func=ast.Attribute(value, "get"), args=[ast.Constant(str() as key), *_]):
            found.append(key)
        case ast.Call(func=ast.Name("str" | "int" | "list" | "tuple"), args=[argument]):
            found.extend(names_of(argument))
        case ast.Call(func=func):
            found.extend(_GETTER.sub("", name) for name in names_of(func)[:1])
        case ast.BinOp(left, ast.Mult() | ast.Add() | ast.Sub(), _):
            found.extend(names_of(left))
        case _:
            pass
    cleaned = (re.sub(r"\W", "_", name).strip("_") for name in found)
    return tuple(dict.fromkeys(name for name in cleaned if _WORD.match(name)))
