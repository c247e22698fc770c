"""The Python files below some paths, as bytes: what matters is searched as text and parsed later.

Nothing here fails for what it finds on disk: a file that cannot be used is a diagnostic.
"""

import ast
import os
import re
import stat
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Final

from privmigrate.diagnostics import Diagnostic, Severity, Span

UNPARSED: Final = "unparsed"
"""The code of what is told of a file that is no Python, or too deep."""

MAX_SIZE: Final = 4_000_000
MAX_FILES: Final = 100_000
MAX_DEPTH: Final = 150  # of a syntax tree: what is deeper is data that somebody generated
MAX_MODULE_FOLDERS: Final = 40
MAX_BASES_TEXT: Final = 300
_WORD: Final = re.compile(rb"[\w\x80-\xff]+")
_CLASS: Final = re.compile(rb"\bclass ")
_MUTATED: Final = re.compile(rb"([\w\x80-\xff]+)\.(?:append|extend|insert|remove|pop|clear)\(")


@dataclass(eq=False)
class SourceFile:
    """One file.

    Attributes:
        name: as it was given, or found below a folder that was given.
        module: its dotted name, by the packages that it lies in.
    """

    name: str
    module: str
    data: bytes = field(repr=False)
    package: bool = False

    def mentions(self, words: Sequence[bytes]) -> bool:
        """Whether any of the words occurs, as text."""
        return any(word in self.data for word in words)

    def assigns(self, attribute: str) -> bool:
        """Whether the text looks as if ``x.attribute`` was assigned to; rather too often."""
        for line, rest in self._around(b"." + attribute.encode()):
            head = rest.partition(b"(")[0]
            for comparison in (b"==", b"!=", b"<=", b">="):
                head = head.replace(comparison, b"")
            if b"=" in head and line.lstrip(b" (\n").count(b"(") <= line.count(b")"):
                return True
            if (b" as " in line or b"for " in line) and head.lstrip().startswith((b":", b"in ")):
                return True
        return False

    @cached_property
    def bases(self) -> frozenset[str]:
        """The words in what looks like the bases of classes; rather too many."""
        found: set[bytes] = set()
        for match in _CLASS.finditer(self.data):
            head = self.data[match.end() : match.end() + MAX_BASES_TEXT].partition(b"):")[0]
            found.update(_WORD.findall(head))
        return frozenset(each.decode("utf-8", "replace") for each in found)

    def _around(self, word: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The line before and after each occurrence of a whole word."""
        place = self.data.find(word)
        while place >= 0:
            end = place + len(word)
            rest = self.data[end : end + MAX_BASES_TEXT].partition(b"\n")[0]
            if not (rest[:1].isalnum() or rest[:1] == b"_"):
                start = self.data.rfind(b"\n", max(0, place - MAX_BASES_TEXT), place)
                yield self.data[max(start, place - MAX_BASES_TEXT, 0) : place], rest
            place = self.data.find(word, end)

    @cached_property
    def changed(self) -> frozenset[str]:
        """The names of lists that are changed in place, as far as the text tells."""
        return frozenset(each.decode("utf-8", "replace") for each in _MUTATED.findall(self.data))

    @cached_property
    def lines(self) -> list[bytes]:
        """The lines, as Python counts them."""
        return self.data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")

    def segment(self, node: ast.AST) -> str:
        """The text of a node that stands in one line, else ""."""
        line, end_line = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
        if not line or line != end_line or line > len(self.lines):
            return ""
        piece = self.lines[line - 1][getattr(node, "col_offset", 0) : node.end_col_offset]  # type: ignore[attr-defined]
        return piece.decode("utf-8", "replace")

    def span(self, node: ast.AST) -> Span:
        """Where a node stands."""
        line = getattr(node, "lineno", 0)
        column = getattr(node, "col_offset", 0) + 1
        return Span(self.name, line, column, getattr(node, "end_lineno", None) or line)


def read_files(
    paths: Sequence[str], exclude: Sequence[str]
) -> tuple[list[SourceFile], list[Diagnostic]]:
    """Read every Python file at or below the paths, each once, in a stable order."""
    found: list[SourceFile] = []
    diagnostics: list[Diagnostic] = []
    seen: set[tuple[int, int]] = set()
    packages: dict[Path, str] = {}
    for path in paths:
        for name in _walk(path, exclude, diagnostics):
            data = _read(name, seen, diagnostics)
            if data is None:
                continue
            if len(found) >= MAX_FILES:
                diagnostics.append(_problem(path, "too-many-files", f"more than {MAX_FILES} files"))
                return found, diagnostics
            package = name.endswith("/__init__.py") or name == "__init__.py"
            found.append(SourceFile(name, _module_of(name, packages), data, package))
    return found, diagnostics


def _walk(path: str, exclude: Sequence[str], diagnostics: list[Diagnostic]) -> Iterator[str]:
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError) as error:
        diagnostics.append(_problem(path, "unreadable", _why(error)))
        return
    if not stat.S_ISDIR(mode):
        yield path
        return
    unreadable: list[OSError] = []
    for folder, folders, files in os.walk(path, onerror=unreadable.append):
        inside = os.path.relpath(folder, path)
        inside = "" if inside == "." else inside + "/"
        folders[:] = sorted(
            each for each in folders if not _excluded(f"{inside}{each}/x.py", exclude)
        )
        for each in sorted(files):
            if each.endswith(".py") and not _excluded(inside + each, exclude):
                yield str(Path(folder, each))
    diagnostics += [_problem(str(e.filename), "unreadable", _why(e)) for e in unreadable]


def _excluded(name: str, exclude: Sequence[str]) -> bool:
    if name.startswith(".") or "/." in name or "__pycache__/" in name:
        return True
    return any(fnmatchcase(name, pattern) for pattern in exclude)


def _read(name: str, seen: set[tuple[int, int]], diagnostics: list[Diagnostic]) -> bytes | None:
    try:
        # a pipe or a device of that name is not waited for
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                diagnostics.append(_problem(name, "unreadable", "is no regular file"))
                return None
            if (status.st_dev, status.st_ino) in seen:
                return None
            seen.add((status.st_dev, status.st_ino))
            data = file.read(MAX_SIZE + 1)
    except (OSError, ValueError) as error:
        diagnostics.append(_problem(name, "unreadable", _why(error)))
        return None
    if len(data) > MAX_SIZE:
        diagnostics.append(_problem(name, "too-large", f"is larger than {MAX_SIZE} bytes"))
        return None
    return data


def _why(error: Exception) -> str:
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"


def _problem(name: str, code: str, message: str) -> Diagnostic:
    return Diagnostic(Span(name), Severity.ERROR, code, message)


def _module_of(name: str, packages: dict[Path, str]) -> str:
    path = Path(name).absolute()
    package = _package_of(path.parent, packages)
    stem = path.stem
    if stem == "__init__":
        return package or stem
    return f"{package}.{stem}" if package else stem


def _package_of(folder: Path, packages: dict[Path, str]) -> str:
    """The dotted name of the package that a folder is, or ""."""
    if folder in packages:
        return packages[folder]
    names: list[str] = []
    current = folder
    for _ in range(MAX_MODULE_FOLDERS):
        if not (current / "__init__.py").is_file():
            break
        names.insert(0, current.name)
        current = current.parent
    packages[folder] = ".".join(names)
    return packages[folder]


def parse(file: SourceFile) -> ast.Module | Diagnostic:
    """Parse a file; nothing in it is executed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(file.data, file.name)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 0
        message = getattr(error, "msg", None) or str(error) or type(error).__name__
        return Diagnostic(
            Span(file.name, line if isinstance(line, int) else 0),
            Severity.WARNING,
            UNPARSED,
            f"is no Python 3: {message}",
            "calls in it are not known",
        )
    if _is_deep(tree):
        return Diagnostic(
            Span(file.name),
            Severity.WARNING,
            UNPARSED,
            f"is nested more than {MAX_DEPTH} levels deep",
            "calls in it are not known",
        )
    return tree


def _is_deep(tree: ast.AST) -> bool:
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return False
    return True
