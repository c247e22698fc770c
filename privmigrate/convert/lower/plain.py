"""Filters that check the command line word by word, or not at all."""

import re
from dataclasses import replace
from typing import Final

from privmigrate.callsites.programs import Piece, free_program
from privmigrate.convert.lower.base import (
    Lowered,
    dead,
    may_read_stdin,
    name_for,
    no_name,
    refused,
    start,
    wide,
    without_words,
)
from privmigrate.convert.operation import Hole, Source, Width
from privmigrate.convert.patterns import matches
from privmigrate.convert.shelltext import caller_writes, narrow_program
from privmigrate.convert.words import Words, read_constraints, read_patterns
from privmigrate.rootwrap.rule import Rule

_REGEX_IN_PATH: Final = re.compile(r"\(\?|\.[*+]|\\[.dSsw]|\[\^|\]\+|\]\*|\)\?")


def command_filter(rule: Rule, source: Source) -> Lowered:
    """Any arguments: rootwrap looks at the name alone, whatever words follow in the rule."""
    op = wide(start(rule, source, rule.texts[0]))
    words = rule.texts[2:]
    if words:
        written = " ".join(words)
        remark = (
            f"rootwrap ignores '{written}'; if that is all that is run, write RegExpFilter "
            "in place of CommandFilter"
        )
        op = replace(op, remarks=(remark,))
    return op


def regexp_filter(rule: Rule, source: Source) -> Lowered:
    """Every word by its pattern; what runs is the executable, whatever the first pattern says."""
    executable, _, *patterns = rule.texts
    if not patterns:
        return dead(rule, source, "has no pattern for the command's own name")
    op = start(rule, source, executable)
    called = name_for(patterns[0], executable)
    if called is None:
        return dead(rule, source, no_name(patterns, op.command))
    narrowed = narrow_program(op.command, patterns[1:])
    if narrowed is not None and narrowed.why_not:
        return refused(rule, source, narrowed.why_not)
    read = patterns[1:] if narrowed is None else narrowed.patterns
    words = read_patterns(op.command, read, rule.comments)
    if narrowed is not None:
        words = replace(words, narrower=(*words.narrower, narrowed.how))
    if words.never is not None:
        return without_words(rule, source, words.never)
    return replace(
        op,
        called_as=called,
        patterns=tuple(patterns),
        chainable=matches(patterns[0], op.command),
        words=words.words,
        params=words.params,
        stdin=may_read_stdin(op.command, words),
        narrower=words.narrower,
        width=_width(words),
        remarks=_about_words(words, patterns[1:]),
    )


def _width(words: Words) -> Width:
    return Width.NARROWED if words.narrower else Width.EXACT


def _about_words(words: Words, patterns: list[str]) -> tuple[str, ...]:
    remarks = []
    for pattern, word in zip(patterns, words.words, strict=True):
        if " " in pattern and isinstance(word, Hole):
            remarks.append(f"'{pattern}' is one word of the command line, blanks included")
            break
    return tuple(remarks)


def path_filter(rule: Rule, source: Source) -> Lowered:
    """Every argument by its constraint; rootwrap passes real paths on."""
    executable, _, *constraints = rule.texts
    op = start(rule, source, executable)
    if not constraints:
        return dead(rule, source, "has no constraint, and without one no argument is allowed")
    for constraint in constraints:
        if not constraint.startswith("/"):
            continue
        if _REGEX_IN_PATH.search(constraint):
            why = f"PathFilter compares '{constraint}' as a path: patterns need RegExpFilter"
            return dead(rule, source, why)
        normal = _normal(constraint)
        if constraint not in {normal, f"{normal}/"} or constraint.startswith("//"):
            return dead(rule, source, f"no real path begins with '{constraint}'")
    if constraints[0] in {op.command, executable} and len(constraints) > 1:
        why = f"expects '{constraints[0]}' as first argument too: PathFilter counts from there"
        return dead(rule, source, why)
    pieces = (_piece(constraint) for constraint in constraints)
    if what := free_program((Piece(op.command), *pieces)):
        return refused(rule, source, caller_writes(what))
    words = read_constraints(op.command, constraints, rule.comments)
    narrower = []
    if any(constraint.startswith("/") for constraint in constraints):
        narrower.append("paths are held inside their folder, not to its first letters")
    if "pass" in constraints:
        narrower.append("no operand begins with - or has a newline")
    return replace(
        op,
        words=words.words,
        params=words.params,
        narrower=tuple(narrower),
        width=Width.NARROWED if narrower else Width.EXACT,
    )


def _piece(constraint: str) -> Piece:
    if constraint == "pass" or constraint.startswith("/"):
        return Piece(constraint.removeprefix("pass"), fixed=False)
    return Piece(constraint)


def _normal(path: str) -> str:
    """A path as `realpath` prints it; it cannot tell what is a link."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)
