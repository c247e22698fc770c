"""Reads the dialect of INI files that `configparser.RawConfigParser` reads, and keeps the places.

Both rootwrap.conf and ``.filters`` files go through RawConfigParser in oslo.rootwrap, so what it
makes of a file is what the file means. This reader gives the same sections, names and values (the
tests hold it against configparser itself) together with file, line and column of everything.
Nothing here raises for bad input: problems are values.
"""

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from privmigrate.diagnostics import Diagnostic, Severity, Span, shortened

DEFAULT: Final = "DEFAULT"  # configparser.DEFAULTSECT: its entries leak into every other section

_COMMENT: Final = ("#", ";")
_SECTION: Final = re.compile(r"\[(?P<name>.+)\]")  # greedy; what follows the last ] is ignored
_DELIMITER: Final = re.compile(r"[=:]")


@dataclass(frozen=True, slots=True)
class Piece:
    """One line of a value, stripped; `line` and `column` say where its text begins."""

    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One ``name: value`` with everything that was written for it.

    Attributes:
        section: the name of its section, as written.
        name: lower-cased, as configparser keeps it.
        raw_name: as written.
        pieces: the lines of the value; blank lines inside it are pieces without text.
        comments: the comment lines directly above, without their prefix.
        raw: the lines of the entry.
        span: from the name to the last line that gave text.
    """

    section: str
    name: str
    raw_name: str
    pieces: tuple[Piece, ...]
    comments: tuple[str, ...]
    raw: str
    span: Span

    @property
    def value(self) -> str:
        """The value as configparser joins it."""
        return "\n".join(piece.text for piece in self.pieces).rstrip()

    def locate(self, start: int, end: int) -> Span:
        """Where the characters from `start` to `end` of the value stand in the file."""
        first, last = self._piece_at(start), self._piece_at(max(start, end - 1))
        return Span(self.span.file, first[0].line, first[0].column + start - first[1], last[0].line)

    def _piece_at(self, offset: int) -> tuple[Piece, int]:
        begin = 0
        for piece in self.pieces[:-1]:
            if offset <= begin + len(piece.text):
                return piece, begin
            begin += len(piece.text) + 1
        return self.pieces[-1], begin


@dataclass(frozen=True, slots=True)
class Ini:
    """A file as read: its sections and entries in the order of the text, and what is wrong.

    With any problem, configparser raises and nothing of the file is used by rootwrap.
    """

    sections: tuple[tuple[str, Span], ...]
    entries: tuple[Entry, ...]
    problems: tuple[Diagnostic, ...]


@dataclass(slots=True)
class _Open:
    """An entry whose value may still go on."""

    section: str
    raw_name: str
    line: int
    column: int
    comments: tuple[str, ...]
    pieces: list[Piece]
    raw: list[str]
    text_lines: int = 1  # how many of `raw` are known to belong to the entry

    def close(self, file: str) -> Entry:
        last = self.line + self.text_lines - 1
        return Entry(
            section=self.section,
            name=self.raw_name.lower(),
            raw_name=self.raw_name,
            pieces=tuple(self.pieces),
            comments=self.comments,
            raw="".join(self.raw[: self.text_lines]).removesuffix("\n"),
            span=Span(file, self.line, self.column, last),
        )


@dataclass(slots=True)
class _Reader:
    file: str
    sections: list[tuple[str, Span]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    open: _Open | None = None
    comments: list[str] = field(default_factory=list)
    indent: int = 0

    def read(self, lines: Iterable[str]) -> None:
        for number, line in enumerate(lines, start=1):
            text = line.strip()
            if self.open is not None:
                self.open.raw.append(line)
            if not text:
                self.comments.clear()
                if self.open is not None:
                    self.open.pieces.append(Piece("", number, 1))
            elif text.startswith(_COMMENT):
                self.comments.append(text.lstrip("#;").strip())
            elif not self._take(number, line, text):
                return

    def finish(self) -> None:
        if self.open is not None:
            self.entries.append(self.open.close(self.file))
            self.open = None

    def _take(self, number: int, line: str, text: str) -> bool:
        """Take a line with text in it; False where configparser reads no further."""
        indent = len(line) - len(line.lstrip())
        comments = tuple(self.comments)
        self.comments.clear()
        if self.open is not None and indent > self.indent:
            self.open.pieces.append(Piece(text, number, indent + 1))
            self.open.text_lines = len(self.open.raw)
            return True
        self.indent = indent
        if section := _SECTION.match(text):
            self.finish()
            self.sections.append((section["name"], Span(self.file, number, indent + 1, number)))
            return True
        if not self.sections:
            self._missing_header(number, text)
            return False
        self._entry(number, line, text, comments)
        return True

    def _entry(self, number: int, line: str, text: str, comments: tuple[str, ...]) -> None:
        indent = self.indent
        span = Span(self.file, number, indent + 1, number)
        delimiter = _DELIMITER.search(text)
        if delimiter is None:
            # configparser goes on reading, so that it can name all such lines at the end; the
            # entry above stays open.
            self.problems.append(
                Diagnostic(
                    span,
                    Severity.ERROR,
                    "not-an-entry",
                    f"{shortened(text)!r} is neither a section nor 'name: value'",
                    "indent it if it continues the line above; rootwrap ends with a ParsingError",
                )
            )
            return
        self.finish()
        raw_name = text[: delimiter.start()].rstrip()
        if not raw_name:
            self.problems.append(
                Diagnostic(
                    span,
                    Severity.ERROR,
                    "empty-name",
                    f"{shortened(text)!r} has no name before the {delimiter[0]!r}",
                    "give the entry a name; rootwrap ends with a ParsingError",
                )
            )
            return
        value = text[delimiter.end() :]
        begin = indent + len(text) - len(value.lstrip()) + 1
        self.open = _Open(
            section=self.sections[-1][0],
            raw_name=raw_name,
            line=number,
            column=indent + 1,
            comments=comments,
            pieces=[Piece(value.strip(), number, begin)],
            raw=[line],
        )

    def _missing_header(self, number: int, text: str) -> None:
        advice = "put [Filters] (in rootwrap.conf: [DEFAULT]) above the first entry"
        if text.startswith("\ufeff"):
            advice = "save the file without a byte order mark"
        self.problems.append(
            Diagnostic(
                Span(self.file, number, 1, number),
                Severity.ERROR,
                "missing-section-header",
                f"{shortened(text)!r} stands before any [section]",
                f"{advice}; rootwrap ends with a MissingSectionHeaderError",
            )
        )


def parse_ini(data: bytes, file: str) -> Ini:
    """Read `data` as configparser would read a file of that content, opened in this locale."""
    # encoding="locale" and the default newline are what `open(path)` does in RawConfigParser.read.
    stream = io.TextIOWrapper(io.BytesIO(data), encoding="locale")
    reader = _Reader(file)
    try:
        reader.read(stream)
    except UnicodeDecodeError as error:
        reader.problems.append(_undecodable(data, file, stream.encoding, error))
    reader.finish()
    return Ini(tuple(reader.sections), tuple(reader.entries), tuple(reader.problems))


def _undecodable(data: bytes, file: str, encoding: str, error: UnicodeDecodeError) -> Diagnostic:
    place = Span(file)
    try:
        data.decode(encoding)
    except UnicodeDecodeError as whole:  # the stream's own error counts from its last chunk
        start = data.rfind(b"\n", 0, whole.start) + 1
        place = Span(file, data.count(b"\n", 0, whole.start) + 1, whole.start - start + 1)
    return Diagnostic(
        place,
        Severity.ERROR,
        "undecodable",
        f"cannot be read as {encoding}: {error.reason}",
        "save the file in that encoding or run in its locale; rootwrap ends with a "
        "UnicodeDecodeError",
    )
