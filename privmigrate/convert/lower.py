"""From one live rule to the operation that does what the rule allows, and no more.

What oslo.rootwrap 7 does with each class decides what is allowed here; where it does something
that its author cannot have meant, the rule is refused or found dead, with the reason.
"""

import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from privmigrate.argv.regex import compile_pattern
from privmigrate.argv.spec import Choice, Matches
from privmigrate.convert import vocabulary
from privmigrate.convert.operation import (
    Cat,
    Environment,
    Fate,
    Hole,
    Kill,
    Kind,
    Lit,
    Op,
    Outcome,
    Param,
    Prefix,
    Rest,
    Source,
    Width,
)
from privmigrate.convert.words import ARGUMENT, Words, read_constraints, read_patterns
from privmigrate.privsep import knowledge
from privmigrate.rootwrap.rule import Rule

Lowered = Op | Prefix | Outcome

HELPER: Final = "privsep-helper"

_STARTS_DAEMON: Final = "starts a privsep daemon; the generated contexts start their own"
_USER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?\Z")
_REGEX_IN_PATH: Final = re.compile(r"\(\?|\.[*+]|\\[.dSsw]|\[\^|\]\+|\]\*|\)\?")
# oslo.rootwrap's IpFilter refuses these behind "netns"; refused everywhere they also close
# "ip vrf exec", and no order of options gets past the check.
_IP_WORD: Final = Matches(r"(?!(e|ex|exe|exec)\Z)[\s\S]*")
_PREFIX_OF_IP: Final = "ip"


def lower(rule: Rule, source: Source) -> Lowered:
    """Say what becomes of a live rule."""
    if _base_name(_executable(rule)) == HELPER:
        return Outcome(source, rule.filter_class, Fate.INFRASTRUCTURE, _STARTS_DAEMON)
    problem = _impossible(rule)
    if problem is not None:
        return _dead(rule, source, problem)
    lowered = _LOWERINGS[rule.filter_class](rule, source)
    if isinstance(lowered, Outcome):
        return lowered
    if lowered.command == HELPER:
        return Outcome(source, rule.filter_class, Fate.INFRASTRUCTURE, _STARTS_DAEMON)
    problem = _unusable(lowered)
    return _refused(rule, source, problem) if problem else lowered


def _base_name(path: str) -> str:
    return path.rpartition("/")[2]


def _executable(rule: Rule) -> str:
    match rule.filter_class:
        case "KillFilter":
            return "/bin/kill"
        case "ReadFileFilter":
            return "/bin/cat"
        case _:
            return rule.texts[0]


def _run_as(rule: Rule) -> str:
    match rule.filter_class:
        case "KillFilter":
            return rule.texts[0]
        case "ReadFileFilter":
            return "root"
        case _:
            return rule.texts[1]


def _impossible(rule: Rule) -> str | None:
    user = _run_as(rule)
    if not _USER.match(user):
        return f"runs as user {user!r}, which no system has"
    if not _base_name(_executable(rule)):
        return f"names {_executable(rule)!r}, which is no executable"
    return None


def _unusable(lowered: Op | Prefix) -> str | None:
    """What no execve takes, or what would mean something else in the place of a command."""
    texts = list(lowered.candidates)
    for word in lowered.words:
        texts.extend([word.text] if isinstance(word, Lit) else [word.prefix, word.suffix])
    if isinstance(lowered, Op) and lowered.environment:
        texts.extend(value for _, value in lowered.environment.fixed)
    if any("\0" in text for text in texts):
        return "a word with NUL cannot be given to any command"
    if "/" in lowered.candidates[0] and not lowered.candidates[0].startswith("/"):
        return "a relative path is looked up in every folder of exec_dirs"
    return None


def _dead(rule: Rule, source: Source, why: str) -> Outcome:
    return Outcome(source, rule.filter_class, Fate.DEAD, why)


def _refused(rule: Rule, source: Source, why: str) -> Outcome:
    return Outcome(source, rule.filter_class, Fate.REFUSED, why)


def _op(rule: Rule, source: Source, executable: str) -> Op:
    """The part that every operation has; it is `called_as` its base name."""
    command = _base_name(executable)
    return Op(
        command=command,
        candidates=(executable,),
        called_as=command,
        run_as=_run_as(rule),
        filter_class=rule.filter_class,
        sources=(source,),
        chainable=True,
        comments=rule.comments,
        stdin=_may_read_stdin(command),
    )


def _may_read_stdin(command: str) -> bool:
    return knowledge.reads_stdin(command) or knowledge.family(command) is None


def _wide(op: Op, minimum: int = 0) -> Op:
    return replace(op, rest=Rest(ARGUMENT, minimum), width=Width.WIDE, stdin=True)


def _command_filter(rule: Rule, source: Source) -> Lowered:
    op = _wide(_op(rule, source, rule.texts[0]))
    words = rule.texts[2:]
    if words:
        written = " ".join(words)
        remark = (
            f"rootwrap ignores '{written}'; if that is all that is run, write RegExpFilter "
            "in place of CommandFilter"
        )
        op = replace(op, remarks=(remark,))
    return op


def _regexp_filter(rule: Rule, source: Source) -> Lowered:
    executable, _, *patterns = rule.texts
    if not patterns:
        return _dead(rule, source, "has no pattern for the command's own name")
    op = _op(rule, source, executable)
    called = _name_for(patterns[0], executable)
    if called is None:
        return _dead(rule, source, _no_name(patterns, op.command))
    words = read_patterns(op.command, patterns[1:], rule.comments)
    if words.never is not None:
        return _dead(rule, source, words.never)
    return replace(
        op,
        called_as=called,
        chainable=_allows_name(patterns[0], op.command),
        words=words.words,
        params=words.params,
        narrower=words.narrower,
        width=Width.NARROWED if words.narrower else Width.EXACT,
        remarks=_about_words(op.command, words, patterns[1:]),
    )


def _no_name(patterns: list[str], command: str) -> str:
    if len(patterns) == 1 and patterns[0].startswith(f"{command} "):
        return f"'{patterns[0]}' is one word: commas are missing"
    return f"no way to call it is known: its first pattern '{patterns[0]}' does not match {command}"


def _name_for(pattern: str, executable: str) -> str | None:
    """A name by which the rule is found. What runs is the executable, whatever the name."""
    matches = compile_pattern(pattern).matches
    for name in (_base_name(executable), executable):
        if matches(name):
            return name
    words = read_patterns("", [pattern], ())
    if words.never is not None:
        return None
    match words:
        case Words(params=(Param(spec=Choice(values)),)):
            return next((value for value in values if matches(value)), None)
        case Words(params=()):
            # a fixed text with blanks is a command line that lost its commas
            return pattern if matches(pattern) and not re.search(r"\s", pattern) else None
        case _:
            return None


def _allows_name(pattern: str, name: str) -> bool:
    return compile_pattern(pattern).matches(name)


def _about_words(command: str, words: Words, patterns: list[str]) -> tuple[str, ...]:
    remarks = []
    if command in {"sh", "bash", "dash", "ksh", "zsh"} and any(
        pattern == "-c" for pattern in patterns
    ):
        remarks.append("a shell runs this text: whoever may write into it is root")
    for pattern, word in zip(patterns, words.words, strict=True):
        if " " in pattern and isinstance(word, Hole):
            remarks.append(f"'{pattern}' is one word of the command line, blanks included")
            break
    return tuple(remarks)


def _path_filter(rule: Rule, source: Source) -> Lowered:
    executable, _, *constraints = rule.texts
    op = _op(rule, source, executable)
    if not constraints:
        return _dead(rule, source, "has no constraint, and without one no argument is allowed")
    for constraint in constraints:
        if not constraint.startswith("/"):
            continue
        if _REGEX_IN_PATH.search(constraint):
            why = f"PathFilter compares '{constraint}' as a path: patterns need RegExpFilter"
            return _dead(rule, source, why)
        normal = _normal(constraint)
        if constraint not in {normal, f"{normal}/"} or constraint.startswith("//"):
            return _dead(rule, source, f"no real path begins with '{constraint}'")
    if constraints[0] in {op.command, executable} and len(constraints) > 1:
        why = f"expects '{constraints[0]}' as first argument too: PathFilter counts from there"
        return _dead(rule, source, why)
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


def _normal(path: str) -> str:
    """A path as `realpath` prints it; it cannot tell what is a link."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)


def _env_filter(rule: Rule, source: Source) -> Lowered:
    exec_path, _, *words = rule.texts
    pairs: list[tuple[str, str]] = []
    for word in words:
        if "=" not in word:
            break
        name, _, value = word.partition("=")
        pairs.append((name, value))
    names = [name for name, _ in pairs]
    if not pairs:
        return _dead(rule, source, "names no variable, and EnvFilter then allows nothing")
    if len(set(names)) < len(names) or not all(names):
        return _refused(rule, source, "names a variable twice, or one without a name")
    rest = words[len(pairs) :]
    executable = rest[0] if "env" in exec_path and rest else exec_path
    if "=" in executable or not _base_name(executable):
        return _dead(rule, source, f"'{executable}' cannot be told from a variable")
    op = _wide(_op(rule, source, executable), minimum=max(0, len(rest) - 1))
    free = tuple(sorted(name for name, value in pairs if not value))
    remarks = [f"whoever sets {name} decides what runs" for name in free if _is_dangerous(name)]
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


def _kill_filter(rule: Rule, source: Source) -> Lowered:
    if len(rule.texts) < 2 or not rule.texts[1]:  # noqa: PLR2004 - user and program
        return _dead(rule, source, "names no program")
    run_as, program, *words = rule.texts
    if run_as != "root":
        why = f"{run_as} may signal its own processes only, and the native kill cannot hold to that"
        return _refused(rule, source, why)
    signals = tuple(dict.fromkeys(filter(None, map(_signal, words)))) if words else ("TERM",)
    remarks = [f"'{word}' is no signal" for word in words if _signal(word) is None]
    if not signals:
        return _dead(rule, source, "names no signal that there is")
    if program.rpartition("/")[2].rstrip("0123456789.") in {"python", "platform-python"}:
        remarks.append("an interpreter: every program that runs in it can be hit")
    ordered = tuple(sorted(signals))
    params = (
        Param(Kind.PID, hints=("pid",)),
        Param(Kind.SIGNAL, Choice(ordered), hints=("signal",)),
    )
    return replace(
        _op(rule, source, "/bin/kill"),
        native=Kill((program,)),
        params=params,
        chainable=False,
        stdin=False,
        narrower=("a process that took the pid over is never hit",),
        remarks=tuple(remarks),
    )


def _signal(word: str) -> str | None:
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


def _read_file_filter(rule: Rule, source: Source) -> Lowered:
    path = rule.texts[0]
    if not path.startswith("/"):
        return _refused(rule, source, f"'{path}' depends on the caller's working directory")
    if "\0" in path:
        return _refused(rule, source, "a word with NUL cannot be given to any command")
    return replace(_op(rule, source, "/bin/cat"), native=Cat(path), chainable=False, stdin=False)


def _ip_filter(rule: Rule, source: Source) -> Lowered:
    op = _wide(_op(rule, source, rule.texts[0]))
    return replace(
        op,
        called_as=_PREFIX_OF_IP,
        chainable=op.command == _PREFIX_OF_IP,
        rest=Rest(_IP_WORD),
        narrower=("no word is exec, so that nothing else is run in its place",),
    )


def _ip_netns_exec_filter(rule: Rule, source: Source) -> Lowered:
    executable, run_as = rule.texts[:2]
    if run_as != "root":
        return _dead(rule, source, f"allows nothing as {run_as}, only as root")
    command = _base_name(executable)
    if command != _PREFIX_OF_IP:
        why = (
            f"allows 'ip netns exec NAME COMMAND' and then runs '{command} netns exec NAME "
            "COMMAND'; a namespace is entered with ip"
        )
        return _refused(rule, source, why)
    return Prefix(
        command=command,
        candidates=(executable,),
        called_as=command,
        run_as=run_as,
        sources=(source,),
        namespace=True,
    )


def _chaining_filter(rule: Rule, source: Source) -> Lowered:
    return _dead(rule, source, "ChainingFilter itself never finds a command to chain")


def _chaining_regexp_filter(rule: Rule, source: Source) -> Lowered:
    executable, run_as, *patterns = rule.texts
    if not patterns:
        why = "without a pattern it takes every command's name away and runs the rest"
        return _refused(rule, source, why)
    command = _base_name(executable)
    called = _name_for(patterns[0], executable)
    if called is None:
        return _dead(rule, source, _no_name(patterns, command))
    words = read_patterns(command, patterns[1:], rule.comments)
    if words.never is not None:
        return _dead(rule, source, words.never)
    return Prefix(
        command=command,
        candidates=(executable,),
        called_as=called,
        run_as=run_as,
        sources=(source,),
        words=words.words,
        params=tuple(replace(param, keyword=False) for param in words.params),
    )


_LOWERINGS: Final[Mapping[str, Callable[[Rule, Source], Lowered]]] = MappingProxyType(
    {
        "CommandFilter": _command_filter,
        "RegExpFilter": _regexp_filter,
        "PathFilter": _path_filter,
        "EnvFilter": _env_filter,
        "KillFilter": _kill_filter,
        "ReadFileFilter": _read_file_filter,
        "IpFilter": _ip_filter,
        "IpNetnsExecFilter": _ip_netns_exec_filter,
        "ChainingFilter": _chaining_filter,
        "ChainingRegExpFilter": _chaining_regexp_filter,
    }
)
