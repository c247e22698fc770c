"""What lowering the filter classes has in common."""

import re
from dataclasses import replace
from typing import Final

from privmigrate.argv.spec import Choice
from privmigrate.convert.operation import (
    Fate,
    Lit,
    Op,
    Outcome,
    Param,
    Prefix,
    Rest,
    Source,
    Width,
)
from privmigrate.convert.patterns import matches
from privmigrate.convert.words import ARGUMENT, NO_TEXT, Words, quoted_argv, read_patterns
from privmigrate.privsep import knowledge
from privmigrate.rootwrap.rule import Rule

Lowered = Op | Prefix | Outcome

NARROWS_WIDE: Final = "a RegExpFilter of the words that callers really use would narrow it"

_NO_WORDS: Final = Words()


def base_name(path: str) -> str:
    """The last part of a path, as rootwrap compares names."""
    return path.rpartition("/")[2]


def run_as_of(rule: Rule) -> str:
    """The user that the rule names."""
    match rule.filter_class:
        case "KillFilter":
            return rule.texts[0]
        case "ReadFileFilter":
            return "root"
        case _:
            return rule.texts[1]


def dead(rule: Rule, source: Source, why: str) -> Outcome:
    """Say that the rule allows nothing."""
    return Outcome(source, rule.filter_class, Fate.DEAD, why)


def refused(rule: Rule, source: Source, why: str) -> Outcome:
    """Say that what the rule allows cannot be had safely."""
    return Outcome(source, rule.filter_class, Fate.REFUSED, why)


def without_words(rule: Rule, source: Source, why: str) -> Outcome:
    """Say what becomes of a rule with a pattern that cannot be executed, or matches nothing."""
    return dead(rule, source, why) if why.endswith(NO_TEXT) else refused(rule, source, why)


def start(rule: Rule, source: Source, executable: str) -> Op:
    """The part that every operation has; it is `called_as` its base name."""
    command = base_name(executable)
    return Op(
        command=command,
        candidates=(executable,),
        called_as=command,
        run_as=run_as_of(rule),
        filter_class=rule.filter_class,
        sources=(source,),
        chainable=True,
        comments=rule.comments,
        stdin=may_read_stdin(command),
    )


def may_read_stdin(command: str, words: Words = _NO_WORDS) -> bool:
    """Whether a caller may want to feed it: also where nothing is known of the command."""
    if command == "dd":
        return not any(
            (word.text if isinstance(word, Lit) else word.prefix).startswith("if=")
            for word in words.words
        )
    return knowledge.reads_stdin(command) or knowledge.family(command) is None


def wide(op: Op, minimum: int = 0) -> Op:
    """Let it take any arguments, at least so many of them, and say what would narrow it."""
    used = quoted_argv(op.command, op.comments)
    remark = (
        f"its comment has '{used}': a RegExpFilter of these words would narrow it"
        if used
        else NARROWS_WIDE
    )
    return replace(
        op,
        rest=Rest(ARGUMENT, minimum),
        width=Width.WIDE,
        remarks=(remark,),
        stdin=True,
    )


def name_for(pattern: str, executable: str) -> str | None:
    """A name by which the rule is found. What runs is the executable, whatever the name."""
    for name in (base_name(executable), executable):
        if matches(pattern, name):
            return name
    words = read_patterns("", [pattern], ())
    if words.never is not None:
        return None
    match words:
        case Words(params=(Param(spec=Choice(values)),)):
            return next((value for value in values if matches(pattern, value)), None)
        case Words(params=()):
            # a fixed text with blanks is a command line that lost its commas
            return pattern if matches(pattern, pattern) and not re.search(r"\s", pattern) else None
        case _:
            return None


def no_name(patterns: list[str], command: str) -> str:
    """Say why `name_for` found nothing."""
    if len(patterns) == 1 and patterns[0].startswith(f"{command} "):
        return f"'{patterns[0]}' is one word: commas are missing"
    return f"no way to call it is known: its first pattern '{patterns[0]}' does not match {command}"
