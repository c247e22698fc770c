"""One file of a service as it is read for rewriting: its bytes, its tree, and who contains whom."""

import ast
import io
import re
import tokenize
import warnings
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from privmigrate.callsites.site import Site
from privmigrate.convert.spelling import WIDTH

_LINE_END: Final = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")
_PRAGMA: Final = re.compile(r"#\s*(noqa|nosec|type:|pylint:|pragma:|fmt:|mypy:)", re.IGNORECASE)
_BOM: Final = b"\xef\xbb\xbf"

Place = tuple[int, int]
"""Line, from 1, and column, from 0, in characters."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
_INNER: Final = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Unreadable(Exception):  # noqa: N818 - an outcome that `read` turns into a remark
    """The file is no Python that can be rewritten; the message says why, without its name."""


@dataclass(frozen=True)
class Document:
    """A file that parses.

    Attributes:
        name: as it was given.
        data: its bytes, a byte order mark included.
        text: decoded, without that mark; line ends are as they were.
        parents: of each node.
        width: how long the project's lines may be.
    """

    name: str
    data: bytes
    text: str
    encoding: str
    tree: ast.Module
    lines: tuple[str, ...]
    parents: dict[ast.AST, ast.AST] = field(repr=False)
    width: int = WIDTH
    _comments: tuple[tuple[Place, str], ...] = ()
    _scopes: dict[ast.AST, frozenset[str]] = field(default_factory=dict, repr=False)

    @property
    def has_mark(self) -> bool:
        """Whether the file begins with a byte order mark."""
        return self.data.startswith(_BOM)

    def start(self, node: ast.AST) -> Place:
        """Where a node begins."""
        line = getattr(node, "lineno", 1)
        return line, self._column(line, getattr(node, "col_offset", 0))

    def end(self, node: ast.AST) -> Place:
        """Where a node ends."""
        line = getattr(node, "end_lineno", 1)
        return line, self._column(line, getattr(node, "end_col_offset", 0))

    def _column(self, line: int, offset: int) -> int:
        raw = self.lines[line - 1]
        if raw.isascii():
            return offset
        return len(raw.encode("utf-8", "surrogateescape")[:offset].decode("utf-8", "replace"))

    def source(self, node: ast.AST) -> str:
        """A node as it is written."""
        (first, left), (last, right) = self.start(node), self.end(node)
        if first == last:
            return self.lines[first - 1][left:right]
        middle = self.lines[first : last - 1]
        return "".join((self.lines[first - 1][left:], *middle, self.lines[last - 1][:right]))

    def tail(self, node: ast.AST) -> str:
        """What follows a node on its last line."""
        line, column = self.end(node)
        return self.lines[line - 1][column:].rstrip("\r\n")

    def indent(self, line: int) -> str:
        """What a line begins with."""
        raw = self.lines[line - 1]
        return raw[: len(raw) - len(raw.lstrip(" \t"))]

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """What contains a node, innermost first."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def statement(self, node: ast.AST) -> ast.stmt:
        """The statement that a node belongs to, or that it is."""
        return next(each for each in (node, *self.around(node)) if isinstance(each, ast.stmt))

    def scope(self, node: ast.AST) -> ast.AST:
        """The function, class or module whose names a node uses."""
        return next(each for each in self.around(node) if isinstance(each, _SCOPES))

    def function(self, node: ast.AST) -> Function | None:
        """The innermost function around a node."""
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        return next((each for each in self.around(node) if isinstance(each, kinds)), None)

    def inner_scopes(self, node: ast.AST) -> Iterator[ast.AST]:
        """Lambdas and comprehensions between a node and its statement."""
        for each in self.around(node):
            if isinstance(each, ast.stmt):
                return
            if isinstance(each, _INNER):
                yield each

    def visible_names(self, node: ast.AST) -> set[str]:
        """Names of the functions around a node, and of its module."""
        names = set(self._bound(self.tree))
        for each in self.around(node):
            if isinstance(each, Function | ast.Lambda):
                names.update(self._bound(each))
        return names

    def _bound(self, scope: ast.AST) -> frozenset[str]:
        if scope not in self._scopes:
            shallow = isinstance(scope, ast.Module)
            self._scopes[scope] = frozenset(bound_names(scope, shallow=shallow))
        return self._scopes[scope]

    @cached_property
    def calls(self) -> dict[int, list[ast.Call]]:
        """Every call, by the line that it begins in."""
        found: dict[int, list[ast.Call]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                found.setdefault(node.lineno, []).append(node)
        return found

    @cached_property
    def functions(self) -> dict[str, list[Function]]:
        """Every function and method, by its name."""
        found: dict[str, list[Function]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                found.setdefault(node.name, []).append(node)
        return found

    def find_call(self, site: Site) -> ast.Call | None:
        """The call of a site, if it stands where the site says."""
        executor = ast.dump(_expression(site.executor))
        found = [
            node
            for node in self.calls.get(site.span.line, ())
            if site.span.column in {node.col_offset + 1, self.start(node)[1] + 1}
            and ast.dump(node.func) == executor
        ]
        return found[0] if len(found) == 1 else None

    def comments(self, first: Place, last: Place) -> tuple[str, ...]:
        """Comments between two places, without those that speak to a tool about their line."""
        start = bisect_left(self._comments, (first, ""))
        return tuple(
            text for _, text in self._comments[start : bisect_left(self._comments, (last, ""))]
        )


def read(name: str, data: bytes, width: int = WIDTH) -> Document:
    """Parse a file; raise Unreadable."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.removeprefix(_BOM).decode(encoding.removesuffix("-sig"))
        with warnings.catch_warnings():
            # about the service's code, which is not ours to judge
            warnings.simplefilter("ignore")
            tree = ast.parse(data, name)
    except SyntaxError as error:
        place = f"line {error.lineno}: " if error.lineno else ""
        raise Unreadable(f"is no Python 3: {place}{error.msg}") from error
    except (UnicodeDecodeError, LookupError, ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(f"cannot be read as Python: {error}") from error
    lines = tuple(_LINE_END.split(text))
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    comments = tuple(
        (token.start, token.string)
        for token in tokenize.generate_tokens(io.StringIO(text, newline="").readline)
        if token.type == tokenize.COMMENT and not _PRAGMA.match(token.string)
    )
    return Document(name, data, text, encoding, tree, lines, parents, width, comments)


def parse_expression(source: str) -> ast.expr:
    """The tree of an expression, also of one that is written over several lines."""
    return ast.parse(f"(\n{source}\n)", mode="eval").body


def same(one: ast.AST, other: ast.AST) -> bool:
    """Whether two expressions are written alike, but for layout."""
    return ast.dump(one) == ast.dump(other)


def _expression(source: str) -> ast.AST:
    try:
        return parse_expression(source)
    except SyntaxError:
        return ast.Constant(value=source)


def bound_names(node: ast.AST, *, shallow: bool = False) -> Iterator[str]:
    """Names that are bound anywhere in a tree, or without those inside functions and classes."""
    for each in _walk_shallow(node) if shallow else ast.walk(node):
        yield from own_names(each)


def own_names(node: ast.AST) -> tuple[str, ...]:
    """Names that this very node binds, by whatever kind of statement or expression."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            return (name,)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.alias(name=name, asname=None):
            return (name.partition(".")[0],)
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return tuple(names)
        case (
            ast.alias(asname=str(name))
            | ast.ExceptHandler(name=str(name))
            | ast.MatchAs(name=str(name))
            | ast.MatchStar(name=str(name))
            | ast.MatchMapping(rest=str(name))
        ):
            return (name,)
        case _:
            return ()


def _walk_shallow(node: ast.AST) -> Iterator[ast.AST]:
    for each in ast.iter_child_nodes(node):
        yield each
        if not isinstance(each, _SCOPES):
            yield from _walk_shallow(each)


def loaded_names(node: ast.AST) -> Iterator[str]:
    """Names that are read anywhere in a tree."""
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
            yield each.id
