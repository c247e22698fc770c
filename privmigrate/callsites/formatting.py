"""Strings made of others: ``%``, `format`, f-strings, `join`, `split`."""

import ast
import re
import string
from dataclasses import replace
from typing import Final

from privmigrate.argv.spec import Any, Int
from privmigrate.callsites.site import Reason, Text
from privmigrate.callsites.values import (
    MAX_TEXT,
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
_WHOLE_NUMBERS: Final = ("%d", ":d")
_DIGITS: Final = re.compile(r"-?[0-9]+")


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
        pieces_of = formatted(value, _percent_form(match))
        if pieces_of is None:
            return None
        found.extend(pieces_of)
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


def _percent_form(match: re.Match[str]) -> str:
    """How a conversion shows its value; "" for a plain ``%s``."""
    kind = "d" if match["kind"] in "iu" else match["kind"]
    form = f"%{match['flags']}{match['width']}{match['precision'] or ''}{kind}"
    return "" if form == "%s" else form


def formatted(value: Value | None, form: str) -> tuple[Piece, ...] | None:
    """The pieces of a value that is shown in this form, or None where they cannot be told."""
    if value is None:
        return None
    found = pieces(value)
    if not found and not isinstance(value, Str):
        return None
    if not form:
        return found
    number = form in _WHOLE_NUMBERS
    match found:
        case (Text(text),) if number and _DIGITS.fullmatch(text):
            return found
        case (Hole(spec=Int(), shown=""),) if number:
            return found  # what is an integer in any case
        case (Hole(shown="") as hole,):
            # %d cuts a fraction off, and :d refuses it: the caller does either as before
            return (replace(hole, spec=Int(leading_zeros=False) if number else Any(), shown=form),)
        case _:
            return None


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
        if "{" in (spec or ""):
            return None
        value: Value | None
        if name == "" or name.isdecimal():
            index = count if name == "" else int(name[:4])
            count += 1
            value = row[index] if index < len(row) else None
        else:
            value = named.get(name)
        shown = formatted(value, brace_form(conversion or "", spec or ""))
        if shown is None:
            return None
        found.extend(shown)
    return joined(found)


def brace_form(conversion: str, spec: str) -> str:
    """How a field in braces shows its value; "" where as `str` does."""
    if spec:
        return f"!{conversion}:{spec}" if conversion else f":{spec}"
    return "" if conversion in {"", "s"} else f"!{conversion}"


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
