"""Conditions on parameters that are simple enough to decide once their values are known."""

import ast

from privmigrate.callsites.state import State
from privmigrate.callsites.values import (
    Bindings,
    Dict,
    Guard,
    Hole,
    Opaque,
    Plain,
    Seq,
    Splice,
    Str,
    Value,
)


def test_of(node: ast.expr, state: State) -> tuple[str, str, str] | None:
    """What a condition asks of a parameter, where that is simple."""
    match node:
        case ast.Name():
            return _about("true", node, "", state)
        case ast.Compare(ast.Name() as left, [ast.Is()], [ast.Constant(None)]):
            return _about("none", left, "", state)
        case ast.Compare(ast.Name() as left, [ast.IsNot()], [ast.Constant(None)]):
            return _about("some", left, "", state)
        case ast.Compare(ast.Name() as left, [ast.Eq()], [ast.Constant(str() as text)]):
            return _about("equal", left, text, state)
        case ast.Compare(
            ast.Subscript(ast.Name() as left, ast.Constant(0)),
            [ast.Eq()],
            [ast.Constant(str() as text)],
        ):
            return _about("first", left, text, state)
        case ast.Compare(ast.Constant(str() as text), [ast.In()], [ast.Name() as left]):
            return _about("has", left, text, state)
        case ast.Compare(ast.Constant(str() as text), [ast.NotIn()], [ast.Name() as left]):
            return _about("lacks", left, text, state)
        case _:
            return None


def _about(kind: str, node: ast.Name, operand: str, state: State) -> tuple[str, str, str] | None:
    value = state.names.get(node.id)
    match value:
        case Opaque(hole) if hole.parameter:
            return kind, hole.parameter, operand
        case Seq((Splice(hole),)) if hole.parameter:
            return kind, hole.parameter, operand
        case Dict(rest=Hole(parameter=parameter)) if parameter:
            return kind, parameter, operand
        case _:
            return None


def decide(guard: Guard, bindings: Bindings) -> bool | None:
    """Whether a guard holds for these values of parameters; None where that depends on more."""
    if guard.test is None:
        return None
    kind, parameter, operand = guard.test
    value = bindings.get(parameter)
    if value is None:
        return None
    holds = _holds(kind, operand, value)
    return None if holds is None else holds != guard.negated


def _holds(kind: str, operand: str, value: Value) -> bool | None:
    match kind:
        case "true":
            return _truth(value)
        case "none" | "some":
            if isinstance(value, Plain):
                return (value.value is None) == (kind == "none")
            return (
                kind == "some"
                if isinstance(value, Str | Seq | Dict)
                and (not isinstance(value, Str) or value.text is not None)
                else None
            )
        case "equal":
            return (
                value.text == operand if isinstance(value, Str) and value.text is not None else None
            )
        case "first":
            match value:
                case Seq((Str() as word, *_)) if word.text is not None:
                    return word.text == operand
            return None
        case _:
            inside = _has(operand, value)
            return None if inside is None else inside == (kind == "has")


def _truth(value: Value) -> bool | None:
    match value:
        case Plain(constant):
            return bool(constant)
        case Str() if any(getattr(part, "text", "") for part in value.parts):
            return True
        case Str(()):
            return False
        case Seq(()):
            return False
        case Seq(segments) if any(isinstance(each, Str) for each in segments):
            return True
        case _:
            return None


def _has(operand: str, value: Value) -> bool | None:
    match value:
        case Dict(rest=None):
            return operand in value.items()
        case Dict() if operand in dict(value.over):
            return True
        case Seq(segments):
            words = [each.text if isinstance(each, Str) else None for each in segments]
            if operand in words:
                return True
            # a word that is not known is no keyword of the wrapper's
            return False if all(isinstance(each, Str) for each in segments) else None
        case _:
            return None
