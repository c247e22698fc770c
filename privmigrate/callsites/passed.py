"""Executors that are passed on: to functions, to constructors that keep them, in a `partial`.

What a parameter may be is what the calls that were gone through have given for it. Nothing is
concluded from a call that is not seen: what was found is some of what it may be.
"""

import ast
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from privmigrate.callsites.binding import bind
from privmigrate.callsites.index import Class, Function, FunctionNode
from privmigrate.callsites.values import (
    PASSED,
    UNKNOWABLE,
    Arguments,
    Bindings,
    Guard,
    Hole,
    Instance,
    OneOf,
    Opaque,
    Ref,
    Value,
    options_of,
)

if TYPE_CHECKING:
    from privmigrate.callsites.analysis import Analysis

PARTIAL: Final = "functools.partial"
MAX_PASSED: Final = 12
MAX_HOPS: Final = 6
_KNOWN: Final = frozenset({"execute", "trycmd"})


class Passed:
    """Which functions, and objects that are called like functions, parameters may be."""

    def __init__(self, analysis: "Analysis") -> None:
        self.analysis = analysis
        self.changed = False
        self._given: dict[tuple[FunctionNode, str], list[Value]] = {}
        self._functions: dict[FunctionNode, Function] = {}

    def note(self, callee: Value, arguments: Arguments) -> None:
        """Remember what a call gives."""
        match callee:
            case Ref(Function() as function):
                pass
            case Ref(Class() as made):
                found = self.analysis.project.method(made, "__init__")
                if found is None:
                    return
                function, callee = found, Ref(found, Instance(made))
            case _:
                return
        if not any(map(self._may_run, _values(arguments))):
            return
        for name, value in bind(self.analysis.constants, function, callee, arguments).items():
            for _, option in options_of(value):
                if self._may_run(option):
                    self._add(function, name, option)

    def _may_run(self, value: Value) -> bool:
        match value:
            case Ref(Function()) | Instance(Class(), own=False) | Instance("functools.partial"):
                return True
            case Ref(str() as name):
                return name.rpartition(".")[2] in _KNOWN
            case _:
                hole = _parameter(value)
                return hole is not None and hole.parameter in self.analysis.names

    def _add(self, function: Function, name: str, value: Value) -> None:
        known = self._given.setdefault((function.node, name), [])
        if len(known) < MAX_PASSED and _identity(value) not in map(_identity, known):
            known.append(value)
            self._functions[function.node] = function
            self.changed = True

    def of(self, function: Function, name: str) -> list[Value]:
        """What was given for a parameter, through other parameters too."""
        found: dict[object, Value] = {}
        self._collect(function.node, name, found, 0)
        return list(found.values())

    def _collect(
        self, node: FunctionNode, name: str, found: dict[object, Value], hops: int
    ) -> None:
        for value in self._given.get((node, name), ()):
            hole = _parameter(value)
            if hole is None:
                found.setdefault(_identity(value), value)
            elif hops < MAX_HOPS and hole.frame.function is not None:
                self._collect(hole.frame.function.node, hole.parameter, found, hops + 1)

    def expanded(self, callee: Value) -> Value:
        """What is called, where it is a parameter: what was given for it, or something else."""
        options = list(options_of(callee))
        if not any(_parameter(option) is not None for _, option in options):
            return callee
        found: list[tuple[Guard, Value]] = []
        for guards, option in options:
            hole = _parameter(option)
            if hole is not None and hole.frame.function is not None:
                given = self.of(hole.frame.function, hole.parameter)
                found.extend((PASSED, each) for each in given)
            found.append((guards[-1] if guards else UNKNOWABLE, option))
        return OneOf(tuple(found), callee.whole) if len(found) > 1 else callee

    def holders(self, names: set[str]) -> Iterator[tuple[Function, str]]:
        """The parameters that something of these names is given for, and their functions."""
        for (node, name), values in self._given.items():
            if any(_name_of(value) in names for value in self._resolved(node, name, values)):
                yield self._functions[node], name

    def _resolved(self, node: FunctionNode, name: str, values: list[Value]) -> list[Value]:
        if all(_parameter(value) is None for value in values):
            return values
        found: dict[object, Value] = {}
        self._collect(node, name, found, 0)
        return list(found.values())


def called_as(analysis: "Analysis", value: Value, arguments: Arguments) -> tuple[Value, Arguments]:
    """The function behind an object that is called, and the arguments that it gets."""
    for _ in range(MAX_HOPS):
        match value:
            case Instance(Class() as target):
                method = analysis.project.method(target, "__call__")
                if method is None:
                    return value, arguments
                return Ref(method, value, value.whole), arguments
            case Instance("functools.partial", arguments=Arguments() as held) if held.positional:
                (first, starred), *before = held.positional
                if starred:
                    return value, arguments
                keywords = arguments.keywords.under_all(held.keywords)
                value = first
                arguments = Arguments((*before, *arguments.positional), keywords)
            case _:
                return value, arguments
    return value, arguments


def _values(arguments: Arguments) -> Iterator[Value]:
    for value, _ in arguments.positional:
        yield from (option for _, option in options_of(value))
    for value in arguments.keywords.items().values():
        yield from (option for _, option in options_of(value))


def _parameter(value: Value) -> Hole | None:
    """The parameter, of this function or one around it, that a value is."""
    match value:
        case Opaque(Hole(parameter=name) as hole) if name:
            return hole
        case Opaque(Hole(outer=Hole(parameter=name) as outer)) if name:
            return outer
        case _:
            return None


def _identity(value: Value) -> object:
    match value:
        case Ref(target):
            return target
        case Instance(target, arguments=arguments):
            return (target, id(arguments) if target == PARTIAL else None)
        case Opaque(hole):
            found = _parameter(value)
            return (hole.frame.function, found.parameter if found else "")
        case _:
            return id(value)


def _name_of(value: Value) -> str:
    """What a text that mentions it calls it."""
    match value:
        case Ref(Function() as function):
            return function.node.name
        case Instance(Class() as target):
            return target.name.rpartition(".")[2]
        case Instance("functools.partial", arguments=Arguments(((first, _), *_))):
            return _name_of(first)
        case Ref(str() as name):
            return name.rpartition(".")[2]
        case _:
            return ""


def objects_of(states: Iterable[Bindings], names: set[str]) -> Iterator[str]:
    """The local names of objects that are called like functions, of these classes."""
    for state in states:
        for name, value in state.items():
            if isinstance(value, Instance | OneOf) and _is_object_of(value, names):
                yield name


def _is_object_of(value: Value, names: set[str]) -> bool:
    """Whether it is, or may be, an object that is called and is one of these."""
    return any(
        isinstance(option, Instance) and not option.own and _name_of(option) in names
        for _, option in options_of(value)
    )


def kept_in(function: Function, name: str) -> Iterator[str]:
    """The attributes that a method sets to one of its parameters."""
    owner = function.owner
    for attribute, assignments in owner.attributes.items() if owner is not None else ():
        for each in assignments:
            match each.value:
                case ast.Name(same) if each.function is function and same == name:
                    yield attribute


def called_by(wrapper: Function) -> set[str]:
    """What a text mentions that calls a wrapper, makes an object of it, or is given it."""
    name = wrapper.node.name
    found = {name}
    if name == "__call__" and wrapper.owner is not None:
        found = {wrapper.owner.name.rpartition(".")[2]}
    if wrapper.outer is not None and wrapper.outer.node.name != "__init__":
        found.add(wrapper.outer.node.name)
    return found


def is_one_called(value: Value) -> bool:
    """Whether it is one of several objects or functions, of which one is called."""
    return isinstance(value, OneOf) and all(
        isinstance(option, Ref | Instance) for _, option in options_of(value)
    )
