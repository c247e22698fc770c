"""Which entry allows an argv, what would run, and how near the others came."""

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from privmigrate.diagnostics import Diagnostic
from privmigrate.errors import InputError
from privmigrate.rootwrap.command import Allowed, Decision, Denied, Failed, Mode, NotExecutable
from privmigrate.rootwrap.config import DEFAULT_EXEC_DIRS, RootwrapConfig, load_config
from privmigrate.rootwrap.filters import ChainFilter, Filter, bind
from privmigrate.rootwrap.filters.chainingregexp import ChainingRegExpFilter
from privmigrate.rootwrap.filters.env import EnvFilter
from privmigrate.rootwrap.filters.regexp import RegExpFilter
from privmigrate.rootwrap.parse import Parsed, read_filters, read_filters_path
from privmigrate.rootwrap.policy import Policy
from privmigrate.rootwrap.rule import Rule, Status

MAX_NEAREST: Final = 5
_FIRST_PATTERN: Final = 2


@dataclass(frozen=True, slots=True)
class Loaded:
    """A policy with all entries that were read for it, live or not."""

    policy: Policy
    rules: tuple[Rule, ...]
    diagnostics: tuple[Diagnostic, ...]
    config: RootwrapConfig

    def named(self, name: str) -> tuple[Rule, ...]:
        """Every entry of a name: names are only unique within a file."""
        return tuple(rule for rule in (*self.rules, self.policy.rules[-1]) if rule.name == name)


def load(path: str, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read a rootwrap.conf, a folder of filters, or one file of filters.

    The environment, this process's own if there is none, is that of the rootwrap that reads them.
    Raise InputError where oslo.rootwrap would not start, and for a folder without a filter.
    """
    config = RootwrapConfig(filters_path=(path,), exec_dirs=DEFAULT_EXEC_DIRS, file=path)
    if Path(path).is_dir():
        parsed = read_filters_path((path,))
        if not parsed.rules and not parsed.diagnostics:
            raise InputError(f"{path}: error: there is no filter in this folder")
    elif path.endswith(".filters"):
        parsed = read_filters(path)
    else:
        config = load_config(path, environ)
        parsed = read_filters_path(config.filters_path)
    if parsed.errors:
        raise InputError("\n".join(str(error) for error in parsed.errors))
    return _loaded(parsed, config)


def _loaded(parsed: Parsed, config: RootwrapConfig) -> Loaded:
    policy = Policy(parsed.rules, config.exec_dirs, exec_dirs_given=config.exec_dirs_given)
    return Loaded(policy, parsed.rules, parsed.diagnostics, config)


@dataclass(frozen=True, slots=True)
class Miss:
    """An entry that does not allow the argv, and the word on which it failed (None: no word)."""

    rule: Rule
    why: str
    word: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What both modes say of an argv; `similar` are commands with a name like the argv's."""

    argv: tuple[str, ...]
    exact: Decision
    strict: Decision
    nearest: tuple[Miss, ...]
    similar: tuple[str, ...]


def match(loaded: Loaded, argv: Sequence[str]) -> Answer:
    """Ask the policy in both modes; where one of them denies, say what came nearest."""
    words = tuple(argv)
    exact = loaded.policy.decide(words)
    strict = loaded.policy.decide(words, Mode.STRICT)
    nearest: tuple[Miss, ...] = ()
    similar: tuple[str, ...] = ()
    if isinstance(exact, Denied) or isinstance(strict, Denied):
        misses = sorted(_misses(loaded, words), key=lambda miss: -(miss.word or 0))
        nearest = tuple(misses[:MAX_NEAREST])
        if not nearest:
            similar = _similar(loaded, words)
    return Answer(words, exact, strict, nearest, similar)


def rule_of(loaded: Loaded, decision: Decision) -> Rule | None:
    """The entry that decided, if one did."""
    if isinstance(decision, Denied):
        return None
    for rule in loaded.policy.rules:
        if (rule.name, rule.span) == (decision.name, decision.span):
            return rule
    return None


def why_not(loaded: Loaded, rule: Rule, argv: Sequence[str]) -> str:
    """Say in one sentence why an entry is not the one that allows the argv in exact mode."""
    words = tuple(argv)
    if rule.status is not Status.LIVE:
        return _WHY_DEAD[rule.status]
    others = [other for other in loaded.policy.rules[:-1] if other is not rule]
    alone = Policy((rule, *others), loaded.config.exec_dirs)
    decision = alone.decide(words)
    if isinstance(decision, Denied) or (decision.name, decision.span) != (rule.name, rule.span):
        bound = bind(rule)
        if isinstance(bound, Diagnostic):
            return bound.message
        miss = _miss(bound, words)
        if miss is not None:
            return miss.why
        return "no filter for the same user allows the command behind it"
    if isinstance(decision, NotExecutable):
        return f"it allows these words, but {decision.executable} is not in exec_dirs"
    if isinstance(decision, Failed):
        return f"rootwrap ends here with {decision.error}: {decision.why}"
    chosen = loaded.policy.decide(words)
    if isinstance(chosen, Allowed) and (chosen.name, chosen.span) != (rule.name, rule.span):
        return f"it allows these words, but {chosen.name} ({chosen.span}) is asked before it"
    strict = bind(rule)
    answer = strict if isinstance(strict, Diagnostic) else strict.decide(words)
    if isinstance(answer, Denied):
        return f"it is the entry that allows these words, but not as it was meant: {answer.why}"
    return "it is the entry that allows these words"


_WHY_DEAD: Final = {
    Status.SHADOWED: "a later entry of the same file has the same name, and takes its place",
    Status.UNKNOWN_CLASS: "rootwrap knows no such filter class, and skips the entry",
    Status.INVALID: "it has too few values: rootwrap does not start",
}


def _misses(loaded: Loaded, argv: tuple[str, ...]) -> Iterator[Miss]:
    """The entries for the command of the argv that do not allow it as they were meant."""
    for rule in loaded.policy.rules:
        if not (argv and _is_about(rule, argv)):
            continue
        bound = bind(rule)
        if isinstance(bound, Diagnostic):
            yield Miss(rule, bound.message, None)
        elif miss := _miss(bound, argv) or _miss_behind(loaded, bound, argv):
            yield miss


def _is_about(rule: Rule, argv: tuple[str, ...]) -> bool:
    return bool(commands_of(rule) & {_basename(word) for word in argv[:1] + _behind_env(argv)})


def _behind_env(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The first word that is neither env nor an assignment, where the argv begins with these."""
    words = argv[1:] if argv[0] == "env" else argv
    return next(((word,) for word in words if "=" not in word), ())


def commands_of(rule: Rule) -> frozenset[str]:
    """The base names of the commands that an entry is about."""
    match rule.filter_class:
        case "KillFilter":
            return frozenset({"kill"})
        case "ReadFileFilter":
            return frozenset({"cat"})
        case "EnvFilter":
            bound = bind(rule)
            path = bound.exec_path if isinstance(bound, Filter) else rule.texts[0]
            return frozenset({_basename(path)})
        case _ if rule.texts:
            return frozenset({_basename(rule.texts[0])})
        case _:
            return frozenset()


def _miss(bound: Filter, argv: tuple[str, ...]) -> Miss | None:
    answer = bound.decide(argv)
    if isinstance(answer, Allowed):
        return None
    return Miss(bound.rule, answer.why, _failing_word(bound, argv))


def _miss_behind(loaded: Loaded, bound: Filter, argv: tuple[str, ...]) -> Miss | None:
    """What is wrong with the command of a chain whose prefix is right."""
    if not isinstance(bound, ChainFilter):
        return None
    alone = loaded.policy.decide(argv, Mode.STRICT)
    if isinstance(alone, Allowed) and (alone.name, alone.span) == (
        bound.rule.name,
        bound.rule.span,
    ):
        return None
    behind = bound.chained(argv)
    why = f"no filter for {bound.run_as} allows {' '.join(behind)!r}, spelled so, in a chain"
    return Miss(bound.rule, why, len(argv) - len(behind))


def _failing_word(bound: Filter, argv: tuple[str, ...]) -> int | None:
    """The number of the first word that is not as the entry wants it, if words are its reason."""
    if isinstance(bound, RegExpFilter | ChainingRegExpFilter):
        for number, (matcher, word) in enumerate(zip(bound.matchers, argv, strict=False)):
            if not matcher.matches(word):
                return number
        return min(len(bound.matchers), len(argv))
    if isinstance(bound, EnvFilter) or not argv:
        return None
    if bound.rule.filter_class == "PathFilter":
        for number in range(1, len(argv) + 1):
            if f"argument {number}," in _why(bound, argv):
                return number
    return None


def _why(bound: Filter, argv: tuple[str, ...]) -> str:
    answer = bound.decide(argv)
    return answer.why if isinstance(answer, Denied) else ""


def _similar(loaded: Loaded, argv: tuple[str, ...]) -> tuple[str, ...]:
    if not argv:
        return ()
    names = {name for rule in loaded.policy.rules for name in commands_of(rule)}
    return tuple(difflib.get_close_matches(_basename(argv[0]), sorted(names)))


def _basename(path: str) -> str:
    return os.path.basename(path)  # noqa: PTH119 - of words, as rootwrap does
