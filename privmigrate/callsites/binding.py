"""Which value each parameter of a function has in a call."""

import ast

from privmigrate.callsites.constants import Constants
from privmigrate.callsites.index import Function
from privmigrate.callsites.values import (
    Arguments,
    Dict,
    Ref,
    Segments,
    Seq,
    Str,
    Value,
    as_word,
    spliced,
)


def bind(
    constants: Constants, function: Function, callee: Value, arguments: Arguments
) -> dict[str, Value]:
    """Give every parameter that can be told its value; what cannot is left out."""
    found: dict[str, Value] = {}
    rest = _bind_positional(_names(function, callee), arguments, found)
    parameters = function.node.args
    named = [each.arg for each in (*function.positional(), *parameters.kwonlyargs)]
    over, under = dict(arguments.keywords.over), dict(arguments.keywords.under)
    for name in named:
        if name in over:
            found[name] = over.pop(name)
        elif name not in found and arguments.keywords.rest is None:
            value = under.get(name) or constants.default(function, name)
            if value is not None:
                found[name] = value
    if parameters.vararg is not None:
        found[parameters.vararg.arg] = Seq(rest)
    if parameters.kwarg is not None:
        left = tuple((name, value) for name, value in under.items() if name not in named)
        found[parameters.kwarg.arg] = Dict(tuple(over.items()), arguments.keywords.rest, left)
    return found


def _names(function: Function, callee: Value) -> list[str]:
    """The parameters that positional arguments go to, in order."""
    names = [each.arg for each in function.positional()]
    if not function.bound or (isinstance(callee, Ref) and callee.instance is not None):
        return names
    if any("classmethod" in ast.unparse(each) for each in function.node.decorator_list):
        return names
    own = [*function.node.args.posonlyargs, *function.node.args.args][:1]
    return [*(each.arg for each in own), *names]


def _bind_positional(names: list[str], arguments: Arguments, found: dict[str, Value]) -> Segments:
    """Bind positional arguments; return what is left for ``*args``."""
    rest: list[Segments] = []
    for value, starred in arguments.positional:
        if not starred:
            if names:
                found[names.pop(0)] = value
            else:
                rest.append((as_word(value),))
            continue
        segments = spliced(value)
        while segments and names and isinstance(segments[0], Str):
            found[names.pop(0)] = segments[0]
            segments = segments[1:]
        if segments:
            names.clear()  # which parameter gets which word is not known
        rest.append(segments)
    return tuple(segment for each in rest for segment in each)
