"""Prints the types of parameters, which the daemon enforces."""

from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Final

from privmigrate.argv.spec import (
    AbsolutePath,
    Any,
    ArgSpec,
    Choice,
    Const,
    Int,
    Key,
    Matches,
    Never,
    PathWithin,
)
from privmigrate.convert.layout import Clauses, Expression, Group, Text, Union
from privmigrate.convert.operation import Kind, Param
from privmigrate.convert.text import quote, quote_pattern

RUNTIME: Final = "privmigrate.privsep"
TYPES: Final = "privmigrate.privsep.types"

# What the runtime has a name for.
_ALIASES: Final[Mapping[ArgSpec, str]] = MappingProxyType(
    {
        Any(): "Argument",
        Any(operand=True, newline=False): "Operand",
        Any(operand=True, empty=False, newline=False): "Word",
        Int(): "Digits",
    }
)
_SPECS: Final = (Any, AbsolutePath, Choice, Const, Int, Key, Matches, Never, PathWithin)


class Imports:
    """Collects what a unit needs while it is printed."""

    def __init__(self) -> None:
        self.pairs: set[tuple[str, str]] = set()

    def use(self, module: str, name: str) -> str:
        """Note the import, and give the name to print."""
        self.pairs.add((module, name))
        return name


def typed(param: Param, imports: Imports) -> Expression:
    """Print a parameter as it stands in a signature."""
    whole = prefixed(f"{param.name}: ", annotation(param, imports))
    if param.kind is Kind.FLAG:
        return suffixed(whole, " = False")
    return suffixed(whole, " | None = None") if param.optional else whole


def prefixed(text: str, expression: Expression) -> Expression:
    """Put text in front of an expression."""
    match expression:
        case Group(head, items, tail):
            return Group(text + head, items, tail)
        case Text(value, show):
            # a named value is not split: there are no brackets around it
            return text + show(value)
        case Union(head, members, tail):
            return Union(text + head, members, tail)
        case Clauses(head, parts, tail):
            return Clauses(text + head, parts, tail)
        case str():
            return text + expression


def suffixed(expression: Expression, text: str) -> Expression:
    """Put text behind an expression."""
    if isinstance(expression, Group):
        return Group(expression.head, expression.items, expression.tail + text)
    return f"{expression}{text}"


def annotation(param: Param, imports: Imports) -> Expression:
    """Print the type of a parameter, which must be given."""
    match param.kind, param.spec:
        case (Kind.VARIABLE, _):
            return imports.use(TYPES, "EnvValue")
        case (Kind.FLAG, _):
            return "bool"
        case (Kind.ITEMS, _):
            item = annotation(replace(param, kind=Kind.WORD), imports)
            return Group("tuple[", (item, "..."), "]")
        case (Kind.PID, _):
            return imports.use(TYPES, "Pid")
        case (_, Choice(values)):
            literal = imports.use("typing", "Literal")
            return Group(f"{literal}[", tuple(map(quote, values)), "]")
        case (_, None):
            raise AssertionError(f"{param} has no type")
        case (_, spec) if spec in _ALIASES:
            return imports.use(TYPES, _ALIASES[spec])
        case (_, spec):
            imports.use("typing", "Annotated")
            base = "int | str" if isinstance(spec, Int | Any) else "str"
            return Group("Annotated[", (base, specification(spec, imports)), "]")


def specification(spec: ArgSpec, imports: Imports) -> Expression:
    """Print what a value may be, as metadata of its type."""
    name = imports.use(TYPES, type(spec).__name__)
    items: list[Expression] = []
    for number, field in enumerate(fields(spec)):
        value = getattr(spec, field.name)
        printed: Expression
        if isinstance(value, str):
            printed = Text(value, quote_pattern if isinstance(spec, Matches) else quote)
        elif isinstance(value, _SPECS):
            printed = specification(value, imports)
        elif isinstance(value, tuple):
            printed = Group("(", tuple(map(quote, value)), ")", lonely=True)
        else:
            printed = repr(value)
        # the first field is what the specification is about; flags and bounds are named
        required = isinstance(value, str) and number == 0 and field.name != "below"
        if value == field.default and not required:
            continue
        if not required:
            printed = prefixed(f"{field.name}=", printed)
        items.append(printed)
    return Group(f"{name}(", tuple(items), ")")
