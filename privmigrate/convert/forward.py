"""What the callers of entrypoints called before, for `privmigrate.testing.Forwarding`.

A caller's text is the call that went without the words of its command and without what the
entrypoint is told: ``self._execute(run_as_root=True)``.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from privmigrate.callsites.index import dotted_name
from privmigrate.convert.callers import FileChange
from privmigrate.convert.document import Document, bound_names
from privmigrate.convert.imports import import_names
from privmigrate.convert.replace import Replacement
from privmigrate.convert.spelling import WIDTH
from privmigrate.diagnostics import Span

FIXTURE: Final = "Forwarding"
IMPORT: Final = f"from privmigrate.testing import {FIXTURE}"
_PIECES: Final = (re.compile(r"[^.(]+[.(]?"), re.compile(r"[^ (]+[ (]?"))
_COMMENT: Final = "# What the callers of entrypoints called before, which tests mock."


@dataclass(frozen=True, slots=True)
class Forwards:
    """All callers.

    Attributes:
        calls: by the dotted name of the calling function, and behind a colon the entrypoint's
            where another call of the same function differs.
        unknown: where calls were that cannot be made again.
    """

    calls: Mapping[str, str] = field(default_factory=dict)
    unknown: frozenset[Span] = frozenset()


def forwards_of(files: Sequence[FileChange]) -> Forwards:
    """Read the calls that went."""
    calls: dict[str, str] = {}
    unknown: set[Span] = set()
    for change in files:
        known = _Known(change)
        for each in change.replacements:
            site = each.use.site
            name = f"{site.module}.{site.function}" if site.function else site.module
            text = known.call_of(each)
            if text and calls.setdefault(name, text) != text:
                name = f"{name}:{each.use.op.name}"  # where calls of one function differ
            if not text or calls.setdefault(name, text) != text:
                unknown.add(site.span)
    return Forwards(calls, frozenset(unknown))


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


def shortest(calls: Mapping[str, str]) -> dict[str, str]:
    """As few dotted names as tell the call of each function: the longest that fits counts."""
    found: dict[str, str] = {}
    names = {name.partition(".")[0] for name in calls}
    for top in sorted(names):
        _shorten(top, calls, "", found)
    return dict(sorted(found.items()))


def _shorten(name: str, calls: Mapping[str, str], above: str, found: dict[str, str]) -> None:
    below = {each: text for each, text in calls.items() if f"{each}.".startswith(f"{name}.")}
    here = calls.get(name, "")
    if not here:
        counts = Counter(below.values())
        # the commonest; of two as common, the first in the alphabet
        best = min(counts, key=lambda text: (-counts[text], text))
        here = best if counts[best] > counts[above] else above
    if here != above or ":" in name:
        found[name] = here
    depth = name.count(".") + 1
    for child in sorted({".".join(each.split(".")[: depth + 1]) for each in below} - {name}):
        _shorten(child, calls, here, found)


def answers(callers: Mapping[str, str], name: str) -> str:
    """What a table of callers says of a function; "" where it has nothing."""
    function, colon, _ = name.partition(":")
    if colon and name in callers:
        return callers[name]
    parts = function.split(".")
    for count in range(len(parts), 0, -1):
        if text := callers.get(".".join(parts[:count]), ""):
            return text
    return ""


def fixture_text(
    package: str, callers: Mapping[str, str], indent: str, *, use_fixture: bool
) -> tuple[str, ...]:
    """The statements of a `setUp`."""
    inner = f"{indent}    "
    lines = [f"{FIXTURE}({package!r}, {{"]
    for name, text in callers.items():
        line = f"{inner}{name!r}: {text!r},"
        if len(line) <= WIDTH:
            lines.append(line)
        else:
            lines += _split(name, inner, ":")
            lines += _split(text, f"{inner}    ", ",")
    # the block's own indentation comes with the block
    table = "\n".join([*lines, f"{indent}}})"]).replace(f"\n{indent}", "\n")
    if use_fixture:
        return (f"{_COMMENT}\nself.useFixture({table})",)
    return (
        f"{_COMMENT}\nforwarding = {table}",
        "forwarding.setUp()",
        "self.addCleanup(forwarding.cleanUp)",
    )


def _split(text: str, indent: str, end: str) -> Iterator[str]:
    """A long text as literals below each other, with what comes behind the last."""
    pieces = [""]
    # a name may be split at its dots, a call behind its commas
    for each in _PIECES[" " in text].findall(text):
        if pieces[-1] and len(indent) + len(repr(pieces[-1] + each)) + len(end) > WIDTH:
            pieces.append("")
        pieces[-1] += each
    *others, last = pieces
    yield from (f"{indent}{piece!r}" for piece in others)
    yield f"{indent}{last!r}{end}"


def stated_callers(node: ast.AST, package: str) -> dict[str, str]:
    """What the fixtures in a piece of a test file say already of this package's callers."""
    found: dict[str, str] = {}
    for each in ast.walk(node):
        match each:
            case ast.Call(func=func, args=[ast.Constant(value=str(stated)), ast.Dict() as table]):
                if ast.unparse(func).split(".")[-1] == FIXTURE and stated == package:
                    try:
                        found.update(ast.literal_eval(table))
                    except (ValueError, TypeError):
                        continue
            case _:
                continue
    return found
