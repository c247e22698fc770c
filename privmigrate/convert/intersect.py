"""What both a rule and a call say of one word.

The result accepts nothing that the rule does not accept; where the two cannot be said in one
specification, it is the rule's own.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from privmigrate.argv.spec import (
    AbsolutePath,
    Any,
    ArgSpec,
    Choice,
    Const,
    Int,
    Key,
    Matches,
    PathWithin,
)
from privmigrate.argv.syntax import Char, Node, Seq, Unsupported, parse
from privmigrate.argv.unify import constants_of, covers
from privmigrate.argv.word import word_test

_SAMPLES: Final = ("x", "1", "/x", "x/y", "x1", "a-1", "10.0.0.1", "::1", "x=y", "x:y", "up", "1M")


def intersect(rule: ArgSpec, call: ArgSpec) -> ArgSpec | None:
    """The specification of both, or None where no word is both."""
    if isinstance(call, Any) and not isinstance(rule, Any):
        # nothing is known of the value: a rule that says more may also name options
        call = replace(call, operand=False)
    if covers(rule, call):
        return call
    if isinstance(rule, PathWithin):
        return rule if _may_be_path(call, rule.base) else None
    if covers(call, rule):
        return rule
    for one, other in ((rule, call), (call, rule)):
        values = constants_of(one)
        if values is not None:
            test = word_test(other)
            kept = tuple(value for value in values if test(value) is None)
            return _chosen(kept)
    match rule, call:
        case Any(), Any():
            return Any(
                operand=rule.operand or call.operand,
                empty=rule.empty and call.empty,
                newline=rule.newline and call.newline,
            )
        case Key(prefix, value, suffix), Key(same, inner, end) if (prefix, suffix) == (same, end):
            both = intersect(value, inner)
            return None if both is None else Key(prefix, both, suffix)
        case Any(operand), Key(prefix, value, suffix):
            free = Any(newline=rule.newline, operand=operand and not prefix)
            both = intersect(free, value)
            starts = operand and prefix.startswith("-")
            return None if both is None or starts else Key(prefix, both, suffix)
        case _:
            return rule if _may_meet(rule, call) else None


def unframed(spec: ArgSpec) -> ArgSpec:
    """The same words, with what stands around the value inside the specification."""
    match spec:
        case Key(prefix, value, suffix) if prefix or suffix:
            no_dotdot = isinstance(value, Matches | AbsolutePath) and value.no_dotdot
            pattern = f"{re.escape(prefix)}(?:{_pattern(value)}){re.escape(suffix)}"
            return Matches(pattern, no_dotdot=no_dotdot)
        case Int(prefix=prefix, suffix=suffix) if prefix or suffix:
            inner = _pattern(replace(spec, prefix="", suffix=""))
            return Matches(f"{re.escape(prefix)}{inner}{re.escape(suffix)}")
        case _:
            return spec


def _pattern(spec: ArgSpec) -> str:
    """A pattern for words of the specification, never for others but of longer numbers."""
    match spec:
        case Choice(values):
            return "|".join(map(re.escape, values))
        case Int(leading_zeros=zeros):
            return "[0-9]+" if zeros else "0|[1-9][0-9]*"
        case Matches(pattern) if not pattern.startswith("(?"):
            return pattern
        case Any(operand, empty, newline):
            any_ = r"[\s\S]" if newline else "."
            return f"{'(?!-)' if operand else ''}{any_}{'*' if empty else '+'}"
        case _:
            return r"[^\s\S]"


def excluding(call: ArgSpec, refused: str) -> ArgSpec | None:
    """The words of a call but for refused ones; None where no specification can say that."""
    values = constants_of(call)
    pattern = Matches(rf"(?!(?:{refused})\Z)[\s\S]*")
    if values is not None:
        test = word_test(pattern)
        return _chosen(tuple(value for value in values if test(value) is None))
    match call:
        case Any(operand=True, newline=False):
            start = "" if call.empty else "(?=.)"
            return Matches(rf"{start}(?!(?:-|(?:{refused})\Z)).*")
        case _:
            return call if _never(call, refused) else None


def _never(call: ArgSpec, refused: str) -> bool:
    """Whether a word of the call is certainly none of the refused ones."""
    match call:
        case Key(prefix, _, suffix):
            # what is refused here is letters and dashes
            return not (prefix + suffix).replace("-", "a").isalpha()
        case AbsolutePath():
            return True
        case _:
            del refused
            return False


def _chosen(values: Sequence[str]) -> ArgSpec | None:
    match values:
        case []:
            return None
        case [only]:
            return Const(only)
        case _:
            return Choice(tuple(values))


def _may_be_path(call: ArgSpec, base: str) -> bool:
    match call:
        case Const(text):
            return text.startswith("/")
        case Choice(values):
            return any(value.startswith("/") for value in values)
        case Key(prefix) if prefix:
            return prefix.startswith("/") and _begin_alike(prefix, base)
        case AbsolutePath(below):
            return _begin_alike(below, base)
        case _:
            return True


def _may_meet(rule: ArgSpec, call: ArgSpec) -> bool:
    """Whether some word may be both; also where that is only not known."""
    starts = [start_of(spec) for spec in (rule, call)]
    if not _begin_alike(*starts):
        return False
    prefix, suffix = (call.prefix, call.suffix) if isinstance(call, Key) else ("", "")
    tests = [word_test(rule), word_test(call)]
    words = [*_SAMPLES, *(prefix + sample + suffix for sample in _SAMPLES)]
    if any(all(test(word) is None for test in tests) for word in words):
        return True
    # of a pattern, a fixed beginning, or nothing at all, is known
    return isinstance(rule, Matches) or (isinstance(rule, AbsolutePath | Key) and bool(starts[0]))


def _begin_alike(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def start_of(spec: ArgSpec) -> str:
    """What every word begins with, as far as that is easily told."""
    match spec:
        case Const(text):
            return text
        case Key(prefix, value, _):
            return prefix + start_of(value)
        case AbsolutePath(below=below, stem=stem):
            return below + stem
        case Matches(pattern):
            try:
                return _fixed_start(parse(pattern))
            except Unsupported:
                return ""
        case _:
            return ""


def _fixed_start(node: Node) -> str:
    match node:
        case Char() if node.literal is not None and not node.flags:
            return node.literal
        case Seq(items):
            text = ""
            for item in items:
                if not isinstance(item, Char) or item.literal is None or item.flags:
                    break
                text += item.literal
            return text
        case _:
            return ""
