"""Whether every mention of a wrapper's name is one of the calls of it that are known.

What calls it in a way that is not followed would not be among those that an entrypoint allows, and
fail: where its name stands anywhere else, the wrapper is left to a person.
"""

import ast
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Final

from privmigrate.callsites.index import MAX_BASES, Class, Function, Module
from privmigrate.callsites.invocation import function_of
from privmigrate.callsites.values import Ref, options_of

if TYPE_CHECKING:
    from privmigrate.callsites.analysis import Analysis

_GENERATED: Final = b"\n# privmigrate: "
"""What stands above what convert has made: it calls nothing of the service."""
# What calls a function with the arguments that it is called with, and hands it to nobody.
_DECORATORS: Final = re.compile(
    r"(?:\A|[._])(?:staticmethod|classmethod|retry\w*|synchronized\w*|lock\w*|trace\w*|timed?)\Z"
)


def stray(analysis: "Analysis", function: Function, calls: AbstractSet[ast.AST]) -> str:
    """Say where a wrapper is used in another way than by these calls, or ""."""
    return (
        _changed(function)
        or _overridden(analysis, function)
        or next(_elsewhere(analysis, function, calls), "")
    )


def _changed(function: Function) -> str:
    """Say that a function may be called otherwise than its calls say."""
    if function.node.name.startswith("__"):
        return f"{function.name} is called by Python itself"
    if function.outer is not None:
        return f"{function.name} is defined inside of another function"
    for decorator in function.node.decorator_list:
        named = decorator.func if isinstance(decorator, ast.Call) else decorator
        if not _DECORATORS.search(ast.unparse(named)):
            return f"{function.name} is decorated with {ast.unparse(named)}"
    if isinstance(function.node, ast.AsyncFunctionDef) or any(
        isinstance(each, ast.Yield | ast.YieldFrom) for each in ast.walk(function.node)
    ):
        return f"{function.name} does not run when it is called"
    return ""


def _overridden(analysis: "Analysis", function: Function) -> str:
    """Say that another method may run in the place of this one."""
    name = function.node.name
    relatives = _relatives(analysis, function)
    if relatives is None:
        return f"the class of {function.name} has too many relatives"
    for each in relatives:
        if name in each.attributes:
            return f"{each.name} assigns {name} as well"
        if (other := each.methods.get(name)) is not None and other is not function:
            return f"{other.name} overrides {function.name}, or is overridden by it"
    return ""


def _elsewhere(
    analysis: "Analysis", function: Function, calls: AbstractSet[ast.AST]
) -> Iterator[str]:
    """Where its name stands and means something that is not known."""
    name = function.node.name
    ran = {raw.node for raw in analysis.sites()}
    own = function.module.file
    for file in (own, *(each for each in analysis.project.files if each is not own)):
        if not file.mentions((name.encode(),)) or file.mentions((_GENERATED,)):
            continue
        module = analysis.project.module(file)
        if module is None:
            yield f"{file.name} mentions {name}, and is no Python 3"
            continue
        for node in _mentions(module, name):
            if isinstance(node, ast.Constant) and _is_word(module, node, ran):
                continue
            if not _is_known(analysis, module, node, function, calls):
                yield f"{file.name}:{getattr(node, 'lineno', 1)} uses {name} in another way"


def _relatives(analysis: "Analysis", function: Function) -> list[Class] | None:
    """The classes among whose objects a method's own may be; None where they are too many."""
    if function.owner is None:
        return []
    family = analysis.project.family(function.owner)
    every = {other: None for each in family for other in analysis.project.ancestors(each)}
    return list(every) if len(every) < MAX_BASES else None


def _mentions(module: Module, name: str) -> Iterator[ast.AST]:
    """Where a name stands, or a text that may be looked up as one."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Name(id=found) | ast.Attribute(attr=found) | ast.arg(arg=found):
                pass
            case ast.FunctionDef(name=found) | ast.AsyncFunctionDef(name=found):
                pass
            case ast.ClassDef(name=found):
                pass
            case ast.alias(name=whole, asname=alias):
                found = alias if alias == name else whole.rpartition(".")[2]
            case ast.Constant(value=str(text)):
                found = text.rpartition(".")[2]
            case _:
                continue
        if found == name:
            yield node


def _is_word(module: Module, node: ast.AST, ran: AbstractSet[ast.AST]) -> bool:
    """Whether a text is a word of a command line, or of a list with options in it."""
    around = module.parents.get(node)
    if around in ran:
        return True
    row = around.elts if isinstance(around, ast.List | ast.Tuple) else ()
    return any(
        isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value[:1] == "-"
        for each in row
    )


def _is_known(
    analysis: "Analysis",
    module: Module,
    node: ast.AST,
    function: Function,
    calls: AbstractSet[ast.AST],
) -> bool:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            other = analysis.function(module, node)
            return node is function.node or (other is not None and _is_another(other, function))
        case ast.alias(name=name, asname=alias):
            # what is imported is no method, and a function is known by its own name alone
            return function.owner is not None or alias in {None, name.rpartition(".")[2]}
        case ast.Name() | ast.Attribute():
            call = module.parents.get(node)
            if not isinstance(call, ast.Call) or call.func is not node:
                return False
            callee = analysis.called.get(call)
            targets = [option for _, option in options_of(callee)] if callee is not None else []
            known = [function_of(option) for option in targets if isinstance(option, Ref)]
            if not targets or len(known) < len(targets):
                return False
            return call in calls if function in known else True
        case _:
            return False


def _is_another(other: Function, function: Function) -> bool:
    """Whether two functions of one name cannot be taken for each other."""
    same = other.owner is None and function.owner is None and other.module is function.module
    return not same and other.outer is None
