"""Strings made of others: ``%``, `format`, f-strings, `join`, `split`."""

import ast
import re
import string
from dataclasses import replace
from typing import Final

from privmigrate.argv.spec import Any, Int
from privmigrate.callsites.site import Reason, Text
from privmigrate.callsites.values import (
    Dict,
    Hole,
    Piece,
    Plain,
    Segments,
    Seq,
    Splice,
    Str,
    Value,
    joined,
    pieces,
)

_PERCENT: Final = re.compile(
    r"%(?:\((?P<key>[^)]*)\))?(?P<flags>[#0\- +]*)(?P<width>\d*)(?P<precision>\.\d+)?"
    r"[hlL]?(?P<kind>[a-zA-Z%])"
)
MAX_TEXT: Final = 4096
WHOLE_NUMBERS: Final = "diu"


def percent(template: Str, values: Value) -> tuple[Piece, ...] | None:
    """The pieces of ``template % values``, or None where they cannot be told."""
    text = template.text
    if text is None or len(text) > MAX_TEXT:
        return None
    row = _row(values)
    found: list[Piece] = []
    place = 0
    count = 0
    for match in _PERCENT.finditer(text):
        found.append(Text(text[place : match.start()]))
        place = match.end()
        if match["kind"] == "%":
            found.append(Text("%"))
            continue
        if match["key"] is not None:
            value = values.get(match["key"]) if isinstance(values, Dict) else None
        else:
            value = row[count] if row is not None and count < len(row) else None
            count += 1
        plain = not (match["flags"] or match["width"] or match["precision"])
        formatted = _formatted(value, match["kind"] if plain else "?")
        if formatted is None:
            return None
        found.extend(formatted)
    if row is not None and count != len(row) and not isinstance(values, Dict):
        return None
    return joined([*found, Text(text[place:])])


def _row(values: Value) -> list[Value] | None:
    match values:
        case Seq(segments) if all(isinstance(each, Str) for each in segments):
            return [each for each in segments if isinstance(each, Str)]
        case Seq() | Dict():
            return None
        case _:
            return [values]


def _formatted(value: Value | None, kind: str) -> tuple[Piece, ...] | None:
    if value is None or kind not in "sdiu":
        return None
    found = pieces(value)
    if not found and not isinstance(value, Str):
        return None
    if kind in WHOLE_NUMBERS:
        return tuple(_as_number(piece) for piece in found)
    return found


def _as_number(piece: Piece) -> Piece:
    if isinstance(piece, Hole) and piece.spec == Any():
        return replace(piece, spec=Int(leading_zeros=False))
    return piece


def braces(template: Str, row: list[Value], named: Dict) -> tuple[Piece, ...] | None:
    """The pieces of ``template.format(*row, **named)``, or None where they cannot be told."""
    text = template.text
    if text is None or len(text) > MAX_TEXT:
        return None
    found: list[Piece] = []
    count = 0
    try:
        fields = list(string.Formatter().parse(text))
    except ValueError:
        return None
    for literal, name, spec, conversion in fields:
        found.append(Text(literal))
        if name is None:
            continue
        if conversion not in (None, "s") or spec not in ("", "s", "d"):
            return None
        value: Value | None
        if name == "" or name.isdecimal():
            index = count if name == "" else int(name[:4])
            count += 1
            value = row[index] if index < len(row) else None
        else:
            value = named.get(name)
        formatted = _formatted(value, spec or "s")
        if formatted is None:
            return None
        found.extend(formatted)
    return joined(found)


def field(value: Value, spec: str, whole: Hole) -> tuple[Piece, ...]:
    """The pieces of one field of an f-string; `whole` is its expression."""
    if spec in ("", "s", "d"):
        found = _formatted(value, spec or "s")
        if found is not None:
            return found
    return (replace(whole, spec=Int()) if spec.endswith("d") else whole,)


def split(value: Str, whole: Hole, separator: str | None) -> Seq:
    """The words of ``value.split()``: only a constant's are known."""
    if separator is not None and not separator:
        return Seq((Splice(whole, reason=Reason.SPLIT),))
    text = value.text
    if text is not None:
        return Seq(tuple(Str((Text(word),)) for word in text.split(separator)))
    if separator is None and value.parts and isinstance(value.parts[0], Text):
        # the words before the first hole are known, and what follows is one free list
        known = value.parts[0].text
        words = known.split()
        if not known[-1:].isspace():
            words = words[:-1]
        return Seq((*(Str((Text(word),)) for word in words), Splice(whole, reason=Reason.SPLIT)))
    return Seq((Splice(whole, reason=Reason.SPLIT),))


def join_words(separator: Str, words: Segments) -> tuple[Piece, ...] | None:
    """The pieces of ``separator.join(words)``, where every word is known to be one."""
    if separator.text is None:
        return None
    found: list[Piece] = []
    for number, word in enumerate(words):
        if not isinstance(word, Str):
            return None
        if number:
            found.append(Text(separator.text))
        found.extend(word.parts)
    return joined(found)


def as_string(value: Value, whole: Hole | None) -> Str | None:
    """What ``str(value)`` is, if that can be told."""
    match value:
        case Str(parts):
            return Str(parts, whole)
        case Plain(int() as number) if not isinstance(number, bool):
            return Str((Text(str(number)),), whole)
        case _:
            return None


def constant_text(node: ast.expr | None) -> str | None:
    """The text of a string literal."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None
