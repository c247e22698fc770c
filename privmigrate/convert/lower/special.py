"""Filters for one command, and for one way to run a command: kill, cat, ip, env, and chains."""

import signal
from dataclasses import replace
from typing import Final

from privmigrate.argv.spec import Choice, Matches
from privmigrate.convert import vocabulary
from privmigrate.convert.lower.base import (
    Lowered,
    base_name,
    dead,
    name_for,
    no_name,
    refused,
    start,
    wide,
    without_words,
)
from privmigrate.convert.operation import Cat, Environment, Kill, Kind, Param, Prefix, Rest, Source
from privmigrate.convert.words import read_patterns
from privmigrate.rootwrap.rule import Rule

# oslo.rootwrap's IpFilter refuses the forms of exec behind "netns"; refused everywhere they also
# close "ip vrf exec", and no order of options gets past the check. A batch is a file of commands,
# of which any may be "netns exec"; ip(8) takes any beginning of an option's name.
_IP_WORD: Final = Matches(r"(?!(e|ex|exe|exec|--?b(a|at|atc|atch)?)\Z)[\s\S]*")
_IP: Final = "ip"


def env_filter(rule: Rule, source: Source) -> Lowered:
    """Exactly these variables; rootwrap checks neither their values nor the arguments."""
    exec_path, _, *words = rule.texts
    pairs: list[tuple[str, str]] = []
    for word in words:
        if "=" not in word:
            break
        name, _, value = word.partition("=")
        pairs.append((name, value))
    names = [name for name, _ in pairs]
    if not pairs:
        return dead(rule, source, "names no variable, and EnvFilter then allows nothing")
    if len(set(names)) < len(names) or not all(names):
        return refused(rule, source, "names a variable twice, or one without a name")
    rest = words[len(pairs) :]
    executable = rest[0] if "env" in exec_path and rest else exec_path
    if "=" in executable or not base_name(executable):
        return dead(rule, source, f"'{executable}' cannot be told from a variable")
    op = wide(start(rule, source, executable), minimum=max(0, len(rest) - 1))
    free = tuple(sorted(name for name, value in pairs if not value))
    remarks = [f"whoever sets {name} decides what runs" for name in free if _is_dangerous(name)]
    remarks.extend(op.remarks)
    if len(rest) > 1:
        written = " ".join(rest[1:])
        remarks.append(f"rootwrap does not check '{written}', only that as many words are there")
    fixed = tuple(sorted((name, value) for name, value in pairs if value))
    return replace(
        op,
        params=tuple(_variable(name) for name in free),
        environment=Environment(fixed, (free,)),
        narrower=tuple(f"{name} is always {value}" for name, value in fixed),
        remarks=tuple(remarks),
    )


def _is_dangerous(name: str) -> bool:
    return name in vocabulary.DANGEROUS_VARIABLES or name.startswith("LD_")


def _variable(name: str) -> Param:
    return Param(Kind.VARIABLE, hints=(name,), keyword=True, text=name)


def kill_filter(rule: Rule, source: Source) -> Lowered:
    """These signals, without any only TERM, to processes of this program."""
    if len(rule.texts) < 2 or not rule.texts[1]:  # noqa: PLR2004 - user and program
        return dead(rule, source, "names no program")
    run_as, program, *words = rule.texts
    if "/" in program and not program.startswith("/"):
        return dead(rule, source, f"no process runs '{program}': a path must be absolute")
    if run_as != "root":
        why = f"{run_as} may signal its own processes only, and the native kill cannot hold to that"
        return refused(rule, source, why)
    signals = (
        tuple(dict.fromkeys(filter(None, map(canonical_signal, words)))) if words else ("TERM",)
    )
    remarks = [f"'{word}' is no signal" for word in words if canonical_signal(word) is None]
    if not signals:
        return dead(rule, source, "names no signal that there is")
    if program.rpartition("/")[2].rstrip("0123456789.") in {"python", "platform-python"}:
        remarks.append("an interpreter: every program that runs in it can be hit")
    ordered = tuple(sorted(signals))
    params = (
        Param(Kind.PID, hints=("pid",)),
        Param(Kind.SIGNAL, Choice(ordered), hints=("signal",)),
    )
    return replace(
        start(rule, source, "/bin/kill"),
        native=Kill((program,)),
        params=params,
        chainable=False,
        stdin=False,
        narrower=("a process that took the pid over is never hit",),
        remarks=tuple(remarks),
    )


def canonical_signal(word: str) -> str | None:
    """``-9``, ``-KILL`` and ``-SIGKILL`` are ``KILL``."""
    if not word.startswith("-"):
        return None
    text = word[1:].upper().removeprefix("SIG")
    if text.isascii() and text.isdigit():
        try:
            return signal.Signals(int(text)).name.removeprefix("SIG")
        except ValueError:
            return None
    known = {each.name for each in signal.Signals}
    return text if f"SIG{text}" in known else None


def read_file_filter(rule: Rule, source: Source) -> Lowered:
    """Exactly this file."""
    path = rule.texts[0]
    if not path.startswith("/"):
        return refused(rule, source, f"'{path}' depends on the caller's working directory")
    if "\0" in path:
        return refused(rule, source, "a word with NUL cannot be given to any command")
    return replace(start(rule, source, "/bin/cat"), native=Cat(path), chainable=False, stdin=False)


def ip_filter(rule: Rule, source: Source) -> Lowered:
    """Any arguments but those that execute something; rootwrap asks it for ``ip`` alone."""
    op = wide(start(rule, source, rule.texts[0]))
    return replace(
        op,
        called_as=_IP,
        chainable=op.command == _IP,
        rest=Rest(_IP_WORD),
        narrower=("no word is exec or -batch, so that nothing else is run in its place",),
    )


def ip_netns_exec_filter(rule: Rule, source: Source) -> Lowered:
    """A namespace in front of other commands."""
    executable, run_as = rule.texts[:2]
    if run_as != "root":
        return dead(rule, source, f"allows nothing as {run_as}, only as root")
    command = base_name(executable)
    if command != _IP:
        why = (
            f"allows 'ip netns exec NAME COMMAND' and then runs '{command} netns exec NAME "
            "COMMAND'; a namespace is entered with ip"
        )
        return refused(rule, source, why)
    return Prefix(
        command=command,
        candidates=(executable,),
        called_as=command,
        run_as=run_as,
        sources=(source,),
        namespace=True,
    )


def chaining_filter(rule: Rule, source: Source) -> Lowered:
    """The base class of the two chains, which is a filter class by accident."""
    return dead(rule, source, "ChainingFilter itself never finds a command to chain")


def chaining_regexp_filter(rule: Rule, source: Source) -> Lowered:
    """Words in front of other commands, each by its pattern."""
    executable, run_as, *patterns = rule.texts
    if not patterns:
        why = "without a pattern it takes every command's name away and runs the rest"
        return refused(rule, source, why)
    command = base_name(executable)
    called = name_for(patterns[0], executable)
    if called is None:
        return dead(rule, source, no_name(patterns, command))
    words = read_patterns(command, patterns[1:], rule.comments)
    if words.never is not None:
        return without_words(rule, source, words.never)
    return Prefix(
        command=command,
        candidates=(executable,),
        called_as=called,
        run_as=run_as,
        sources=(source,),
        words=words.words,
        params=tuple(replace(param, keyword=False) for param in words.params),
        patterns=tuple(patterns),
    )
