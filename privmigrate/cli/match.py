"""``privmigrate match``: which entry allows a command, what would run, and if not, why not."""

import argparse
import json
import shlex
from collections.abc import Iterator
from typing import Final

from privmigrate.audit.coverage import Coverage, Refusal, cover, why
from privmigrate.audit.matching import Answer, Loaded, Miss, load, match, rule_of, why_not
from privmigrate.cli import add_format
from privmigrate.diagnostics import counted, printable
from privmigrate.errors import InputError
from privmigrate.privsep.knowledge import lookup
from privmigrate.rootwrap.command import Allowed, Decision, Denied, Mode
from privmigrate.rootwrap.journal import read_journal, read_lines
from privmigrate.rootwrap.rule import Rule

ALLOWED: Final = 0
DENIED: Final = 1

_MODES: Final = tuple(mode.value for mode in Mode)
_MAX_LISTED: Final = 20
_DESCRIPTION: Final = """\
Say which rootwrap filter allows a command and what would be executed with which environment, user
and capabilities, as oslo.rootwrap decides (exact) and as the filters were meant (strict); if none
does, which came nearest and on which word each failed.
"""
_EPILOG: Final = """\
examples:
  privmigrate match /etc/cinder/rootwrap.conf -- lvs --noheadings
  privmigrate match --why-not lvs rootwrap.d -- lvs --noheadings
  privmigrate match --batch /var/log/syslog /etc/cinder/rootwrap.conf

CONF is a rootwrap.conf, a rootwrap.d folder or a .filters file; options stand before it.
exit codes: 0 allowed (with --batch: every command), 1 denied or nothing to execute, 2 bad input;
of exact mode, or of the mode that --mode names.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = "privmigrate match [options] CONF [--] CMD [ARGS...]"
    add = parser.add_argument
    options = (
        add("--why-not", metavar="FILTER", help="say why this entry is not the one that allows it"),
        add(
            "--batch",
            metavar="FILE",
            help="read commands from a log, - for standard input: rootwrap's lines in syslog,"
            " sudo's, or one command line each; report what they use of the filters",
        ),
        add("--mode", choices=_MODES, default="exact", help="the mode of the exit code"),
        *add_format(parser),
    )
    parser.set_defaults(options=[name for each in options for name in each.option_strings])
    add("conf", metavar="CONF", help="rootwrap.conf, rootwrap.d folder or .filters file")
    add("words", nargs=argparse.REMAINDER, metavar="CMD", help="the command and its arguments")


def run(arguments: argparse.Namespace) -> int:
    """Decide and print."""
    words = _words(arguments)
    loaded = load(arguments.conf)
    if arguments.batch is not None:
        return _batch(loaded, arguments.batch, arguments.mode, as_json=arguments.format == "json")
    if arguments.why_not is not None:
        return _why_not(loaded, arguments.why_not, words, as_json=arguments.format == "json")
    return _match(loaded, words, arguments.mode, as_json=arguments.format == "json")


def _words(arguments: argparse.Namespace) -> tuple[str, ...]:
    words = tuple(arguments.words)
    if words[:1] == ("--",):
        words = words[1:]
    elif words and words[0].startswith("-"):
        raise InputError(_misplaced(words[0], arguments.options))
    if arguments.batch is not None:
        if words or arguments.why_not is not None:
            raise InputError("--batch takes its commands from FILE, and no --why-not")
    elif not words:
        raise InputError("no command was given: privmigrate match CONF -- CMD ARGS")
    return words


def _misplaced(word: str, options: list[str]) -> str:
    """What to do about a word behind CONF that looks like an option."""
    name = printable(word.partition("=")[0])
    if name in {*options, "-h", "--help"}:
        return f"{name} stands behind CONF: options stand before it, CMD behind --"
    known = ", ".join(options)
    return f"{name} is no option of match (there are: {known}); CMD stands behind --"


# one command


def _match(loaded: Loaded, words: tuple[str, ...], mode: str, *, as_json: bool) -> int:
    answer = match(loaded, words)
    if as_json:
        print(json.dumps(_as_json(loaded, answer), indent=2))
    else:
        print("\n".join(_describe(loaded, answer)))
    decision = answer.exact if mode == "exact" else answer.strict
    return ALLOWED if isinstance(decision, Allowed) else DENIED


def _describe(loaded: Loaded, answer: Answer) -> Iterator[str]:
    if answer.exact == answer.strict:
        yield from _describe_decision(loaded, "exact and strict", answer.exact)
    else:
        yield from _describe_decision(loaded, "exact", answer.exact)
        yield from _describe_decision(loaded, "strict", answer.strict)
    if answer.nearest:
        yield "nearest entries, as they were meant:"
    for miss in answer.nearest:
        yield f"  {_entry(miss.rule)}"
        yield f"    {printable(miss.why)}"
        if pointer := _pointer(answer.argv, miss):
            yield f"    {pointer}"
    if answer.similar:
        yield f"there are filters for {', '.join(map(printable, answer.similar))}"


def _describe_decision(loaded: Loaded, title: str, decision: Decision) -> Iterator[str]:
    rule = rule_of(loaded, decision)
    if not isinstance(decision, Allowed) or rule is None:
        by = f"allowed by {_entry(rule)}, but " if rule is not None else "denied: "
        reason = decision.why if isinstance(decision, Denied) else why(decision)
        yield f"{title}: {by}{printable(reason)}"
        return
    yield f"{title}: allowed by {_entry(rule)}"
    command = decision.command
    yield f"  executes      {printable(shlex.join(command.argv))}"
    for name, value in command.environment:
        yield f"  environment   {printable(f'{name}={value}')}"
    if not command.environment:
        yield "  environment   the caller's"
    yield f"  user          {printable(command.run_as)}"
    evidence = lookup(command.argv)
    if evidence is None:
        yield f"  capabilities  nothing is known of {printable(command.argv[0])}"
    elif not evidence.bounded:
        yield "  capabilities  no set is known (see privmigrate caps explain)"
    else:
        status = "observed" if evidence.verified else "not all observed"
        yield f"  capabilities  {evidence.capabilities} ({status}; see privmigrate caps explain)"


def _pointer(argv: tuple[str, ...], miss: Miss) -> str:
    """The command line with the word on which the entry failed in brackets."""
    if miss.word is None:
        return ""
    words = [shlex.quote(word) for word in argv]
    if miss.word >= len(words):
        return f"{printable(' '.join(words))} >>nothing<<"
    words[miss.word] = f">>{words[miss.word]}<<"
    return printable(" ".join(words))


def _entry(rule: Rule) -> str:
    return printable(f"{rule.raw_name} ({rule.filter_class}), {rule.span}")


def _as_json(loaded: Loaded, answer: Answer) -> dict[str, object]:
    return {
        "argv": list(answer.argv),
        "exact": _decision_as_json(loaded, answer.exact),
        "strict": _decision_as_json(loaded, answer.strict),
        "nearest": [
            {**_rule_as_json(miss.rule), "why": miss.why, "word": miss.word}
            for miss in answer.nearest
        ],
        "similar": list(answer.similar),
    }


def _decision_as_json(loaded: Loaded, decision: Decision) -> dict[str, object]:
    rule = rule_of(loaded, decision)
    by = None if rule is None else _rule_as_json(rule)
    if not isinstance(decision, Allowed):
        return {"allowed": False, "by": by, "why": why(decision)}
    command = decision.command
    evidence = lookup(command.argv)
    return {
        "allowed": True,
        "by": by,
        "executable": command.executable,
        "argv": list(command.argv),
        "environment": dict(command.environment),
        "user": command.run_as,
        "capabilities": list(evidence.capabilities.names)
        if evidence is not None and evidence.bounded
        else None,
        "observed": evidence is not None and evidence.verified,
    }


def _rule_as_json(rule: Rule) -> dict[str, object]:
    return {
        "name": rule.raw_name,
        "class": rule.filter_class,
        "file": rule.span.file,
        "line": rule.span.line,
    }


# --why-not


def _why_not(loaded: Loaded, name: str, words: tuple[str, ...], *, as_json: bool) -> int:
    rules = loaded.named(name.lower())
    if not rules:
        raise InputError(f"there is no entry {name!r} (see privmigrate match CONF -- CMD)")
    reasons = [(rule, why_not(loaded, rule, words)) for rule in rules]
    decision = loaded.policy.decide(words)
    chosen = rule_of(loaded, decision) if isinstance(decision, Allowed) else None
    if as_json:
        listed = [{**_rule_as_json(rule), "why": reason} for rule, reason in reasons]
        print(json.dumps({"argv": list(words), "why_not": listed}, indent=2))
    else:
        for rule, reason in reasons:
            print(f"{_entry(rule)}: {printable(reason)}")
    return ALLOWED if any(rule is chosen for rule, _ in reasons) else DENIED


# --batch


def _batch(loaded: Loaded, file: str, mode: str, *, as_json: bool) -> int:
    coverage = cover(loaded, read_journal(read_lines(file), plain=True))
    if not coverage.commands:
        raise InputError(f"{file}: error: has no command that could be read")
    if as_json:
        print(json.dumps(_coverage_as_json(coverage), indent=2))
    else:
        print("\n".join(_describe_coverage(coverage)))
    refused = coverage.denied or (mode == "strict" and coverage.narrowed)
    return DENIED if refused else ALLOWED


def _describe_coverage(coverage: Coverage) -> Iterator[str]:
    used = [(rule, count) for rule, count in coverage.used if rule.span.line]
    entries = len(used) + len(coverage.unused)
    share = f" ({100 * len(used) // entries} %)" if entries else ""
    denied = sum(refusal.count for refusal in coverage.denied)
    yield (
        f"{counted(coverage.commands, 'command')}, {denied} denied;"
        f" {len(used)} of {counted(entries, 'entry', 'entries')} used{share}"
    )
    for rule, count in coverage.used:
        yield f"  {count:6}  {_entry(rule)}"
    yield from _describe_refusals("denied", coverage.denied)
    yield from _describe_refusals("allowed in exact mode only", coverage.narrowed)
    if coverage.unused:
        yield "entries that no command used:"
    for rule in coverage.unused:
        yield f"          {_entry(rule)}"
    for unread in coverage.unread:
        yield f"line {unread.line} was not read: {printable(unread.why)}"
    if coverage.skipped:
        yield f"{counted(coverage.skipped, 'line')} of other programs"


def _describe_refusals(title: str, refusals: tuple[Refusal, ...]) -> Iterator[str]:
    if refusals:
        yield f"{title}:"
    for refusal in refusals[:_MAX_LISTED]:
        yield f"  {refusal.count:6}  {printable(shlex.join(refusal.argv))} (line {refusal.line})"
        yield f"          {printable(refusal.why)}"
    if len(refusals) > _MAX_LISTED:
        yield f"          and {len(refusals) - _MAX_LISTED} more: see --json"


def _coverage_as_json(coverage: Coverage) -> dict[str, object]:
    return {
        "commands": coverage.commands,
        "used": [{**_rule_as_json(rule), "count": count} for rule, count in coverage.used],
        "unused": [_rule_as_json(rule) for rule in coverage.unused],
        "denied": [_refusal_as_json(refusal) for refusal in coverage.denied],
        "exact_only": [_refusal_as_json(refusal) for refusal in coverage.narrowed],
        "unread": [{"line": unread.line, "why": unread.why} for unread in coverage.unread],
        "skipped": coverage.skipped,
    }


def _refusal_as_json(refusal: Refusal) -> dict[str, object]:
    return {
        "argv": list(refusal.argv),
        "count": refusal.count,
        "line": refusal.line,
        "why": refusal.why,
    }
