"""Writes what was decided into a file's text: calls replaced, statements gone, imports added.

Everything else stays as it is, byte for byte: comments, line ends, encoding.
"""

import codecs
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from privmigrate.convert.document import Document, Place, Unreadable
from privmigrate.convert.imports import NewImport
from privmigrate.errors import InternalError

_BLANK: Final = cst.EmptyLine(indent=False)
Body = Sequence[cst.BaseStatement] | Sequence[cst.SimpleStatementLine | cst.BaseCompoundStatement]
_Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement


@dataclass(frozen=True, slots=True)
class Changes:
    """What to do to one file; places are those of its text before.

    Attributes:
        expressions: new text of expressions, by where they begin and end.
        removed: where statements begin that go.
        comments: what statements get above them, by where they begin.
        added: statements that come behind others, by where these begin.
        first: what functions begin with, by where they begin.
        methods: a method that a class gets before its others, by where it begins.
        imports: statements to add.
        dropped: names of which the top-level imports go.
        opened: calls whose arguments begin on a line of their own, and what it begins with.
    """

    expressions: Mapping[tuple[Place, Place], str]
    removed: frozenset[Place] = frozenset()
    comments: Mapping[Place, Sequence[str]] = field(default_factory=dict)
    added: Mapping[Place, Sequence[str]] = field(default_factory=dict)
    first: Mapping[Place, Sequence[str]] = field(default_factory=dict)
    methods: Mapping[Place, str] = field(default_factory=dict)
    imports: Sequence[NewImport] = ()
    dropped: frozenset[str] = frozenset()
    opened: Mapping[tuple[Place, Place], str] = field(default_factory=dict)


def apply(document: Document, changes: Changes) -> bytes:
    """Make the new bytes of a file; raise Unreadable for one that cannot be edited."""
    data = document.data.removeprefix(codecs.BOM_UTF8)
    try:
        wrapper = MetadataWrapper(cst.parse_module(data), unsafe_skip_copy=True)
        editor = _Editor(wrapper.module, changes)
        module = wrapper.visit(editor)
    except (cst.ParserSyntaxError, cst.CSTValidationError, RecursionError) as error:
        why = str(error).partition("\n")[0]
        raise Unreadable(f"cannot be edited: {why}") from error
    if missed := set(changes.expressions) - editor.replaced:
        raise InternalError(f"{document.name}: the call at {min(missed)[0]} was not found again")
    return (codecs.BOM_UTF8 if document.has_mark else b"") + module.bytes


class _Editor(cst.CSTTransformer):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, module: cst.Module, changes: Changes) -> None:
        super().__init__()
        self._module = module
        self._changes = changes
        self.replaced: set[tuple[Place, Place]] = set()

    def _place(self, node: cst.CSTNode) -> tuple[Place, Place]:
        found = self.get_metadata(PositionProvider, node)
        return (found.start.line, found.start.column), (found.end.line, found.end.column)

    def leave_Call(  # noqa: N802 - libcst's name
        self, original_node: cst.Call, updated_node: cst.Call
    ) -> cst.BaseExpression:
        below = self._changes.opened.get(self._place(original_node))
        if below is not None:
            space = cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace(below))
            updated_node = updated_node.with_changes(whitespace_before_args=space)
        return self._replaced(original_node, updated_node)

    def leave_Name(  # noqa: N802 - libcst's name
        self, original_node: cst.Name, updated_node: cst.Name
    ) -> cst.BaseExpression:
        return self._replaced(original_node, updated_node)

    def leave_Attribute(  # noqa: N802 - libcst's name
        self, original_node: cst.Attribute, updated_node: cst.Attribute
    ) -> cst.BaseExpression:
        return self._replaced(original_node, updated_node)

    def _replaced(
        self, original: cst.BaseExpression, updated: cst.BaseExpression
    ) -> cst.BaseExpression:
        place = self._place(original)
        text = self._changes.expressions.get(place)
        if text is None:
            return updated
        self.replaced.add(place)
        new = cst.parse_expression(text, self._module.config_for_parsing)
        return new.with_changes(lpar=[*updated.lpar, *new.lpar], rpar=[*new.rpar, *updated.rpar])

    def leave_FunctionDef(  # noqa: N802 - libcst's name
        self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef
    ) -> cst.FunctionDef:
        texts = self._changes.first.get(self._place(original_node)[0], ())
        block = updated_node.body
        if not texts or not isinstance(block, cst.IndentedBlock):
            return updated_node
        place = 1 if original_node.get_docstring() is not None else 0
        body = [*block.body[:place], *map(_parsed, texts), *block.body[place:]]
        return updated_node.with_changes(body=block.with_changes(body=body))

    def leave_ClassDef(  # noqa: N802 - libcst's name
        self, original_node: cst.ClassDef, updated_node: cst.ClassDef
    ) -> cst.ClassDef:
        text = self._changes.methods.get(self._place(original_node)[0])
        block = updated_node.body
        if text is None or not isinstance(block, cst.IndentedBlock):
            return updated_node
        functions = (n for n, each in enumerate(block.body) if isinstance(each, cst.FunctionDef))
        number = next(functions, len(block.body))
        method = cst.ensure_type(cst.parse_statement(text), cst.FunctionDef)
        after = list(block.body[number:])
        blanks = [_BLANK]
        if not number and isinstance(after[0], _Statement):
            blanks, rest = _split_blanks(after[0].leading_lines)
            after[0] = after[0].with_changes(leading_lines=[_BLANK, *rest])
        method = method.with_changes(leading_lines=blanks)
        body = [*block.body[:number], method, *after]
        return updated_node.with_changes(body=block.with_changes(body=body))

    def leave_IndentedBlock(  # noqa: N802 - libcst's name
        self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock
    ) -> cst.BaseSuite:
        body, left = self._edit(original_node.body, updated_node.body, top=False)
        if not body:
            body = [cst.SimpleStatementLine([cst.Pass()])]
        footer = _joined(left, updated_node.footer) if left else updated_node.footer
        return updated_node.with_changes(body=body, footer=footer)

    def leave_Module(  # noqa: N802 - libcst's name
        self, original_node: cst.Module, updated_node: cst.Module
    ) -> cst.Module:
        body, left = self._edit(original_node.body, updated_node.body, top=True)
        footer = _joined(left, updated_node.footer) if left else updated_node.footer
        return updated_node.with_changes(body=body, footer=footer)

    def _edit(
        self, before: Body, after: Body, *, top: bool
    ) -> tuple[list[cst.BaseStatement], list[cst.EmptyLine]]:
        """The statements that stay, and the comments of those that went from the end."""
        body: list[cst.BaseStatement] = []
        carried: list[cst.EmptyLine] = []
        went = False
        for old, new in zip(before, after, strict=True):
            statement = self._without_imports(new) if top else new
            statement = self._without_removed(old, statement)
            if statement is None:
                carried = _joined(carried, self._remains(new))
                went = True
                for each in self._changes.imports if top else ():
                    if self._is_beside(each, old):
                        body.append(_parsed(each.text).with_changes(leading_lines=carried))
                        carried, went = [], False
                continue
            if not isinstance(statement, _Statement):
                raise InternalError("a block has something else than statements")
            lines = list(statement.leading_lines)
            if went:
                below = lines if top else _beside(carried, lines)
                lines = _joined(carried, below)
            if went and not body and not top:
                lines = _without_first_blanks(lines)
            notes = self._changes.comments.get(self._place(old)[0], ())
            lines = [*lines, *map(_comment, notes)]
            changed = statement.with_changes(leading_lines=lines)
            body.extend(self._with_imports(old, changed) if top else (changed,))
            body.extend(map(_parsed, self._changes.added.get(self._place(old)[0], ())))
            carried, went = [], False
        if top and not before:
            body.extend(_parsed(each.text) for each in self._changes.imports)
        return body, carried

    def _remains(self, gone: cst.CSTNode) -> Sequence[cst.EmptyLine]:
        """What stays of a statement that goes: the lines above it, unless it is a function."""
        if isinstance(gone, cst.FunctionDef) or not isinstance(gone, _Statement):
            return ()
        return gone.leading_lines

    def _without_removed(self, old: cst.CSTNode, new: cst.CSTNode | None) -> cst.CSTNode | None:
        if new is None or self._place(old)[0] in self._changes.removed:
            alone = not isinstance(old, cst.SimpleStatementLine) or len(old.body) == 1
            if new is None or alone:
                return None
        if not isinstance(old, cst.SimpleStatementLine) or not isinstance(
            new, cst.SimpleStatementLine
        ):
            return new
        if len(old.body) != len(new.body):  # imports, of which some went
            return new
        small = [
            part
            for was, part in zip(old.body, new.body, strict=True)
            if self._place(was)[0] not in self._changes.removed
        ]
        return _line(new, small)

    def _without_imports(self, new: cst.CSTNode) -> cst.CSTNode | None:
        dropped = self._changes.dropped
        if not dropped or not isinstance(new, cst.SimpleStatementLine):
            return new
        small = [each for part in new.body if (each := _without_names(part, dropped)) is not None]
        return _line(new, small)

    def _is_beside(self, each: NewImport, old: cst.CSTNode) -> bool:
        (first, _), (last, _) = self._place(old)
        return each.anchor is not None and first <= each.anchor[0] <= last

    def _with_imports(
        self, old: cst.CSTNode, new: cst.BaseStatement
    ) -> Iterable[cst.BaseStatement]:
        before: list[cst.BaseStatement] = []
        after: list[cst.BaseStatement] = []
        for each in self._changes.imports:
            if not self._is_beside(each, old):
                continue
            if each.after:
                blank = [_BLANK] if each.apart and not after else []
                after.append(_parsed(each.text).with_changes(leading_lines=blank))
                continue
            statement = _parsed(each.text)
            if isinstance(new, _Statement) and not before:
                blanks, rest = _split_blanks(new.leading_lines)
                statement = statement.with_changes(leading_lines=blanks)
                new = new.with_changes(leading_lines=[_BLANK, *rest] if each.apart else rest)
            before.append(statement)
        return (*before, new, *after)


def _line(
    new: cst.SimpleStatementLine, small: Sequence[cst.BaseSmallStatement]
) -> cst.SimpleStatementLine | None:
    if not small:
        return None
    if len(small) == len(new.body) and all(map(_is, small, new.body)):
        return new
    *others, last = small
    return new.with_changes(body=[*others, last.with_changes(semicolon=cst.MaybeSentinel.DEFAULT)])


def _is(one: object, other: object) -> bool:
    return one is other


def _without_names(
    part: cst.BaseSmallStatement, dropped: frozenset[str]
) -> cst.BaseSmallStatement | None:
    if not isinstance(part, cst.Import | cst.ImportFrom) or isinstance(part.names, cst.ImportStar):
        return part
    names = [each for each in part.names if _bound(each) not in dropped]
    if not names:
        return None
    if len(names) == len(part.names):
        return part
    names[-1] = names[-1].with_changes(comma=part.names[-1].comma)
    return part.with_changes(names=names)


def _bound(alias: cst.ImportAlias) -> str:
    name: cst.BaseExpression = alias.asname.name if alias.asname else alias.name
    while isinstance(name, cst.Attribute):
        name = name.value
    return name.value if isinstance(name, cst.Name) else ""


def _parsed(text: str) -> cst.SimpleStatementLine:
    statement = cst.parse_statement(text)
    if not isinstance(statement, cst.SimpleStatementLine):
        raise InternalError(f"{text!r} is no import")
    return statement


def _comment(text: str) -> cst.EmptyLine:
    return cst.EmptyLine(comment=cst.Comment(text))


def _split_blanks(
    lines: Sequence[cst.EmptyLine],
) -> tuple[list[cst.EmptyLine], list[cst.EmptyLine]]:
    rest = _without_first_blanks(lines)
    return list(lines[: len(lines) - len(rest)]), rest


def _without_first_blanks(lines: Sequence[cst.EmptyLine]) -> list[cst.EmptyLine]:
    kept = list(lines)
    while kept and kept[0].comment is None:
        del kept[0]
    return kept


def _beside(above: Sequence[cst.EmptyLine], below: list[cst.EmptyLine]) -> list[cst.EmptyLine]:
    """Lines without the blank ones that would part a comment from what it is about now."""
    rest = _without_first_blanks(below)
    return rest if above and above[-1].comment is not None and not rest else below


def _joined(above: Sequence[cst.EmptyLine], below: Sequence[cst.EmptyLine]) -> list[cst.EmptyLine]:
    """Lines above what went, and above what follows it; blank lines between them once."""
    if not any(line.comment for line in above):
        return list(below if below and below[0].comment is None else [*above, *below])
    if above[-1].comment is None and below and below[0].comment is None:
        return [*above[:-1], *below]
    return [*above, *below]
