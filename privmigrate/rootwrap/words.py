"""What the definition of a filter says of the command lines that it allows."""

from dataclasses import dataclass
from typing import Final

from privmigrate.rootwrap.rule import Rule

METACHARACTERS: Final = frozenset(r".^$*+?{}[]\|()")


@dataclass(frozen=True, slots=True)
class Runs:
    """What a rule runs, as whom.

    Attributes:
        exec_path: the executable; behind the environment of an EnvFilter, the command.
        run_as: the user.
        args: what is written behind the two.
        words: the command line as far as the rule says it; None may be anything.
    """

    exec_path: str
    run_as: str
    args: tuple[str, ...]
    words: tuple[str | None, ...]


def runs_of(rule: Rule) -> Runs:
    """Say what a live rule runs."""
    texts = rule.texts
    match rule.filter_class:
        case "KillFilter":
            exec_path, run_as, args = "/bin/kill", texts[0], texts[1:]
        case "ReadFileFilter":
            exec_path, run_as, args = "/bin/cat", "root", texts[:1]
        case _:
            exec_path, run_as, args = texts[0], texts[1], texts[2:]
    if rule.filter_class == "EnvFilter":
        exec_path = _behind_environment(exec_path, args)
    return Runs(exec_path, run_as, args, _words(rule.filter_class, exec_path, args))


def is_word(pattern: str) -> bool:
    """Whether nothing in a pattern has a meaning to `re`."""
    return METACHARACTERS.isdisjoint(pattern)


def _behind_environment(exec_path: str, args: tuple[str, ...]) -> str:
    """As EnvFilter.__init__; names that stand twice count once there."""
    names = set()
    for word in args:
        if "=" not in word:
            break
        names.add(word.partition("=")[0])
    return args[len(names)] if "env" in exec_path and len(names) < len(args) else exec_path


def _words(filter_class: str, exec_path: str, args: tuple[str, ...]) -> tuple[str | None, ...]:
    match filter_class:
        case "RegExpFilter" | "ChainingRegExpFilter":
            return (exec_path, *(word if is_word(word) else None for word in args[1:]))
        case "PathFilter":
            return (exec_path, *(None for _ in args))
        case "ReadFileFilter":
            return (exec_path, args[0])
        case "IpNetnsExecFilter":
            return (exec_path, "netns", "exec", None)
        case _:
            return (exec_path,)
