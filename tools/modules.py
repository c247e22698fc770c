"""The package's modules as they stand on disk: names, sources, imports, and who may run as root."""

import ast
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = PROJECT / "privmigrate"

# What may run as root, as patterns over module names; the trusted list. A module that matches
# imports nothing that does not match, but the libraries named in tests/test_architecture.py.
TRUSTED: Final = (
    "privmigrate",
    "privmigrate.errors",
    "privmigrate.diagnostics",
    "privmigrate.examples",
    "privmigrate.argv",
    "privmigrate.argv.*",
    "privmigrate.linux",
    "privmigrate.linux.*",
    "privmigrate.observe",
    "privmigrate.observe.*",
    "privmigrate.rootwrap",
    "privmigrate.rootwrap.*",
    "privmigrate.privsep",
    "privmigrate.privsep.*",
    "privmigrate.shim",
    "privmigrate.shim.*",
)
UNTRUSTED: Final = (
    *("privmigrate.privsep.client", "privmigrate.privsep.client.*"),
    *("privmigrate.privsep.test", "privmigrate.privsep.test.*"),
    *("privmigrate.privsep.tests", "privmigrate.privsep.tests.*"),
)


@dataclass(frozen=True, slots=True)
class Import:
    """One imported dotted name and where it stands.

    Attributes:
        at_import: importing the module executes it; without, it waits in a function.
        executed: it is executed at all; without, only type checkers read it.
    """

    name: str
    line: int
    at_import: bool
    executed: bool


@dataclass(frozen=True, slots=True)
class Module:
    """One source file of the package."""

    name: str
    path: Path
    source: str = field(repr=False)
    tree: ast.Module = field(repr=False)

    @property
    def file(self) -> str:
        """The path below the package, as tables of files write it."""
        return self.path.relative_to(PACKAGE).as_posix()

    @property
    def trusted(self) -> bool:
        """Whether the module may run as root."""
        return matches(self.name, TRUSTED) and not matches(self.name, UNTRUSTED)

    @property
    def code_lines(self) -> int:
        """Lines that are neither blank, nor comments, nor docstrings."""
        prose: set[int] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[0] if node.body else None
                if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                    prose.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
        return sum(
            1
            for number, line in enumerate(self.source.splitlines(), 1)
            if number not in prose and line.strip() and not line.strip().startswith("#")
        )

    def imports(self) -> tuple[Import, ...]:
        """Every import statement, late ones included; `from x import y` gives both x and x.y."""
        return _imports_of(self)

    def imported_modules(self, names: Container[str]) -> Iterator[str]:
        """Those of `names` that are imported; of a package only for what it defines itself."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names if alias.name in names)
            elif isinstance(node, ast.ImportFrom) and (base := node.module or "") in names:
                below = (f"{base}.{alias.name}" for alias in node.names)
                yield from (name if name in names else base for name in below)


@cache
def _imports_of(module: Module) -> tuple[Import, ...]:
    return tuple(_read_imports(module.tree))


def _read_imports(tree: ast.Module) -> Iterator[Import]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    late = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, functions)
        for node in ast.walk(function)
    }
    for_types = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If)
        and isinstance(branch.test, ast.Name)
        and branch.test.id == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        executed = id(node) not in for_types
        at_import = executed and id(node) not in late
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_import, executed)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            yield Import(base, node.lineno, at_import, executed)
            for alias in node.names:
                yield Import(f"{base}.{alias.name}", node.lineno, at_import, executed)


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a dotted name matches one of the shell-like patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


@cache
def load_modules() -> tuple[Module, ...]:
    """Every module of the package, by name."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PROJECT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        source = path.read_text()
        found.append(Module(name, path, source, ast.parse(source, str(path))))
    return tuple(found)
