"""What one module has: functions, classes, what is assigned to names and attributes, imports."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from privmigrate.callsites.body import Body
from privmigrate.callsites.files import SourceFile

MAX_HOPS: Final = 8  # re-exports that are followed
MAX_BASES: Final = 40

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(eq=False, slots=True)
class Function:
    """A function or method.

    Attributes:
        owner: the class whose method it is.
        outer: the function that it is nested in.
    """

    module: "Module"
    name: str
    node: FunctionNode
    owner: "Class | None" = None
    outer: "Function | None" = None

    @property
    def qualified(self) -> str:
        """Dotted name with its module."""
        return f"{self.module.name}.{self.name}"

    @property
    def bound(self) -> bool:
        """Whether its first parameter is given by the object or class that it is called on."""
        decorators = {ast.unparse(each) for each in self.node.decorator_list[:MAX_HOPS]}
        return self.owner is not None and "staticmethod" not in decorators

    def positional(self) -> list[ast.arg]:
        """Positional parameters, without the one that is bound."""
        arguments = self.node.args
        return [*arguments.posonlyargs, *arguments.args][1 if self.bound else 0 :]

    def default(self, name: str) -> ast.expr | None:
        """The default value of a parameter."""
        arguments = self.node.args
        named = [*arguments.posonlyargs, *arguments.args]
        for arg, value in zip(reversed(named), reversed(arguments.defaults), strict=False):
            if arg.arg == name:
                return value
        for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            if arg.arg == name:
                return default
        return None


@dataclass(frozen=True, slots=True)
class Assignment:
    """A value that is assigned to an attribute, and where: in a function, or in a class body."""

    value: ast.expr | None
    module: "Module"
    function: Function | None
    owner: "Class | None"
    receiver: str = ""


@dataclass(eq=False, slots=True)
class Class:
    """A class with what its own body says."""

    module: "Module"
    name: str
    node: ast.ClassDef
    methods: dict[str, Function] = field(default_factory=dict)
    attributes: dict[str, list[Assignment]] = field(default_factory=dict)

    @property
    def qualified(self) -> str:
        """Dotted name with its module."""
        return f"{self.module.name}.{self.name}"


Symbol = Function | Class | str
"""What a name leads to; a dotted name where that is outside of the project, or a module of it."""


class Module:
    """A parsed file."""

    def __init__(self, file: SourceFile, tree: ast.Module) -> None:
        self.file = file
        self.tree = tree
        self.name = file.module
        self.functions: list[Function] = []
        self.classes: list[Class] = []
        self.symbols: dict[str, Function | Class] = {}
        self.globals: dict[str, list[ast.expr | None]] = {}
        self.foreign: dict[str, list[Assignment]] = {}  # attributes of other things than self
        self.imports: dict[str, str] = {}
        self._bodies: dict[ast.AST, Body] = {}
        self._read(tree.body, "", None, None)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    name = alias.asname or alias.name.partition(".")[0]
                    self.imports[name] = alias.name if alias.asname else name
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    source = f"{self._package(node)}.{alias.name}".lstrip(".")
                    self.imports[alias.asname or alias.name] = source

    def _package(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        up = node.level - (1 if self.file.package else 0)
        kept = parts[: len(parts) - up] if up else parts
        return ".".join([*kept, *([node.module] if node.module else [])])

    def _read(
        self,
        body: Sequence[ast.stmt],
        prefix: str,
        owner: Class | None,
        outer: Function | None,
    ) -> None:
        for node in body:
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    function = Function(self, prefix + node.name, node, owner, outer)
                    self.functions.append(function)
                    if owner is not None:
                        owner.methods[node.name] = function
                    elif outer is None:
                        self.symbols[node.name] = function
                    self._read(node.body, f"{prefix}{node.name}.", None, function)
                    self._read_attributes(node, owner or _owner_of(outer), function)
                case ast.ClassDef():
                    made = Class(self, prefix + node.name, node)
                    self.classes.append(made)
                    if not prefix:
                        self.symbols[node.name] = made
                    self._read(node.body, f"{prefix}{node.name}.", made, outer)
                case _:
                    if outer is None:
                        self._read_assignment(node, owner)
                    for inner in _blocks(node):
                        self._read(inner, prefix, owner, outer)

    def _read_assignment(self, node: ast.stmt, owner: Class | None) -> None:
        for target, value in assigned(node):
            if isinstance(target, ast.Name) and owner is not None:
                found = Assignment(value, self, None, owner)
                owner.attributes.setdefault(target.id, []).append(found)
            elif isinstance(target, ast.Name):
                self.globals.setdefault(target.id, []).append(value)
            elif isinstance(target, ast.Attribute):
                self._foreign(target, value, None)

    def _foreign(
        self, target: ast.Attribute, value: ast.expr | None, function: Function | None
    ) -> None:
        receiver = _text(target.value)
        found = Assignment(value, self, function, None, receiver)
        self.foreign.setdefault(target.attr, []).append(found)

    def _read_attributes(self, node: FunctionNode, owner: Class | None, function: Function) -> None:
        nodes = list(_own_nodes(node))
        declared = {name for n in nodes if isinstance(n, ast.Global) for name in n.names}
        for inner in nodes:
            if not isinstance(inner, ast.stmt | ast.NamedExpr):
                continue
            for target, value in assigned(inner):
                if isinstance(target, ast.Name) and target.id in declared:
                    self.globals.setdefault(target.id, []).append(value)
                if not isinstance(target, ast.Attribute):
                    continue
                own = isinstance(target.value, ast.Name) and target.value.id in ("self", "cls")
                if own and owner is not None:
                    found = Assignment(value, self, function, owner)
                    owner.attributes.setdefault(target.attr, []).append(found)
                else:
                    self._foreign(target, value, function)

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The node around each node."""
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def body(self, node: ast.AST) -> Body:
        """What stands in one of its functions."""
        if node not in self._bodies:
            self._bodies[node] = Body(node)
        return self._bodies[node]


def _owner_of(outer: Function | None) -> Class | None:
    for _ in range(MAX_HOPS):
        if outer is None:
            return None
        if outer.owner is not None:
            return outer.owner
        outer = outer.outer
    return None


def _text(node: ast.expr) -> str:
    try:
        return ast.unparse(node)
    except RecursionError:
        return ""


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The blocks of a compound statement."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block
    for handler in getattr(node, "handlers", ()):
        yield handler.body


def _own_nodes(node: FunctionNode) -> Iterator[ast.AST]:
    """Every node of a function that is not in a function or class nested in it."""
    todo: list[ast.AST] = list(node.body)
    while todo:
        current = todo.pop()
        yield current
        if not isinstance(current, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            todo.extend(ast.iter_child_nodes(current))


def assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    """Every target that a statement assigns to, and the value where it is one expression."""
    match node:
        case ast.Assign(targets, value):
            for target in targets:
                yield from _unpacked(target, value)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield target, value
        case ast.AugAssign(target=target) | ast.For(target=target) | ast.AsyncFor(target=target):
            yield from _unpacked(target, None)
        case ast.NamedExpr(target=target, value=value):
            yield target, value
        case ast.With(items) | ast.AsyncWith(items):
            bound = [item.optional_vars for item in items if item.optional_vars is not None]
            yield from ((each, None) for target in bound for each, _ in _unpacked(target, None))
        case ast.Delete(targets):
            yield from ((target, None) for target in targets)
        case _:
            pass


def _unpacked(
    target: ast.expr, value: ast.expr | None
) -> Iterator[tuple[ast.expr, ast.expr | None]]:
    if not isinstance(target, ast.Tuple | ast.List):
        yield target, value
        return
    values: list[ast.expr | None] = [None] * len(target.elts)
    if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
        values = list(value.elts)
    for each, part in zip(target.elts, values, strict=True):
        inner = each.value if isinstance(each, ast.Starred) else each
        yield from _unpacked(inner, None if isinstance(each, ast.Starred) else part)


def dotted_name(node: ast.expr) -> str | None:
    """``a.b.c`` as text, or None for anything else."""
    names: list[str] = []
    for _ in range(MAX_BASES):
        if isinstance(node, ast.Name):
            return ".".join([node.id, *reversed(names)])
        if not isinstance(node, ast.Attribute):
            return None
        names.append(node.attr)
        node = node.value
    return None
