"""Parts of lists: an element, what is left without the first words."""

import ast
from dataclasses import replace

from privmigrate.callsites.values import Hole, Segments, Seq, Splice, Str, Value


def cut(segments: Segments, like: Splice) -> Segments:
    """What is left of segments when they take the place of a splice that drops words."""
    found = segments
    if like.without:
        kept = tuple(s for s in found if not (isinstance(s, Str) and s.text == like.without))
        found = kept
    for _ in range(like.skip):
        match found:
            case (Str(), *rest):
                found = tuple(rest)
            case (Splice() as first, *rest):
                found = (replace(first, skip=first.skip + 1), *rest)
            case _:
                pass
    return found


def element_of(segments: Segments, index: int) -> Value | None:
    """The word at an index, where all before it are words too."""
    match segments[: index + 1] if index >= 0 else ():
        case (*before, Str() as word) if len(before) == index and all(
            isinstance(each, Str) for each in before
        ):
            return word
        case _:
            return None


def tail_of(segments: Segments, lower: ast.expr | None) -> Value | None:
    """The list from an index on."""
    if lower is None:
        return Seq(segments)
    if not (isinstance(lower, ast.Constant) and isinstance(lower.value, int)):
        return None
    skip = lower.value
    if not 0 < skip <= len(segments) + 1 or not segments:
        return None
    if not all(isinstance(each, Str | Splice) for each in segments[:skip]):
        return None
    return Seq(cut(segments, Splice(_any_hole(segments), skip)))


def _any_hole(segments: Segments) -> Hole:
    for each in segments:
        if isinstance(each, Splice):
            return each.hole
        if isinstance(each, Str) and each.whole is not None:
            return each.whole
    raise LookupError
