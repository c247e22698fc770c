"""Modules as text, and text as modules again: the one place that knows libcst here.

What is put together is parsed, so that nothing which is no Python is ever written; what stands on
disk is taken apart without losing a comment.
"""

import ast
import re
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import libcst as cst

from privmigrate.convert.code import MARK
from privmigrate.convert.layout import WIDTH
from privmigrate.errors import InputError

_EMPTY: Final = cst.Module(body=())
_NAME: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, order=True)
class Import:
    """One imported name; without `name` it is ``import module``."""

    module: str
    name: str = ""
    alias: str = ""

    @property
    def bound(self) -> str:
        """The name by which code uses it."""
        return self.alias or self.name or self.module.partition(".")[0]

    def __str__(self) -> str:
        """The statement."""
        alias = f" as {self.alias}" if self.alias else ""
        if not self.name:
            return f"import {self.module}{alias}"
        return f"from {self.module} import {self.name}{alias}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A top-level statement as it stands in a file.

    Attributes:
        identity: the key of the mark above it, ``=NAME`` for an assignment, or "" for neither.
        name: what it defines, or "".
        mark: the line of provenance.
        text: the statement with the comments above it, without the mark and blank lines.
        blank: how many blank lines stood above, where a person decides on that.
    """

    identity: str
    name: str
    mark: str
    text: str
    blank: int = 0


@dataclass(frozen=True, slots=True)
class ModuleText:
    """A module taken apart; `pieces` are in the order of the text."""

    doc: str
    imports: tuple[Import, ...]
    pieces: tuple[Piece, ...]
    footer: str = ""


def assemble(module: ModuleText, package: str) -> str:
    """Put a module together as `ruff format` and hacking's order of imports leave it."""
    blocks: list[str] = []
    if module.doc:
        blocks.append(module.doc)
    blocks.extend(f"\n{section}" for section in _import_sections(module.imports, package))
    text = "\n".join(blocks) + "\n" if blocks else ""
    before = ""
    for piece in module.pieces:
        whole = f"{piece.mark}\n{piece.text}" if piece.mark else piece.text
        simple = not _is_block(piece.text)
        gap = _gap(before, piece, simple=simple, first=not text)
        text += f"{gap}{whole}\n"
        before = "simple" if simple else "block"
    if module.footer:
        text += f"\n\n{module.footer}\n" if before == "block" else f"\n{module.footer}\n"
    _parse(text)
    return text


def _parse(text: str) -> None:
    """Raise an error for what is no Python, of this version or of one that libcst knows."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a person wrote
            ast.parse(text)
    except SyntaxError:
        cst.parse_module(text)


def _gap(before: str, piece: Piece, *, simple: bool, first: bool) -> str:
    if first:
        return ""
    if not simple or before == "block":
        return "\n\n"
    # a comment above an assignment begins a paragraph
    if not before or piece.text.startswith("#"):
        return "\n"
    return "\n" * min(piece.blank, 2)


def _is_block(text: str) -> bool:
    line = next((line for line in text.split("\n") if not line.startswith("#")), "")
    return line.startswith(("@", "def ", "class ", "async def "))


def _import_sections(imports: Iterable[Import], package: str) -> list[str]:
    sections: dict[int, list[Import]] = {}
    own = package.partition(".")[0]
    for each in set(imports):
        top = each.module.partition(".")[0]
        rank = 2 if top == own else 0 if top in sys.stdlib_module_names else 1
        if top == "__future__":
            rank = -1
        sections.setdefault(rank, []).append(each)
    return [
        "\n".join(_wrapped(each) for each in sorted(sections[rank], key=_import_key))
        for rank in sorted(sections)
    ]


def _wrapped(each: Import) -> str:
    line = str(each)
    if len(line) <= WIDTH or not each.name:
        return line
    start, _, name = line.partition(" import ")
    return f"{start} import (\n    {name},\n)"


def _import_key(each: Import) -> tuple[str, str]:
    """By the whole dotted name, whatever its case: what hacking's H306 asks for."""
    whole = f"{each.module}.{each.name}" if each.name else each.module
    return whole.lower(), whole


def take_apart(text: str, file: str) -> ModuleText:
    """Read a module that stands on disk; raise InputError if it is no Python."""
    try:
        tree = cst.parse_module(text)
    except cst.ParserSyntaxError as error:
        place = f"{file}:{error.raw_line}:{error.raw_column + 1}"
        raise InputError(f"{place}: error: is no Python (repair it, or remove the file)") from error
    statements = list(tree.body)
    doc = ""
    header = "".join(_EMPTY.code_for_node(line) for line in tree.header)
    if statements and _is_docstring(statements[0]):
        doc = _EMPTY.code_for_node(statements.pop(0)).strip("\n")
        doc, header = f"{header.strip()}\n{doc}".strip("\n"), ""
    imports: list[Import] = []
    pieces: list[Piece] = []
    for statement in statements:
        found = _imports(statement)
        if found is not None and not header.strip():
            imports.extend(found)
            continue
        pieces.append(_piece(statement, header))
        header = ""
    footer = "".join(_EMPTY.code_for_node(line) for line in tree.footer).strip("\n")
    return ModuleText(doc, tuple(imports), tuple(pieces), footer)


def _is_docstring(statement: cst.CSTNode) -> bool:
    match statement:
        case cst.SimpleStatementLine(
            body=[cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString())]
        ):
            return True
        case _:
            return False


def _imports(statement: cst.CSTNode) -> list[Import] | None:
    match statement:
        case cst.SimpleStatementLine(body=[cst.ImportFrom(names=names, relative=()) as line]):
            if isinstance(names, cst.ImportStar) or line.module is None:
                return None
            module = _dotted(line.module)
            return [Import(module, _dotted(each.name), _alias(each)) for each in names]
        case cst.SimpleStatementLine(body=[cst.Import(names=names)]):
            return [Import(_dotted(each.name), "", _alias(each)) for each in names]
        case _:
            return None


def _dotted(node: cst.CSTNode) -> str:
    return _EMPTY.code_for_node(node)


def _alias(each: cst.ImportAlias) -> str:
    return _dotted(each.asname.name) if each.asname else ""


def _piece(statement: cst.CSTNode, header: str) -> Piece:
    whole = (header + _EMPTY.code_for_node(statement)).rstrip("\n")
    lines = whole.lstrip("\n").split("\n")
    mark = ""
    kept = []
    for number, line in enumerate(lines):
        if line and not line.startswith("#"):
            kept.extend(lines[number:])
            break
        if line.startswith(MARK) and not mark:
            mark = line
        elif line:
            kept.append(line)
    identity, name = _identity(statement, mark)
    blank = len(whole) - len(whole.lstrip("\n"))
    return Piece(identity, name, mark, "\n".join(kept), blank)


def _identity(statement: cst.CSTNode, mark: str) -> tuple[str, str]:
    key = mark.removeprefix(MARK).split()[:1]
    match statement:
        case cst.FunctionDef(name=cst.Name(value=name)) | cst.ClassDef(name=cst.Name(value=name)):
            return (key[0] if key else ""), name
        case cst.SimpleStatementLine(
            body=[cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))])]
        ):
            return f"={name}", name
        case _:
            return "", ""


def names_in(texts: Sequence[str]) -> frozenset[str]:
    """Every word in these texts that may be a name."""
    return frozenset(name for text in texts for name in _NAME.findall(text))
