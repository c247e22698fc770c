"""How much of a policy real use covers, and how much of the use the policy allows."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from privmigrate.audit.matching import Loaded, rule_of
from privmigrate.rootwrap.command import Decision, Denied, Failed, Mode, NotExecutable
from privmigrate.rootwrap.journal import Seen, Unread, decide_again
from privmigrate.rootwrap.rule import Rule

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command line that a mode does not allow, how often it stands in the log, and why."""

    argv: tuple[str, ...]
    count: int
    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a log says about a policy.

    Attributes:
        used: live entries with the number of commands that they allow, most used first.
        unused: live entries that allow nothing in the log.
        denied: what exact mode denies.
        narrowed: what exact mode allows and strict mode denies.
        commands: how many commands the log has.
        unread: lines with a problem; `skipped` counts lines of other programs.
    """

    used: tuple[tuple[Rule, int], ...]
    unused: tuple[Rule, ...]
    denied: tuple[Refusal, ...]
    narrowed: tuple[Refusal, ...]
    commands: int
    unread: tuple[Unread, ...]
    skipped: int


def cover(loaded: Loaded, seen: Iterable[Seen | Unread]) -> Coverage:
    """Decide on every command of a log; equal command lines are decided once."""
    counts: Counter[tuple[tuple[str, ...], str]] = Counter()
    first: dict[tuple[tuple[str, ...], str], Seen] = {}
    unread = []
    skipped = 0
    for one in seen:
        if isinstance(one, Unread):
            skipped += not one.why
            unread += [one] if one.why else []
            continue
        counts[one.argv, one.name] += 1
        first.setdefault((one.argv, one.name), one)
    used: Counter[Key] = Counter()
    denied, narrowed = [], []
    for (argv, name), count in counts.items():
        line = first[argv, name].line
        asked, exact = decide_again(loaded.policy, first[argv, name])
        rule = rule_of(loaded, exact)
        if rule is None:
            denied.append(Refusal(argv, count, line, why(exact)))
            continue
        used[rule.name, str(rule.span)] += count
        strict = loaded.policy.decide(asked, Mode.STRICT)
        if isinstance(strict, Denied | Failed):
            narrowed.append(Refusal(argv, count, line, why(strict)))
    live = loaded.policy.rules[:-1]
    ranked = sorted(
        ((rule, used[rule.name, str(rule.span)]) for rule in loaded.policy.rules),
        key=lambda pair: -pair[1],
    )
    return Coverage(
        used=tuple(pair for pair in ranked if pair[1]),
        unused=tuple(rule for rule in live if not used[rule.name, str(rule.span)]),
        denied=tuple(sorted(denied, key=lambda refusal: (-refusal.count, refusal.line))),
        narrowed=tuple(sorted(narrowed, key=lambda refusal: (-refusal.count, refusal.line))),
        commands=sum(counts.values()),
        unread=tuple(unread),
        skipped=skipped,
    )


def why(decision: Decision) -> str:
    """The reason of a decision that lets nothing run; "" for one that does."""
    match decision:
        case Denied(why=reason):
            nearest = "; ".join(f"{near.name}: {near.why}" for near in decision.nearest[:1])
            return f"{reason}{f' ({nearest})' if nearest else ''}"
        case NotExecutable(executable=executable):
            return f"{executable} is not in exec_dirs"
        case Failed(error=error, why=reason):
            return f"rootwrap ends with {error}: {reason}"
        case _:
            return ""
