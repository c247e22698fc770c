"""A service's unit tests after its calls went: their files' new bytes, and what stays and why."""

import ast
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from privmigrate.callsites.site import Site
from privmigrate.convert import rewrite
from privmigrate.convert.callers import FileChange
from privmigrate.convert.document import Document, Unreadable, read
from privmigrate.convert.forward import (
    IMPORT,
    MODULE,
    Forwards,
    fixture_text,
    forwards_of,
    has_fixture,
)
from privmigrate.convert.imports import import_names, place
from privmigrate.convert.moves import Listed, Moves
from privmigrate.convert.replace import Target
from privmigrate.convert.replaced import Replaced
from privmigrate.convert.retest import Forwarded, expects, plan_tests
from privmigrate.convert.testbases import TestBases, TestClass
from privmigrate.diagnostics import Span

_QUOTED: Final = re.compile(rb"[\"']([^\"'\n]+)[\"']")


@dataclass(frozen=True, slots=True)
class TestChange:
    """One test file.

    Attributes:
        document: as it was.
        after: its new bytes.
        assertions: how many moved.
        fixtures: the classes whose tests forward commands now.
    """

    document: Document
    after: bytes
    assertions: int
    fixtures: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class MovedTests:
    """All of them.

    Attributes:
        changes: of files.
        listed: assertions that stay.
        forwarded: how many assertions stay and go on to hold, because commands are forwarded.
        calls: what these are forwarded to, by where it was called before.
    """

    changes: tuple[TestChange, ...] = ()
    listed: tuple[Listed, ...] = ()
    forwarded: int = 0
    calls: Mapping[Span, str] = field(default_factory=dict)


def move_tests(
    files: Sequence[FileChange],
    texts: Mapping[str, bytes],
    target: Target,
    sites: Sequence[Site] = (),
    earlier: Sequence[Replaced] = (),
) -> MovedTests:
    """Move what can be moved of the tests among a service's files, and list the rest.

    `sites` are all calls that run something as root, `earlier` those that were replaced before.
    """
    replacements = [each for change in files for each in change.replacements]
    replaced = {each.use.site.span for each in replacements}
    staying = [site for site in sites if site.span not in replaced]
    sources = {change.document.name for change in files}
    names = {name for name in texts if name not in sources and _is_test(name)}
    commands = {each.use.op.command.encode() for each in replacements}
    asserting = {name for name in names if not commands.isdisjoint(_QUOTED.findall(texts[name]))}
    forwards = forwards_of(files, earlier) if target.policies else Forwards()
    fixtures = _Fixtures(files, texts, target, forwards)
    fixtures.find(names, asserting)
    changed: list[TestChange] = []
    listed: list[Listed] = []
    forwarded = 0
    for name in sorted(asserting | fixtures.files):
        try:
            document = read(name, texts[name], target.width)
            moves = Moves()
            if name in asserting:
                covered = fixtures.covered(name)
                moves = plan_tests(document, replacements, target.package, staying, covered)
            spans = fixtures.insert(document, moves)
            after = _moved(document, moves)
        except Unreadable as error:
            listed.append(Listed(Span(name), str(error)))
            continue
        listed += moves.listed
        forwarded += moves.forwarded
        if after is not None:
            changed.append(TestChange(document, after, moves.assertions, spans))
    return MovedTests(tuple(changed), tuple(listed), forwarded, forwards.calls)


@dataclass(frozen=True, slots=True)
class _Fixture:
    """What goes into the `setUp` of a class."""

    top: TestClass
    use_fixture: bool
    takes_more: bool = False


class _Fixtures:
    """Where `Forwarding` goes: into the classes furthest above the tests that need it."""

    def __init__(
        self,
        files: Sequence[FileChange],
        texts: Mapping[str, bytes],
        target: Target,
        forwards: Forwards,
    ) -> None:
        self._texts = texts
        self._target = target
        self._forwards = forwards
        self._replacements = [each for file in files for each in file.replacements]
        self._modules = {each.use.site.module for each in self._replacements}
        self._bases = TestBases(texts, _prefix(files))
        self._found: dict[TestClass, _Fixture | None] = {}
        self._covered: dict[str, set[str]] = {}

    @property
    def files(self) -> set[str]:
        """The files that get some."""
        return {each.file for each, fixture in self._found.items() if fixture}

    def find(self, names: set[str], asserting: set[str]) -> None:
        """Find the classes, those that have one already among them."""
        for name in sorted(names) if self._forwards.calls else ():
            if not self._uses(name) and not (name in asserting and self._asserts(name)):
                continue
            for each in self._bases.classes(name):
                tops = self._bases.tops(each)
                for top in tops:
                    if top not in self._found:
                        self._found[top] = self._fixture(top)
                # tests of a class that is mixed in run in this one
                for above in self._bases.above(each) if tops else ():
                    self._covered.setdefault(above.file, set()).add(above.node.name)

    def covered(self, name: str) -> Forwarded:
        """The classes of a file whose tests forward commands, and what is not forwarded."""
        return Forwarded(frozenset(self._covered.get(name, ())), self._forwards.unknown)

    def insert(self, document: Document, moves: Moves) -> tuple[Span, ...]:
        """Write the fixtures of one file."""
        spans = []
        for top, fixture in self._found.items():
            if top.file != document.name or fixture is None:
                continue
            node = next(
                each
                for each in document.tree.body
                if isinstance(each, ast.ClassDef) and each.lineno == top.node.lineno
            )
            _insert(document, node, self._target.package, fixture, moves)
            if MODULE not in import_names(document):
                new = place(document, IMPORT, self._target.package.partition(".")[0])
                moves.imports[new.text] = new
            spans.append(Span(document.name, node.lineno, node.col_offset + 1))
        return tuple(spans)

    def _uses(self, name: str) -> bool:
        """Whether a test file imports a module that was rewritten."""
        data = self._texts[name]
        if not any(each.rpartition(".")[2].encode() in data for each in self._modules):
            return False
        whole = self._bases.imports(name).values()
        return any(each == found or found.startswith(f"{each}.") for each in self._modules
                   for found in whole)  # fmt: skip

    def _asserts(self, name: str) -> bool:
        tree = self._bases.tree(name)
        return tree is not None and expects(tree, self._replacements)

    def _fixture(self, top: TestClass) -> _Fixture | None:
        """What a class gets; None where it forwards already."""
        if has_fixture(top.node, self._target.package):
            return None
        more = any(map(_takes_more, self._bases.above(top)))
        return _Fixture(top, self._bases.kind(top) == "fixtures", more)


def _insert(
    document: Document, node: ast.ClassDef, package: str, fixture: _Fixture, moves: Moves
) -> None:
    """Forward behind the `setUp` of the class above, or in a `setUp` that is made."""
    set_up = TestClass(document.name, node).set_up
    if set_up is None:
        indent = f"{document.indent(node.body[-1].lineno)}    "
        text = fixture_text(package, indent, document.width, use_fixture=fixture.use_fixture)
        more = "*args, **kwargs" if fixture.takes_more else ""
        body = textwrap.indent(f"super().setUp({more})\n{text}", "    ")
        parameters = f"self, {more}" if more else "self"
        moves.methods[document.start(node)] = f"def setUp({parameters}):\n{body}\n"
        return
    indent = document.indent(set_up.body[0].lineno)
    text = fixture_text(package, indent, document.width, use_fixture=fixture.use_fixture)
    above = next((each for each in set_up.body if _is_set_up(each)), None)
    if above is None:
        moves.first.setdefault(document.start(set_up), []).append(text)
    else:
        where = document.start(above)
        moves.added[where] = (*moves.added.get(where, ()), text)


def _takes_more(each: TestClass) -> bool:
    """Whether the `setUp` of a class is given something."""
    given = None if each.set_up is None else each.set_up.args
    return given is not None and bool(
        given.args[1:] or given.kwonlyargs or given.vararg or given.kwarg
    )


def _is_set_up(node: ast.stmt) -> bool:
    """Whether a statement calls the `setUp` of the class above."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="setUp"))):
            return True
        case _:
            return False


def _prefix(files: Sequence[FileChange]) -> str:
    """What names of files have before the package's."""
    for change in files:
        for each in change.replacements:
            name, module = change.document.name, each.use.site.module.replace(".", "/")
            for end in (f"{module}.py", f"{module}/__init__.py"):
                if name.endswith(end):
                    return name.removesuffix(end)
    return ""


def _moved(document: Document, moves: Moves) -> bytes | None:
    """The new bytes of a file of which something moves."""
    if not (moves.expressions or moves.added or moves.first or moves.methods):
        return None
    imports = tuple(moves.imports[text] for text in sorted(moves.imports))
    changes = rewrite.Changes(
        moves.expressions,
        added=moves.added,
        first=moves.first,
        methods=moves.methods,
        imports=imports,
    )
    return rewrite.apply(document, changes)


def _is_test(name: str) -> bool:
    *folders, file = name.split("/")
    return "tests" in folders or "test" in folders or file.startswith("test_")
