"""Uses and a service's files → the files' new bytes, and what stays and why."""

import ast
import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from privmigrate.callsites.reasons import EXPLAINED
from privmigrate.callsites.site import Reason, Site
from privmigrate.convert import rewrite
from privmigrate.convert.document import (
    Document,
    Function,
    Place,
    Unreadable,
    loaded_names,
    read,
)
from privmigrate.convert.imports import (
    NewImport,
    import_names,
    is_named_elsewhere,
    name_module,
    place,
)
from privmigrate.convert.replace import Because, Left, Replacement, Target, replace
from privmigrate.convert.spelling import Call, Lines, lay_out
from privmigrate.convert.tidy import unneeded
from privmigrate.convert.use import Unlinked, Use, Why
from privmigrate.diagnostics import Span

_WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Kept:
    """An import that nothing in its file reads any more, and the file that still names it."""

    span: Span
    name: str
    elsewhere: str


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file.

    Attributes:
        document: as it was.
        after: its new bytes.
        replacements: the calls that went.
        removed: (line, what) of statements and functions that went with them.
        kept: imports that would have gone.
        statements: those of what was removed that built command lines.
    """

    document: Document
    after: bytes
    replacements: tuple[Replacement, ...]
    removed: tuple[tuple[int, str], ...] = ()
    kept: tuple[Kept, ...] = ()
    statements: tuple[ast.stmt, ...] = ()


@dataclass(frozen=True, slots=True)
class Rewriting:
    """Everything that came of it; nothing is written yet."""

    files: tuple[FileChange, ...]
    left: tuple[Left, ...]


def rewrite_callers(
    uses: Sequence[Use],
    unlinked: Sequence[Unlinked],
    files: Mapping[str, bytes],
    target: Target,
) -> Rewriting:
    """Rewrite the files that have calls; `files` has all of the service, its tests too."""
    texts = {name: data.decode("utf-8", "replace") for name, data in files.items()}
    left = [_unlinked(each) for each in unlinked]
    by_file: dict[str, list[Use]] = {}
    for use in uses:
        by_file.setdefault(use.site.span.file, []).append(use)
    changed = []
    for name, own in sorted(by_file.items()):
        try:
            document = read(name, files[name], target.width)
            change, stays = rewrite_file(document, own, target, texts)
        except KeyError:
            left += [_left(use.site, Because.UNREADABLE, "is not there any more") for use in own]
            continue
        except Unreadable as error:
            left += [_left(use.site, Because.UNREADABLE, str(error)) for use in own]
            continue
        left += stays
        if change is not None:
            changed.append(change)
    left.sort(key=lambda each: (each.span, each.text))
    return Rewriting(tuple(changed), tuple(left))


def _left(site: Site, because: Because, text: str) -> Left:
    return Left(site.span, because, because.value, text)


def _unlinked(each: Unlinked) -> Left:
    reasons = [reason.value for reason in each.site.reasons]
    # wrappers are told apart: their callers are the sites
    if Reason.WRAPPER in each.site.reasons or each.why is Why.WRAPPER:
        given = each.site.given
        text = f"{each.text}: {given.why}" if given is not None and given.why else each.text
        return Left(each.site.span, Because.UNLINKED, Reason.WRAPPER.value, text)
    if each.why is not Why.UNRESOLVED or not reasons:
        return Left(each.site.span, Because.UNLINKED, each.why.value, each.text)
    text = "; ".join(EXPLAINED[reason].why for reason in reasons)
    return Left(each.site.span, Because.UNLINKED, ", ".join(reasons), text)


def rewrite_file(
    document: Document, uses: Sequence[Use], target: Target, texts: Mapping[str, str]
) -> tuple[FileChange | None, list[Left]]:
    """Rewrite one file; `texts` has the others, which may name what it imports."""
    done: list[Replacement] = []
    left: list[Left] = []
    imports: dict[str, NewImport] = {}
    modules = {use.op.module for use in uses}
    named = {module: name_module(document, target.package, module) for module in modules}
    for use in uses:
        naming = named[use.op.module]
        if naming is None:
            text = f"{target.package}.{use.op.module} has no name here that is not taken"
            left.append(_left(use.site, Because.NAME, text))
            continue
        outcome = replace(use, document, naming.name, target)
        if isinstance(outcome, Left):
            left.append(outcome)
            continue
        done.append(outcome)
        if naming.new is not None:
            imports[naming.new.text] = naming.new
        for module, name in outcome.imports:
            if name not in import_names(document):
                own = target.package.partition(".")[0]
                new = place(document, f"from {module} import {name}", own)
                imports[new.text] = new
    done, nested = _without_nested(done)
    left += nested
    if not done:
        return None, left
    statements = unneeded(document, done)
    functions = _unused_functions(document, done, statements, texts)
    dropped, kept = _unused_imports(document, done, (*statements, *functions), texts)
    opened = {id(each): _opened(each.form, each.call, document) for each in done}
    changes = rewrite.Changes(
        {
            _place(each.call, document): laid_out(
                each.form, each.call, document, opened=opened[id(each)] is not None
            )
            for each in done
        },
        frozenset(document.start(each) for each in (*statements, *functions)),
        _comments(document, done, statements),
        imports=tuple(imports[text] for text in sorted(imports)),
        dropped=frozenset(dropped),
        opened={
            _place(outer, document): _below(each.call, document)
            for each in done
            if (outer := opened[id(each)]) is not None
        },
    )
    removed = [
        (each.lineno, document.lines[each.lineno - 1].strip()) for each in (*statements, *functions)
    ]
    removed += [(import_names(document)[name][0].lineno, f"import of {name}") for name in dropped]
    after = rewrite.apply(document, changes)
    done.sort(key=lambda each: each.use.site.span)
    return (
        FileChange(document, after, tuple(done), tuple(sorted(removed)), tuple(kept), statements),
        left,
    )


def _place(node: ast.AST, document: Document) -> tuple[Place, Place]:
    return document.start(node), document.end(node)


def _below(node: ast.expr, document: Document) -> str:
    """What a line that is opened begins with, behind what its block's lines begin with."""
    own = _on_its_own_line(document, node)
    return f"{_indent(node, document)}    ".removeprefix(document.indent(own.lineno))


def _without_nested(done: list[Replacement]) -> tuple[list[Replacement], list[Left]]:
    """Leave calls whose arguments hold another one of them, and these too."""
    inner = {
        id(node)
        for each in done
        for node in ast.walk(each.call)
        if node is not each.call and isinstance(node, ast.Call)
    }
    nested = [each for each in done if id(each.call) in inner]
    holders = [
        each
        for each in done
        if any(id(node) in {id(other.call) for other in nested} for node in ast.walk(each.call))
    ]
    stays = {id(each) for each in (*nested, *holders)}
    text = "one command's call stands among the arguments of another's"
    return (
        [each for each in done if id(each) not in stays],
        [_left(each.use.site, Because.NESTED, text) for each in done if id(each) in stays],
    )


def laid_out(form: Call, node: ast.expr, document: Document, *, opened: bool = False) -> str:
    """A call as it is written in a node's place, or where it is `opened` on a line of its own."""
    line, column = document.start(node)
    newline = "\r\n" if document.lines[line - 1].endswith("\r\n") else "\n"
    lines = Lines(newline, document.width)
    indent, tail = _indent(node, document), len(document.tail(node))
    inner = f"{indent}    "
    text = lay_out(form, column, indent, tail, lines)
    if opened:
        text = lay_out(form, len(inner), inner, tail, lines)
    elif _is_too_long(text, column, tail, lines):
        below = lay_out(form, len(inner), inner, tail + 1, lines)
        if _is_too_long(below, len(inner), tail + 1, lines) or len(inner) >= column:
            module, _, name = form.callee.rpartition(".")
            rest = lay_out(
                dataclasses.replace(form, callee=f".{name}"), len(inner), inner, tail + 1, lines
            )
            text = f"({newline}{inner}{module}{newline}{inner}{rest})" if module else text
        else:
            text = f"({newline}{inner}{below})"
    own = _on_its_own_line(document, node)
    # the block's own indentation comes with the block
    return text.replace(newline + document.indent(own.lineno), newline)


def stated(callee: str, arguments: Sequence[str], beside: ast.stmt, document: Document) -> str:
    """A call as a statement of its own, in the block of another statement."""
    indent = document.indent(beside.lineno)
    form = Call(callee, ("", ()), tuple(arguments))
    text = lay_out(form, len(indent), indent, 0, Lines(width=document.width))
    # the block's own indentation comes with the block
    return text.replace(f"\n{indent}", "\n")


def _is_too_long(text: str, column: int, tail: int, lines: Lines) -> bool:
    """Whether its first line is, with what follows it there, if it is the only one."""
    first, below, _ = text.partition(lines.newline)
    return column + len(first) + (0 if below else tail) > lines.width


def _indent(node: ast.expr, document: Document) -> str:
    """What the line begins with that a node begins in, as far as what is below it goes."""
    line, _ = document.start(node)
    statement = document.statement(node)
    # a header, which what it holds is indented as well
    header = hasattr(statement, "body") and document.start(statement)[0] == line
    return document.indent(line) + ("    " if header else "")


def _opened(form: Call, node: ast.expr, document: Document) -> ast.Call | None:
    """The call around one whose head is too long, and that can begin a line below its bracket."""
    place = line, column = document.start(node)
    indent, lines = _indent(node, document), Lines(width=document.width)
    tail = len(document.tail(node))
    text = lay_out(form, column, indent, tail, lines)
    inner = len(indent) + 4
    if inner >= column or not _is_too_long(text, column, tail, lines):
        return None
    if _is_too_long(lay_out(form, inner, " " * inner, tail, lines), inner, tail, lines):
        return None
    inside: ast.AST = node
    for outer in document.around(node):
        if isinstance(outer, ast.Call) and outer.args and outer.args[0] is inside:
            bracket = document.lines[line - 1][:column].endswith("(")
            return outer if bracket else None
        if not isinstance(outer, ast.expr) or document.start(outer) != place:
            return None
        inside = outer
    return None


def _comments(
    document: Document, done: Sequence[Replacement], statements: Sequence[ast.stmt]
) -> dict[tuple[int, int], tuple[str, ...]]:
    """Comments inside of what goes, by the statement that they come to stand above."""
    found: dict[tuple[int, int], tuple[str, ...]] = {}
    for each in done:
        comments = document.comments(document.start(each.call), document.end(each.call))
        if comments:
            key = document.start(_on_its_own_line(document, each.call))
            found[key] = (*found.get(key, ()), *comments)
    calls = sorted(done, key=lambda each: document.start(each.call))
    for statement in statements:
        first = document.start(statement)
        last = (document.end(statement)[0] + 1, 0)
        comments = document.comments(first, last)
        if not comments:
            continue
        function = document.function(statement)
        following = (
            each
            for each in calls
            if document.start(each.call) > first and document.function(each.call) is function
        )
        if (after := next(following, None)) is not None:
            key = document.start(_on_its_own_line(document, after.call))
            found[key] = (*comments, *found.get(key, ()))
    return found


def _on_its_own_line(document: Document, node: ast.AST) -> ast.stmt:
    """The innermost statement around a node that begins a line and a block's row."""
    statement = document.statement(node)
    while True:
        line, column = document.start(statement)
        parent = document.parents[statement]
        is_elif = isinstance(parent, ast.If) and document.lines[line - 1][column:].startswith("el")
        if not document.lines[line - 1][:column].strip() and not is_elif:
            return statement
        statement = document.statement(parent)


def _unused_imports(
    document: Document,
    done: Sequence[Replacement],
    gone: Sequence[ast.AST],
    texts: Mapping[str, str],
) -> tuple[list[str], list[Kept]]:
    """Imports of which the last reader went, and those among them that another file names."""
    nodes = [*(each.call for each in done), *gone]
    were = {name for node in nodes for name in loaded_names(node)}
    inside = {id(node) for each in nodes for node in ast.walk(each)}
    still = {
        node.id
        for node in ast.walk(document.tree)
        if isinstance(node, ast.Name) and id(node) not in inside
    }
    still |= {name for each in done for name in loaded_names(each.expression)}
    still |= {
        text.value
        for node in ast.walk(document.tree)
        if isinstance(node, ast.List | ast.Tuple)
        for text in node.elts
        if isinstance(text, ast.Constant) and isinstance(text.value, str)
    }  # __all__ and the like
    dropped: list[str] = []
    kept: list[Kept] = []
    module = done[0].use.site.module
    for name, (node, _) in import_names(document).items():
        if name not in were or name in still:
            continue
        other = is_named_elsewhere(module, name, texts, document.name)
        if other is None:
            dropped.append(name)
        else:
            kept.append(Kept(Span(document.name, node.lineno), name, other))
    return dropped, kept


def _unused_functions(
    document: Document,
    done: Sequence[Replacement],
    gone: Sequence[ast.stmt],
    texts: Mapping[str, str],
) -> tuple[Function, ...]:
    """Private functions and methods that only what went has called."""
    removed = [document.source(node) for node in (*(each.call for each in done), *gone)]
    found = []
    for node in ast.walk(document.tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.decorator_list:
            continue
        private = node.name.startswith("_") and not node.name.endswith("__")
        if not private or document.function(node) is not None:
            continue
        if not any(_count(text, node.name) for text in removed):
            continue
        inside = sum(_count(text, node.name) for text in (*removed, document.source(node)))
        if sum(_count(text, node.name) for text in texts.values()) == inside:
            found.append(node)
    return tuple(found)


def _count(text: str, name: str) -> int:
    """How often a name stands in a text, in whatever role."""
    return _WORD.findall(text).count(name) if name in text else 0
