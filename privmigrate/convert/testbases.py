"""The classes that a service's unit tests derive from, and where their `setUp` is.

Only files that are asked for are parsed: a service has a thousand of them.
"""

import ast
import functools
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from privmigrate.callsites.index import MAX_BASES, MAX_HOPS, dotted_name

# Where a chain of base classes ends: in those whose tests have `useFixture`, and in others.
_WITH_FIXTURES: Final = frozenset({
    "fixtures.TestWithFixtures", "oslotest.base.BaseTestCase", "testtools.TestCase",
    "testtools.testcase.TestCase",
})  # fmt: skip
_WITHOUT: Final = frozenset({"unittest.TestCase", "unittest.IsolatedAsyncioTestCase"})
# Tests that execute for real, if a file among them says as what.
_EXECUTING: Final = frozenset({"fullstack", "functional"})
_ROOT: Final = re.compile(rb"\broot_helper\b")


@dataclass(frozen=True, slots=True)
class TestClass:
    """A class of a test file."""

    file: str
    node: ast.ClassDef

    @property
    def set_up(self) -> ast.FunctionDef | None:
        """Its own `setUp`."""
        for each in self.node.body:
            if isinstance(each, ast.FunctionDef) and each.name == "setUp":
                return each
        return None


class TestBases:
    """Finds the classes above a test class.

    `texts` are a service's files, `prefix` is what their names have before that of the package.
    """

    def __init__(self, texts: Mapping[str, bytes], prefix: str) -> None:
        self._texts = texts
        self._prefix = prefix
        self._trees: dict[str, ast.Module | None] = {}
        self._imports: dict[str, dict[str, str]] = {}

    @functools.cached_property
    def executing(self) -> frozenset[TestClass]:
        """Classes of tests that execute for real, and those above them."""
        found: set[TestClass] = set()
        for name in self._executing_files:
            for each in self.classes(name):
                found |= self.above(each)
        return frozenset(found)

    @functools.cached_property
    def _executing_files(self) -> frozenset[str]:
        folders: dict[str, list[str]] = {}
        for name in self._texts:
            parts = name.split("/")
            for number, part in enumerate(parts[:-1]):
                if part in _EXECUTING:
                    folders.setdefault("/".join(parts[: number + 1]), []).append(name)
        return frozenset(
            name
            for names in folders.values()
            if any(_ROOT.search(self._texts[each]) for each in names)
            for name in names
        )

    def classes(self, file: str) -> list[TestClass]:
        """The classes of a file."""
        tree = self.tree(file)
        body = [] if tree is None else tree.body
        return [TestClass(file, node) for node in body if isinstance(node, ast.ClassDef)]

    def tree(self, file: str) -> ast.Module | None:
        """A file's tree, if it is Python."""
        if file not in self._trees:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self._trees[file] = ast.parse(self._texts[file])
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                self._trees[file] = None
        return self._trees[file]

    def imports(self, file: str) -> dict[str, str]:
        """What the names that a file imports stand for."""
        if file not in self._imports:
            tree = self.tree(file)
            nodes = [] if tree is None else list(ast.walk(tree))
            self._imports[file] = dict(
                pair for node in nodes for pair in _imported(node, self._module(file))
            )
        return self._imports[file]

    def kind(self, each: TestClass) -> str:
        """Whether its tests have `useFixture` ("fixtures"), `addCleanup` ("cleanup"), or ""."""
        ends = {base for one in self.above(each) for base in self._bases(one)[1]}
        if ends & _WITH_FIXTURES:
            return "fixtures"
        return "cleanup" if ends & _WITHOUT else ""

    def tops(self, each: TestClass) -> list[TestClass]:
        """The test classes furthest above one of which no test executes for real."""
        if not self.kind(each) or each in self.executing:
            return []
        above = [
            top
            for base in self._bases(each)[0]
            if base != each and base not in self.executing
            for top in self.tops(base)
        ]
        return list(dict.fromkeys(above)) or [each]

    def above(self, each: TestClass) -> set[TestClass]:
        """A class and every one of the service that it derives from."""
        found: set[TestClass] = set()
        todo = [each]
        while todo and len(found) < MAX_BASES:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo += self._bases(one)[0]
        return found

    def _bases(self, each: TestClass) -> tuple[list[TestClass], list[str]]:
        """Base classes of the service's own, and the names of others."""
        own: list[TestClass] = []
        others: list[str] = []
        for base in each.node.bases:
            dotted = dotted_name(base)
            found = self._find(each.file, dotted) if dotted else ""
            if isinstance(found, TestClass):
                own.append(found)
            else:
                others.append(found)
        return own, others

    def _find(self, file: str, dotted: str) -> TestClass | str:
        """What a name leads to in a file: a class, or a name outside of the service."""
        for _ in range(MAX_HOPS):
            for each in self.classes(file):
                if each.node.name == dotted:
                    return each
            first, _, rest = dotted.partition(".")
            source = self.imports(file).get(first)
            if source is None:
                return dotted
            whole = f"{source}.{rest}" if rest else source
            module, _, name = whole.rpartition(".")
            there = self._file(module)
            if there is None:
                return whole
            file, dotted = there, name
        return dotted

    def _module(self, file: str) -> str:
        return file.removeprefix(self._prefix).removesuffix(".py").replace("/", ".")

    def _file(self, module: str) -> str | None:
        path = self._prefix + module.replace(".", "/")
        return next((e for e in (f"{path}.py", f"{path}/__init__.py") if e in self._texts), None)


def _imported(node: ast.AST, module: str) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Import(names=names):
            for alias in names:
                top = alias.name.partition(".")[0]
                yield alias.asname or top, alias.name if alias.asname else top
        case ast.ImportFrom(module=source, names=names, level=level):
            front = ".".join(module.split(".")[:-level]) if level else ""
            source = ".".join(filter(None, (front, source)))
            for alias in names:
                yield alias.asname or alias.name, f"{source}.{alias.name}"
        case _:
            return
