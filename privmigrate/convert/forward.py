"""What the callers of entrypoints called before, for `privmigrate.testing.Forwarding`.

A caller's text is the call that went without the words of its command and without what the
entrypoint is told: ``self._execute(run_as_root=True)``. The lock remembers it, and the fixture
reads it there.
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from privmigrate.callsites.index import dotted_name
from privmigrate.callsites.site import Site
from privmigrate.convert.callers import FileChange
from privmigrate.convert.document import Document, bound_names
from privmigrate.convert.imports import import_names
from privmigrate.convert.replace import Replacement
from privmigrate.convert.replaced import Replaced
from privmigrate.diagnostics import Span

FIXTURE: Final = "Forwarding"
MODULE: Final = "privmigrate_testing"
IMPORT: Final = f"from privmigrate import testing as {MODULE}"
_COMMENT: Final = "# Commands of entrypoints go to the executors that tests mock."


@dataclass(frozen=True, slots=True)
class Forwards:
    """All callers.

    Attributes:
        calls: by where they were.
        unknown: where calls were that cannot be made again.
    """

    calls: Mapping[Span, str] = field(default_factory=dict)
    unknown: frozenset[Span] = frozenset()


def forwards_of(files: Sequence[FileChange], earlier: Sequence[Replaced] = ()) -> Forwards:
    """Read the calls that went; `earlier` are those of which entrypoints had the place before."""
    said = {(name_of(each.site), each.entrypoint): each.before for each in earlier}
    calls: dict[Span, str] = {}
    unknown: set[Span] = set()
    for change in files:
        known = _Known(change)
        for each in change.replacements:
            site, op = each.use.site, each.use.op
            text = known.call_of(each)
            # one entrypoint in one function, and so one call: what calls it does not tell which
            if text and said.setdefault((name_of(site), f"{op.module}.{op.name}"), text) == text:
                calls[site.span] = text
            else:
                unknown.add(site.span)
    return Forwards(calls, frozenset(unknown))


def name_of(site: Site) -> str:
    """The dotted name of the calling function, or of the module."""
    return f"{site.module}.{site.function}" if site.function else site.module


class _Known:
    """What a rewritten file still has names for."""

    def __init__(self, change: FileChange) -> None:
        self._document = change.document
        self._removed = [what for _, what in change.removed]
        self._before: dict[ast.AST, frozenset[str]] = {}
        after = ast.parse(change.after)
        self._globals = set(bound_names(after, shallow=True))
        self._locals: dict[str, set[str]] = {}
        for node in ast.walk(after):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self._locals.setdefault(node.name, set()).update(bound_names(node))

    def call_of(self, replacement: Replacement) -> str:
        """The call without its words, or "" where it cannot be made by names alone."""
        call = replacement.call
        executor = self._followed(call.func, call)
        told = {each.partition("=")[0] for each in replacement.form.judged[1]}
        if replacement.use.stdin:
            told.add("process_input")
        keywords = []
        for each in call.keywords:
            if each.arg in told:
                continue
            value = self._followed(each.value, call)
            if each.arg is None or not value:
                return ""
            keywords.append(f"{each.arg}={value}")
        return f"{executor}({', '.join(sorted(keywords))})" if executor else ""

    def _followed(self, node: ast.expr, call: ast.Call) -> str:
        """The text of an expression that has the same value in the function now, or ""."""
        if isinstance(node, ast.Call):
            inner = "" if node.args or node.keywords else self._followed(node.func, call)
            return f"{inner}()" if inner else ""
        dotted = dotted_name(node)
        if dotted is None:
            return _literal(node)
        first, _, rest = dotted.partition(".")
        last = dotted.rpartition(".")[2]
        if any(what.startswith((f"def {last}(", f"async def {last}(")) for what in self._removed):
            return ""
        around = [
            each
            for each in self._document.around(call)
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        if any(first in self._bound(each) for each in around):
            now = (self._locals.get(each.name, set()) for each in around)
            return dotted if any(first in names for names in now) else ""
        return dotted if first in self._globals else _imported(self._document, first, rest)

    def _bound(self, function: ast.AST) -> frozenset[str]:
        # found once: a function may have very many calls
        if function not in self._before:
            self._before[function] = frozenset(bound_names(function))
        return self._before[function]


def _literal(node: ast.expr) -> str:
    try:
        ast.literal_eval(node)
    except ValueError:
        return ""
    return ast.unparse(node)


def _imported(document: Document, name: str, rest: str) -> str:
    """The whole name of what an import that went had bound."""
    found = import_names(document).get(name)
    if found is None:
        return ""
    node, alias = found
    whole = alias.name if alias.asname else name
    if isinstance(node, ast.ImportFrom):
        if node.level:
            return ""
        whole = f"{node.module}.{alias.name}"
    return f"{whole}.{rest}" if rest else whole


def fixture_text(package: str, indent: str, width: int, *, use_fixture: bool) -> str:
    """The statement of a `setUp`."""
    use = "useFixture" if use_fixture else "enterContext"
    made = f"{MODULE}.{FIXTURE}({package!r})"
    line = f"self.{use}({made})"
    if len(indent) + len(line) > width:
        line = f"self.{use}(\n    {made})"
    return f"{_COMMENT}\n{line}"


def has_fixture(node: ast.AST, package: str) -> bool:
    """Whether a piece of a test file forwards this package's commands."""
    for each in ast.walk(node):
        match each:
            case ast.Call(func=func, args=[ast.Constant(value=str(stated)), *_]):
                if ast.unparse(func).split(".")[-1] == FIXTURE and stated == package:
                    return True
            case _:
                continue
    return False
