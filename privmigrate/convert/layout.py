"""Puts expressions on lines as `ruff format` would, for lines of 79 columns.

An expression is a string, or a `Group` of expressions between brackets. What fits on a line stays
there; otherwise every item of the group gets its own line, with a comma after the last: that comma
also makes the formatter leave it alone.
"""

import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from privmigrate.convert.text import quote

WIDTH: Final = 79
STEP: Final = 4
_LONGEST_WORD: Final = 60
_WIDEST_ESCAPE: Final = 10  # \\U0001f600


@dataclass(frozen=True, slots=True)
class Group:
    """``head`` items ``tail``: a call, a tuple, a list, a subscript."""

    head: str
    items: tuple["Expression", ...]
    tail: str
    lonely: bool = False  # a tuple: a single item keeps its comma on one line too


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal that may be split into pieces, each on its own line."""

    value: str
    show: Callable[[str], str] = quote


@dataclass(frozen=True, slots=True)
class Union:
    """``head`` with members between bars; where that is too long, a bar begins each line."""

    head: str
    members: tuple[str, ...]
    tail: str = ""


@dataclass(frozen=True, slots=True)
class Clauses:
    """``head`` with parts that blanks separate, where it is too long each on its own line.

    So a conditional expression is written, and a comprehension.
    """

    head: str
    parts: tuple["Expression", ...]
    tail: str


Expression = str | Group | Text | Union | Clauses


def flat(expression: Expression) -> str | None:
    """The expression on one line; None where it has several by nature."""
    match expression:
        case str():
            return expression
        case Text(value, show):
            return show(value)
        case Union(head, members, tail):
            return head + " | ".join(members) + tail
        case Clauses(head, clauses, tail):
            parts = [flat(clause) for clause in clauses]
            return None if None in parts else head + " ".join(filter(None, parts)) + tail
        case Group(head, items, tail):
            parts = [flat(item) for item in items]
            if None in parts:
                return None
            comma = "," if expression.lonely and len(items) == 1 else ""
            return head + ", ".join(part or "" for part in parts) + comma + tail


def lay_out(
    expression: Expression, indent: int = 0, before: str = "", after: str = ""
) -> list[str]:
    """The lines of ``before`` expression ``after``, indented by so many columns."""
    space = " " * indent
    line = flat(expression)
    if line is not None and len(space + before + line + after) <= WIDTH:
        return [space + before + line + after]
    match expression:
        case Group(head, items, tail) if items:
            lines = [space + before + head]
            for item in items:
                lines.extend(lay_out(item, indent + STEP, after=","))
            return [*lines, space + tail + after]
        case Clauses(head, clauses, tail):
            lines = [space + before + head]
            for clause in clauses:
                lines.extend(lay_out(clause, indent + STEP))
            return [*lines, space + tail + after]
        case Union(head, members, tail):
            lines = [space + before + head + members[0]]
            lines.extend(f"{space}| {member}" for member in members[1:])
            lines[-1] += tail + after
            return lines
        case Text(value, show):
            pieces = _pieces(value, show, WIDTH - indent - len(after))
            return [*(space + piece for piece in pieces[:-1]), space + pieces[-1] + after]
        case _:
            return [space + before + (line or "") + after]


def _pieces(value: str, show: Callable[[str], str], room: int) -> list[str]:
    pieces = []
    while value:
        length = len(value)
        while length > 1 and len(show(value[:length])) > room:
            length -= max(1, (len(show(value[:length])) - room) // _WIDEST_ESCAPE)
        # not behind a backslash: a raw string cannot end with one
        while 1 < length < len(value) and value[length - 1] == "\\":
            length -= 1
        pieces.append(show(value[:length]))
        value = value[length:]
    return pieces


def docstring(sentences: Iterable[str], indent: int = STEP) -> list[str]:
    """A docstring: the first sentence is its summary, each of the others its own paragraph.

    A summary that is too long for a line is cut off, and follows as a paragraph: hacking's H405
    wants it alone.
    """
    space = " " * indent
    first, *others = [_escape(sentence) for sentence in sentences]
    room = WIDTH - indent - len('"""')
    if len(first) > room - (0 if others else len('"""')):
        others.insert(0, f"In full: {first[0].lower()}{first[1:]}")
        first = _cut(first, room)
    lines = [f'{space}"""{first}']
    for sentence in others:
        lines.extend(["", *_fill(sentence, space)])
    if len(lines) == 1:
        return [f'{lines[0]}"""']
    return [*lines, f'{space}"""']


def _cut(sentence: str, room: int) -> str:
    """The words of a sentence that fit."""
    room -= len(" ...``.")
    words = sentence.split(" ")
    while len(words) > 1 and len(" ".join(words)) > room:
        words.pop()
    text = f"{' '.join(words).rstrip(',')} ..."
    return f"{text}``." if text.count("``") % 2 else text


def _escape(sentence: str) -> str:
    words = [word if len(word) <= _LONGEST_WORD else "..." for word in sentence.split()]
    text = "".join(_printable(character) for character in " ".join(words))
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def _printable(character: str) -> str:
    return character if character.isprintable() else "?"


def _fill(text: str, space: str, width: int = WIDTH) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=space,
        subsequent_indent=space,
        break_on_hyphens=False,
        break_long_words=False,
    )
