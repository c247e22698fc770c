"""Executors that are passed in: which they are, and which of them a person says are local.

The word of a person is for one attribute or parameter of one class or function (and for the
classes that inherit it), and has to be about something: a name that leads nowhere, or to what is
not passed in, is an error.
"""

import ast
from collections.abc import Collection, Iterator

from privmigrate.callsites.index import Assignment, Class, Function
from privmigrate.callsites.project import Project
from privmigrate.callsites.settings import Settings
from privmigrate.diagnostics import Diagnostic, Severity, Span
from privmigrate.errors import InputError


class Declared:
    """What ``local-injected`` says of a project; raise InputError for what cannot be meant."""

    def __init__(self, project: Project, settings: Settings) -> None:
        self._project = project
        self._spans = settings.spans
        self._names: list[tuple[Class | Function, str, str]] = []
        problems = []
        for name in settings.local_injected:
            problem = self._add(name)
            if problem:
                problems.append(f"{self._span(name)}: error: local-injected: {problem}")
        if problems:
            raise InputError("\n".join(problems))

    def of(self, owner: Class | Function, name: str) -> str:
        """The declaration that an executor is local, or ""."""
        above: list[Class | Function] = [owner]
        if isinstance(owner, Class):
            above = [*self._project.ancestors(owner)]
        for declared, last, whole in self._names:
            if declared not in above:
                continue
            if last == name or last in self._parameters_of(owner, name):
                return whole
        return ""

    def unused(self, used: Collection[str]) -> list[Diagnostic]:
        """Declarations that no call rests on."""
        return [
            Diagnostic(
                self._span(name),
                Severity.NOTE,
                "unused-declaration",
                f"local-injected: no call that is left here runs {name} as root",
            )
            for _, _, name in self._names
            if name not in used
        ]

    def _span(self, name: str) -> Span:
        return self._spans.get(name, Span("[tool.privmigrate]"))

    def injected(self, owner: Class | Function, name: str) -> bool:
        """Whether an attribute or a parameter is what a caller has to give."""
        if isinstance(owner, Function):
            return name in required(owner)
        return any(map(is_given_to_constructor, self._project.own_assignments(owner, name)))

    def _add(self, name: str) -> str:
        """Note a declaration, or say what is wrong with it."""
        *parts, last = name.split(".")
        modules = (".".join(parts[:size]) for size in range(len(parts), 0, -1))
        module = next((each for each in modules if each in self._project.by_module), "")
        if not module or self._project.module(self._project.by_module[module]) is None:
            return ""  # not among what is analysed now, or not understood, which is said
        owner = self._project.find(".".join(parts))
        if isinstance(owner, str):
            return f"there is no class or function {'.'.join(parts)} in the sources"
        if self._is_passed_in(owner, last):
            self._names.append((owner, last, name))
            return ""
        if not self._has(owner, last):
            kind = "attribute or parameter" if isinstance(owner, Class) else "parameter"
            return f"{owner.qualified} has no {kind} {last}"
        return f"{name} is not passed in: nothing that a caller has to give is kept there"

    def _is_passed_in(self, owner: Class | Function, last: str) -> bool:
        if self.injected(owner, last):
            return True
        return isinstance(owner, Class) and any(
            last in self._parameters_of(owner, name) for name in self._attributes(owner)
        )

    def _has(self, owner: Class | Function, last: str) -> bool:
        if isinstance(owner, Function):
            return last in _parameters(owner)
        constructor = self._project.method(owner, "__init__")
        given = _parameters(constructor) if constructor is not None else ()
        return last in self._attributes(owner) or last in given

    def _attributes(self, owner: Class) -> set[str]:
        return {name for each in self._project.ancestors(owner) for name in each.attributes}

    def _parameters_of(self, owner: Class | Function, attribute: str) -> set[str]:
        """The constructors' parameters that are kept in an attribute."""
        if isinstance(owner, Function):
            return set()
        return {
            each.value.id
            for each in self._project.own_assignments(owner, attribute)
            if is_given_to_constructor(each) and isinstance(each.value, ast.Name)
        }


def is_given_to_constructor(assignment: Assignment) -> bool:
    """Whether it assigns an argument that every caller of a constructor has to give."""
    function, value = assignment.function, assignment.value
    if function is None or function.node.name != "__init__" or not isinstance(value, ast.Name):
        return False
    return value.id in required(function)


def required(function: Function) -> set[str]:
    """The parameters that every caller has to give."""
    return {name for name in _parameters(function) if function.default(name) is None}


def _parameters(function: Function) -> Iterator[str]:
    yield from (each.arg for each in (*function.positional(), *function.node.args.kwonlyargs))
