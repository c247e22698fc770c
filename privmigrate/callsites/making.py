"""Calls that make words out of words: methods of strings, lists and dictionaries, built-ins."""

import ast
from typing import Final

from privmigrate.argv.spec import Int
from privmigrate.callsites.formatting import braces, constant_text, join_words, split
from privmigrate.callsites.invocation import Invocation
from privmigrate.callsites.site import Origin, Reason
from privmigrate.callsites.values import (
    Dict,
    Each,
    Opaque,
    Plain,
    Seq,
    Splice,
    Str,
    Value,
    spliced,
)

_KEEPING: Final = frozenset({"list", "tuple", "copy.copy", "copy.deepcopy"})
_ORDERING: Final = frozenset({"sorted", "reversed", "set"})
_NUMBERS: Final = frozenset({"int", "len", "round", "os.getpid", "os.getuid", "os.getgid"})


def made_of_words(call: Invocation) -> Value | None:
    """What such a call gives; None for any other call."""
    ev, node, base = call.evaluator, call.node, call.base
    match node.func:
        case ast.Attribute(attr=method) if isinstance(base, Str):
            return _of_string(call, method, base)
        case ast.Attribute(attr="split" | "rsplit") if isinstance(base, Opaque):
            origin = base.hole.origin
            hole = ev.hole(node, call.before, origin=origin)
            printed = origin is Origin.OUTPUT
            return Seq((Splice(hole, reason=Reason.FREE_WORDS if printed else Reason.SPLIT),))
        case ast.Attribute(attr="copy") if isinstance(base, Seq | Dict):
            return base
        case ast.Attribute(holder, "get" | "pop" as method) if isinstance(base, Dict):
            return _item(call, holder, method, base)
        case ast.Name("dict"):
            return call.arguments.keywords if not node.args else None
        case ast.Name(name):
            return _builtin(call, name)
        case ast.Attribute(ast.Name(name), attr):
            if (name, attr) == ("shlex", "split"):
                return Seq((Splice(ev.hole(node, call.before), reason=Reason.SPLIT),))
            return _builtin(call, f"{name}.{attr}")
        case _:
            return None


def _item(call: Invocation, holder: ast.expr, method: str, base: Dict) -> Value | None:
    key = constant_text(call.node.args[0]) if call.node.args else None
    if key is None:
        return None
    if method == "pop" and isinstance(holder, ast.Name):
        call.evaluator.assign(holder, base.without(key))
    row = call.row
    found = base.get(key)
    if found is None and base.rest is None:
        return row[1] if len(row) == len(("key", "default")) else Plain(None)
    return found


def _builtin(call: Invocation, name: str) -> Value | None:
    ev, node, row = call.evaluator, call.node, call.row
    if name in _NUMBERS and not (name == "round" and len(node.args) + len(node.keywords) > 1):
        return Opaque(ev.hole(node, call.before, spec=Int()))
    if name == "str" and len(row) == 1:
        word = ev.word(node.args[0], row[0])
        return Str(word.parts, ev.hole(node, call.before))
    if name not in _KEEPING | _ORDERING:
        return None
    if not node.args:
        return Seq(())
    if not row or isinstance(row[0], Dict | Str):
        return None
    segments = ev.segments(row[0])
    alike = len(segments) == 1 and isinstance(segments[0], Each | Splice)
    if name in _ORDERING and not alike:
        return None
    return Seq(segments, ev.hole(node, call.before))


def _of_string(call: Invocation, method: str, base: Str) -> Value | None:
    ev = call.evaluator
    whole = ev.hole(call.node, call.before)
    row = call.row
    match method, row:
        case "split", [] | [Str()] | [Plain(None)]:
            separator = row[0].text if row and isinstance(row[0], Str) else None
            known = not row or separator is not None or isinstance(row[0], Plain)
            return split(base, whole, separator if known else "")
        case "format", _:
            parts = braces(base, row, call.arguments.keywords)
            return Str((whole,) if parts is None else parts, whole)
        case "join", [words]:
            parts = join_words(base, spliced(ev.analysis.opened(words)))
            return Str((whole,) if parts is None else parts, whole)
        case _:
            return None
