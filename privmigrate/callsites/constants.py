"""Names outside of a function: constants of modules and classes, and what attributes hold.

A constant is folded only if nothing else is ever assigned to it: every assignment in its class's
family counts, and every one from outside whose receiver could be such an object.
"""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from privmigrate.callsites.frame import Frame
from privmigrate.callsites.index import Assignment, Class, Function, Module
from privmigrate.callsites.project import Project
from privmigrate.callsites.resolve import Evaluator
from privmigrate.callsites.site import Origin, Reason
from privmigrate.callsites.state import State
from privmigrate.callsites.values import (
    PASSED,
    UNKNOWABLE,
    Guard,
    Hole,
    Instance,
    OneOf,
    Opaque,
    Plain,
    Ref,
    Seq,
    Stamp,
    Str,
    Value,
    options_of,
)

if TYPE_CHECKING:
    from privmigrate.callsites.analysis import Analysis

MAX_ASSIGNMENTS: Final = 24


class Constants:
    """Looks names up, and remembers what it found."""

    def __init__(self, analysis: "Analysis", project: Project) -> None:
        self.analysis = analysis
        self.project = project
        self._static: dict[ast.AST, Value | None] = {}
        self._attributes: dict[tuple[Class, str], Value | Reason | None] = {}

    def of_module(self, module: Module, name: str) -> Value | None:
        """What a name means at the top of a module."""
        symbol = module.symbols.get(name)
        if symbol is not None:
            return Ref(symbol)
        if name in module.imports:
            return self.of_dotted(module.imports[name])
        values = module.globals.get(name, [])
        if len(values) != 1 or values[0] is None:
            return None
        if not self._is_settled(module, name):
            return None
        return self.static(values[0], module)

    def of_dotted(self, dotted: str) -> Value | None:
        """What a dotted name means: something of the project, or a name for what is not."""
        found = self.project.find(dotted)
        if not isinstance(found, str):
            return Ref(found)
        head, _, last = found.rpartition(".")
        file = self.project.by_module.get(head)
        module = self.project.module(file) if file is not None else None
        if module is not None and last in module.globals:
            return self.of_module(module, last)
        return None if _is_configuration(found) else Ref(found)

    def _is_settled(self, module: Module, name: str) -> bool:
        """Whether nobody assigns to a module's name from outside, or changes it in place."""
        short = module.name.rpartition(".")[2]
        for other in self.project.assigning(name):
            for assignment in other.foreign.get(name, ()):
                if assignment.receiver.rpartition(".")[2] == short:
                    return False
        return name not in module.file.changed

    def attribute(self, base: Value, name: str) -> Value | Reason | None:
        """What an attribute of a value is; a reason where it only looks like a constant."""
        match base:
            case Instance(Class() as target):
                method = self.project.method(target, name)
                if method is not None:
                    return None if _is_property(method) else Ref(method, base)
                return self._of_class(target, name)
            case Ref(Class() as target):
                method = self.project.method(target, name)
                return Ref(method) if method is not None else self._of_class(target, name)
            case Ref(str() as dotted):
                return self.of_dotted(f"{dotted}.{name}")
            case _:
                return None

    def _of_class(self, cls: Class, name: str) -> Value | Reason | None:
        key = (cls, name)
        if key not in self._attributes:
            self._attributes[key] = None  # what asks for itself is unknown
            self._attributes[key] = self._look_up(cls, name)
        return self._attributes[key]

    def _look_up(self, cls: Class, name: str) -> Value | Reason | None:
        """What the class and its bases say; where that matters, what all others say too."""
        own = self.project.own_assignments(cls, name)
        values = [self._assigned(each) for each in own[:MAX_ASSIGNMENTS]]
        made = {each.target for each in values if isinstance(each, Instance)}
        if made:
            only = values[0] if len(made) == 1 else None
            return only if all(isinstance(each, Instance) for each in values) else None
        functions = any(_is_called(each) for value in values for each in _all(value))
        if not functions and not any(v is not None and is_constant(v) for v in values):
            return None
        found = [
            each
            for each in self.project.assignments(cls, name)
            if each.owner is not None or self._may_be(each, cls)
        ]
        if len(found) > MAX_ASSIGNMENTS:
            return Reason.REASSIGNED
        values = [self._assigned(each) for each in found]
        if functions:
            options = tuple(
                (PASSED if PASSED in guards else UNKNOWABLE, each)
                for value in values
                if value is not None
                for guards, each in options_of(value)
            )
            return options[0][1] if len(options) == 1 else OneOf(options)
        return self._constant(name, found, values)

    def _may_be(self, assignment: Assignment, cls: Class) -> bool:
        """Whether an assignment from outside may be to this class or its objects."""
        receiver = assignment.receiver.split(".")
        if not all(part.isidentifier() for part in receiver):
            return True
        if receiver[-1] == cls.name.rpartition(".")[2]:
            return True
        symbol = self.project.lookup(assignment.module, receiver)
        if isinstance(symbol, Class):
            return symbol in self.project.family(cls)
        known = receiver[0] in assignment.module.imports
        return not (known and isinstance(symbol, str) and "." in symbol)

    def _constant(
        self, name: str, found: list[Assignment], values: list[Value | None]
    ) -> Value | Reason | None:
        constant = [value for value in values if value is not None and is_constant(value)]
        if not constant:
            return None
        if len(values) > 1 and all(isinstance(value, Seq) for value in values):
            # every one of them is known, and when it is which is not
            changing = Guard(None, reason=Reason.REASSIGNED)
            return OneOf(tuple((changing, value) for value in values if value is not None))
        changed = isinstance(constant[0], Seq) and any(
            name in each.module.file.changed for each in found
        )
        if len(constant) == len(values) and not changed:
            if len(values) == 1:
                return constant[0]
            # heirs override it, or constructors choose it: no value is left out
            places = {each.function is None for each in found}
            if len(places) == 1 and all(each.owner is not None for each in found):
                return OneOf(tuple((UNKNOWABLE, each) for each in constant))
        in_class = any(
            each.function is None and value is not None and is_constant(value)
            for each, value in zip(found, values, strict=True)
        )
        return Reason.REASSIGNED if in_class or changed else None

    def _assigned(self, assignment: Assignment) -> Value | None:
        if assignment.value is None:
            return None
        if isinstance(assignment.value, ast.Name) and assignment.function is not None:
            # a list that was built before
            names = self.analysis.names_after(assignment.function)
            held = names.get(assignment.value.id)
            if isinstance(held, Seq) or (isinstance(held, Ref) and held.instance is None):
                return held  # or a function that is defined there
            if held is not None and all(
                isinstance(each, Instance) and not each.own for _, each in options_of(held)
            ):
                return held
        return self.static(
            assignment.value, assignment.module, assignment.owner, assignment.function
        )

    def forget(self) -> None:
        """Look everything up again, because more is known."""
        self._static.clear()
        self._attributes.clear()

    def default(self, function: Function, name: str) -> Value | None:
        """The default value of a parameter."""
        node = function.default(name)
        return None if node is None else self.static(node, function.module, function.owner)

    def static(
        self,
        node: ast.expr,
        module: Module,
        owner: Class | None = None,
        function: Function | None = None,
    ) -> Value | None:
        """Evaluate an expression outside of a running function."""
        if node not in self._static:
            self._static[node] = None
            state = State(outer=self._around(node, owner, function))
            found = Evaluator(self.analysis, Frame(module, None), state).value(node)
            found = self.analysis.given_back(found)
            self._static[node] = None if isinstance(found, Opaque) else found
        return self._static[node]

    def _around(
        self, node: ast.expr, owner: Class | None, function: Function | None
    ) -> dict[str, Value]:
        """What the names in an expression mean: the class's, and the function's parameters."""
        found: dict[str, Value] = {}
        names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        for name in sorted(names):
            if function is None and owner is not None and name in owner.attributes:
                values = owner.attributes[name]
                known = self._assigned(values[0]) if len(values) == 1 else None
                if known is not None:
                    found[name] = known
            elif function is not None:
                found.update(self._parameter(function, name))
        return found

    def _parameter(self, function: Function, name: str) -> dict[str, Value]:
        arguments = function.node.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        if function.owner is not None and named and named[0].arg == name:
            return {name: Instance(function.owner, own=True)}
        unknown = unknown_name(name, Frame(function.module, None), function.node)
        default = self.default(function, name)
        is_parameter = any(each.arg == name for each in named)
        known: list[tuple[Guard, Value]] = []
        if isinstance(default, Ref):
            known.append((UNKNOWABLE, default))
        known += [(PASSED, each) for each in self.analysis.passed.of(function, name)]
        if is_parameter and known:
            return {name: OneOf((*known, (UNKNOWABLE, unknown)))}
        # its value is not the module's of that name, in any case
        local = is_parameter or name in local_names(function.node)
        return {name: unknown} if local else {}


def unknown_name(name: str, frame: Frame, near: ast.AST, **more: object) -> Opaque:
    """A name of which nothing is known."""
    made = ast.Name(name, ast.Load())
    made.lineno = getattr(near, "lineno", 1)
    made.col_offset = getattr(near, "col_offset", 0)
    made.end_lineno = made.lineno
    made.end_col_offset = made.col_offset + len(name.encode())
    reads = frozenset({(name, 0)})
    return Opaque(Hole(made, frame, Stamp(reads), (name,), Origin.PARAMETER, **more))  # type: ignore[arg-type]


def local_names(node: ast.AST) -> frozenset[str]:
    """Every name that a function binds, parameters included."""
    found: set[str] = set()
    globals_: set[str] = set()
    todo: list[ast.AST] = list(ast.iter_child_nodes(node))
    while todo:
        each = todo.pop()
        match each:
            case ast.Name(name, ast.Store() | ast.Del()):
                found.add(name)
            case ast.arg(name):
                found.add(name)
            case ast.Global(names) | ast.Nonlocal(names):
                globals_.update(names)
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
                found.add(name)
                continue
            case ast.ExceptHandler(name=str() as name):
                found.add(name)
            case ast.Lambda():
                continue
            case _:
                pass
        todo.extend(ast.iter_child_nodes(each))
    return frozenset(found - globals_)


def is_constant(value: Value) -> bool:
    """Whether nothing of a value is open."""
    match value:
        case Str():
            return value.text is not None
        case Plain():
            return True
        case Seq(segments):
            return all(isinstance(each, Str) and each.text is not None for each in segments)
        case _:
            return False


def _all(value: Value | None) -> Iterator[Value]:
    if isinstance(value, OneOf):
        for _, option in value.options:
            yield from _all(option)
    elif value is not None:
        yield value


def _is_called(value: Value) -> bool:
    """Whether it may be called like a function."""
    return isinstance(value, Ref) or (isinstance(value, Instance) and not value.own)


def _is_property(function: Function) -> bool:
    return any("property" in ast.unparse(each) for each in function.node.decorator_list)


def _is_configuration(dotted: str) -> bool:
    return "CONF" in dotted.split(".") or dotted.startswith("oslo_config")
