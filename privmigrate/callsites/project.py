"""What a dotted name leads to, and which classes belong together.

Modules are parsed when they are asked for. Everything is bounded, because sources are not ours:
classes may inherit from themselves, and modules import each other.
"""

import ast
from collections.abc import Iterator, Sequence
from functools import cached_property

from privmigrate.callsites.files import SourceFile, parse
from privmigrate.callsites.index import (
    MAX_BASES,
    MAX_HOPS,
    Assignment,
    Class,
    Function,
    Module,
    Symbol,
    dotted_name,
)
from privmigrate.diagnostics import Diagnostic


class Project:
    """Every file, parsed or not."""

    def __init__(self, files: Sequence[SourceFile]) -> None:
        self.files = files
        self.by_module: dict[str, SourceFile] = {}
        for file in files:
            self.by_module.setdefault(file.module, file)
        self.unparsed: dict[str, Diagnostic] = {}
        self._modules: dict[SourceFile, Module | None] = {}
        self._families: dict[Class, list[Class]] = {}
        self._assigning: dict[str, list[Module]] = {}
        self._foreign: dict[str, list[Assignment]] = {}
        self._bases: dict[Class, tuple[Class, ...]] = {}
        self._heirs: dict[Module, dict[Class, list[Class]]] = {}

    def module(self, file: SourceFile) -> Module | None:
        """Parse a file, once; None where that cannot be done, which is noted."""
        if file not in self._modules:
            tree = parse(file)
            if isinstance(tree, Diagnostic):
                self.unparsed[file.name] = tree
                self._modules[file] = None
            else:
                self._modules[file] = Module(file, tree)
        return self._modules[file]

    def assigning(self, attribute: str) -> list[Module]:
        """The modules in whose text an attribute of that name seems to be assigned."""
        if attribute not in self._assigning:
            found = [self.module(file) for file in self.files if file.assigns(attribute)]
            self._assigning[attribute] = [each for each in found if each is not None]
        return self._assigning[attribute]

    @cached_property
    def _inheriting(self) -> dict[str, list[SourceFile]]:
        """The files in whose text a class seems to inherit from one of that name."""
        found: dict[str, list[SourceFile]] = {}
        for file in self.files:
            for name in file.bases:
                found.setdefault(name, []).append(file)
        return found

    def find(self, dotted: str, hops: int = 0) -> Symbol:
        """Follow a dotted name to a function or class of the project, or return it as it is."""
        parts = dotted.split(".")
        for size in range(len(parts), 0, -1):
            file = self.by_module.get(".".join(parts[:size]))
            if file is None:
                continue
            module = self.module(file)
            if module is None or size == len(parts):
                return dotted
            return self.lookup(module, parts[size:], hops)
        return dotted

    def lookup(self, module: Module, parts: Sequence[str], hops: int = 0) -> Symbol:
        """Follow names that begin in a module."""
        first, *rest = parts
        whole = ".".join([module.name, *parts])
        found: Symbol | None = module.symbols.get(first)
        if isinstance(found, Class):
            for index, name in enumerate(rest):
                method = self.method(found, name)
                return method if method is not None and index == len(rest) - 1 else whole
            return found
        if found is not None:
            return whole if rest else found
        if hops >= MAX_HOPS:
            return whole
        if first in module.imports:
            return self.find(".".join([module.imports[first], *rest]), hops + 1)
        values = module.globals.get(first, [])
        if len(values) == 1 and values[0] is not None:
            other = dotted_name(values[0])
            if other is not None and other.split(".")[0] != first:
                return self.lookup(module, [*other.split("."), *rest], hops + 1)
        return whole if first in module.globals else ".".join(parts)

    def bases(self, cls: Class) -> tuple[Class, ...]:
        """The classes of the project that a class names as its bases."""
        if cls not in self._bases:
            named = (dotted_name(base) for base in cls.node.bases[:MAX_BASES])
            found = (self.lookup(cls.module, name.split(".")) for name in named if name is not None)
            self._bases[cls] = tuple(
                each for each in found if isinstance(each, Class) and each is not cls
            )
        return self._bases[cls]

    def heirs(self, cls: Class) -> Iterator[Class]:
        """The classes that name a class as one of their bases."""
        for file in self._inheriting.get(cls.name.rpartition(".")[2], ()):
            module = self.module(file)
            if module is None:
                continue
            if module not in self._heirs:
                found: dict[Class, list[Class]] = {}
                for other in module.classes:
                    for base in self.bases(other):
                        found.setdefault(base, []).append(other)
                self._heirs[module] = found
            yield from self._heirs[module].get(cls, ())

    def ancestors(self, cls: Class) -> list[Class]:
        """The class and what it inherits from, nearest first."""
        found = [cls]
        for each in found:
            if len(found) >= MAX_BASES:
                break
            found.extend(base for base in self.bases(each) if base not in found)
        return found

    def family(self, cls: Class) -> list[Class]:
        """The class, what it inherits from, and what inherits from it."""
        if cls not in self._families:
            found = self.ancestors(cls)
            heirs = [cls]
            for each in heirs:
                if len(heirs) >= MAX_BASES:
                    break
                heirs.extend(other for other in self.heirs(each) if other not in heirs)
            self._families[cls] = [*found, *(each for each in heirs if each not in found)]
        return self._families[cls]

    def method(self, cls: Class, name: str) -> Function | None:
        """The method that a name means in an object of this class."""
        for each in self.ancestors(cls):
            if name in each.methods:
                return each.methods[name]
        return None

    def aliases(self, names: set[str]) -> set[str]:
        """The attributes and names that something of one of these names is assigned to."""
        words = [name.encode() for name in names]
        found: set[str] = set()
        for file, module in self._modules.items():
            if module is None or not file.mentions(words):
                continue
            rows = [
                (name, [each.value for each in assignments])
                for cls in module.classes
                for name, assignments in cls.attributes.items()
            ]
            for name, values in [*rows, *module.globals.items()]:
                dotted = [each for value in values if value for each in _dotted_names(value)]
                rooted = any(
                    isinstance(value, ast.Call)
                    and any(each.arg == "run_as_root" for each in value.keywords)
                    for value in values
                )
                named = any(each and each.rpartition(".")[2] in names for each in dotted)
                if named or rooted:
                    found.add(name)
        return found

    def own_assignments(self, cls: Class, name: str) -> list[Assignment]:
        """What a class and its bases assign to an attribute."""
        return [
            assignment
            for each in self.ancestors(cls)
            for assignment in each.attributes.get(name, ())
        ]

    def assignments(self, cls: Class, name: str) -> list[Assignment]:
        """Everything that is assigned to an attribute, in its class's family and from outside."""
        found = [
            assignment for each in self.family(cls) for assignment in each.attributes.get(name, ())
        ]
        if name not in self._foreign:
            modules = self.assigning(name)
            self._foreign[name] = [each for one in modules for each in one.foreign.get(name, ())]
        return [*found, *self._foreign[name]]


def _dotted_names(value: ast.expr, hops: int = 0) -> Iterator[str | None]:
    """What a value is, what a call makes it of, and what a `partial` holds."""
    yield dotted_name(value)
    if not isinstance(value, ast.Call) or hops >= MAX_HOPS:
        return
    yield dotted_name(value.func)
    if value.args and dotted_name(value.func) in {"functools.partial", "partial"}:
        yield from _dotted_names(value.args[0], hops + 1)
