"""How a file names the entrypoints' module: in its own style, and where the import goes."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from privmigrate.convert.document import Document, Place, bound_names, own_names

_WORD: Final = re.compile(r"\w+")
_DOTTED: Final = re.compile(r"(\w+)\.(?=(\w+))")
_RENAMED: Final = re.compile(r"\bimport\s[^\n]*?\b(\w+)\s+as\s+(\w+)")
_FROM: Final = re.compile(r"\bfrom\s+([\w.]+)\s+import\s+(\([^)]*\)|[^\n]*)")

Import = ast.Import | ast.ImportFrom


@dataclass(frozen=True, slots=True)
class NewImport:
    """An import statement and its neighbour.

    Attributes:
        anchor: where the top-level statement begins that it stands beside; None in a file that
            has none.
        after: behind it, not in front of it.
        apart: with a blank line between them.
    """

    text: str
    anchor: Place | None
    after: bool = True
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Naming:
    """What the module is called here, and what has to be imported for it, if anything."""

    name: str
    new: NewImport | None = None


def name_module(document: Document, package: str, module: str) -> Naming | None:
    """How this file calls a module of the package; None where every name is taken."""
    top = package.partition(".")[0]
    dotted = f"{package}.{module}"
    own = [node for node in document.tree.body if isinstance(node, Import)]
    for node in own:
        for alias in node.names:
            match node:
                case ast.Import() if alias.name == dotted:
                    if alias.asname or not _is_taken(document, top):
                        return Naming(alias.asname or dotted)
                case ast.ImportFrom(module=found, level=0) if (found, alias.name) == (
                    package,
                    module,
                ):
                    return Naming(alias.asname or alias.name)
                case _:
                    continue
    if not _imports_from(own, top) and not _is_taken(document, top):
        return Naming(dotted, place(document, f"import {dotted}"))
    taken = set(bound_names(document.tree)) | _used(document.tree)
    # a name that says at the call that it is privileged, as hacking's N362 wants it
    for name in (f"{package.rpartition('.')[2]}_{module}", module):
        if name not in taken:
            suffix = "" if name == module else f" as {name}"
            return Naming(name, place(document, f"from {package} import {module}{suffix}"))
    return None


def _imports_from(own: Iterable[Import], top: str) -> bool:
    """Whether the file imports the project's modules from their packages, and never whole."""
    names = [
        (isinstance(node, ast.ImportFrom), alias.name, getattr(node, "module", "") or "")
        for node in own
        for alias in node.names
    ]
    plain = any(not is_from and name.startswith(f"{top}.") for is_from, name, _ in names)
    return not plain and any(
        is_from and f"{module}.".startswith(f"{top}.") for is_from, _, module in names
    )


def _is_taken(document: Document, name: str) -> bool:
    """Whether the name of a top-level package is anything else somewhere in the file."""
    return any(
        name in own_names(node)
        for node in ast.walk(document.tree)
        if not (
            isinstance(node, ast.alias)
            and node.asname is None
            and isinstance(document.parents[node], ast.Import)
        )
    )


def _used(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def place(document: Document, text: str, own: str = "") -> NewImport:
    """Where an import goes: among those of its own package in the order of their names.

    Or among those of other projects than `own` and Python itself; or before those of `own`; or
    behind all.
    """
    body = document.tree.body
    header = list(_header(body))
    key = next(_key(each) for each in ast.parse(text).body if isinstance(each, Import))
    top = key.partition(".")[0]
    tops = {id(each): re.split(r"[. ]", _key(each))[0] for each in header}
    run = [each for each in header if tops[id(each)] == top]
    if own and not run:
        no_others = {own, "", *sys.stdlib_module_names}
        run = [each for each in header if tops[id(each)] not in no_others]
        ours = [each for each in header if tops[id(each)] == own]
        if ours and not run:
            return NewImport(text, document.start(ours[0]), after=False, apart=True)
    for each in run:
        if _key(each) > key:
            return NewImport(text, document.start(each), after=False)
    if run:
        return NewImport(text, document.start(run[-1]))
    if header:
        return NewImport(text, document.start(header[-1]), apart=True)
    if body and _is_docstring(body[0]):
        return NewImport(text, document.start(body[0]), apart=True)
    if body:
        return NewImport(text, document.start(body[0]), after=False, apart=True)
    return NewImport(text, None)


def _header(body: Sequence[ast.stmt]) -> Iterator[Import]:
    """The imports before anything else is done."""
    for node in body:
        if isinstance(node, Import):
            yield node
        elif not _is_docstring(node) and not isinstance(node, ast.Try | ast.If):
            return


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _key(node: Import) -> str:
    """What hacking's H306 compares."""
    first = node.names[0]
    alias = f" as {first.asname}" if first.asname else ""
    parts = [first.name]
    if isinstance(node, ast.ImportFrom):
        parts = ["." * node.level + (node.module or ""), first.name]
    return (".".join(parts) + alias).lower()


def import_names(document: Document) -> dict[str, tuple[Import, ast.alias]]:
    """The names that top-level imports bind, each with its statement; none that is bound twice."""
    found: dict[str, tuple[Import, ast.alias]] = {}
    for node in document.tree.body:
        if not isinstance(node, Import) or getattr(node, "module", "") == "__future__":
            continue
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            if name in found or alias.name == "*":
                found.pop(name, None)
            else:
                found[name] = (node, alias)
    return found


def is_named_elsewhere(module: str, name: str, texts: Mapping[str, str], own: str) -> str | None:
    """A file besides its own that names this name of a module: tests patch it there."""
    last = module.rpartition(".")[2]
    for file, text in texts.items():
        if file == own or last not in text or name not in text:
            continue
        aliases = {new for old, new in _RENAMED.findall(text) if old == last} | {last}
        dotted = set(_DOTTED.findall(text))
        if any((alias, name) in dotted for alias in aliases):
            return file
        for source, names in _FROM.findall(text):
            if source.rpartition(".")[2] == last and name in _WORD.findall(names):
                return file
    return None
