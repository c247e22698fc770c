"""Methods that change a local list or dictionary."""

import ast
from dataclasses import replace

from privmigrate.callsites.resolve import Evaluator
from privmigrate.callsites.values import Dict, Segments, Seq, Splice, Str, Value


def changed_list(evaluate: Evaluator, held: Seq, method: str, call: ast.Call) -> Value | None:
    """The list after ``held.method(...)``; None where that cannot be told."""
    match method, call.args:
        case "append", [argument] if not isinstance(argument, ast.Starred):
            word = evaluate.word(argument, evaluate.value(argument))
            return Seq((*held.segments, word))
        case "extend", [argument] if not isinstance(argument, ast.Starred):
            return Seq((*held.segments, *evaluate.segments(evaluate.value(argument))))
        case "insert", [ast.Constant(int() as index), argument] if index >= 0:
            word = evaluate.word(argument, evaluate.value(argument))
            if not all(isinstance(each, Str) for each in held.segments[:index]):
                return None
            return Seq((*held.segments[:index], word, *held.segments[index:]))
        case "remove", [ast.Constant(str() as text)]:
            return _without(held.segments, text)
        case _:
            return None


def _without(segments: Segments, text: str) -> Seq | None:
    if len(segments) == 1 and isinstance(segments[0], Splice):
        return Seq((replace(segments[0], without=text),))
    words = [segment.text if isinstance(segment, Str) else None for segment in segments]
    place = words.index(text) if text in words else len(words)
    if place == len(words) or None in words[:place]:
        return None
    return Seq(segments[:place] + segments[place + 1 :])


def changed_dict(evaluate: Evaluator, held: Dict, method: str, call: ast.Call) -> Value | None:
    """The dictionary after ``held.method(...)``; None where that cannot be told."""
    match method, call.args, call.keywords:
        case "update", [argument], []:
            value = evaluate.value(argument)
            if isinstance(value, Dict):
                under = {**dict(held.under), **({} if value.rest is None else dict(held.over))}
                over = {**({} if value.rest is not None else dict(held.over))}
                return Dict(
                    tuple({**over, **value.items()}.items()),
                    value.rest or held.rest,
                    tuple(under.items()),
                )
        case "update", [], keywords if all(each.arg for each in keywords):
            for each in keywords:
                held = held.with_item(each.arg or "", evaluate.value(each.value))
            return held
        case "setdefault", [ast.Constant(str() as key), argument], []:
            value = evaluate.value(argument)
            if held.get(key) is not None:
                return held
            if held.rest is None:
                return held.with_item(key, value)
            return replace(held, under=(*held.under, (key, value)))
        case "pop", [ast.Constant(str() as key), *more], []:
            for argument in more:
                evaluate.value(argument)
            return held.without(key)
        case _:
            pass
    return None
