"""From one live rule to the operation that does what the rule allows, and no more.

What oslo.rootwrap 7 does with each class decides what is allowed here; where it does something
that its author cannot have meant, the rule is refused or found dead, with the reason.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from privmigrate.convert.lower.base import (
    NARROWS_WIDE,
    Lowered,
    base_name,
    dead,
    refused,
    run_as_of,
)
from privmigrate.convert.lower.plain import command_filter, path_filter, regexp_filter
from privmigrate.convert.lower.special import (
    chaining_filter,
    chaining_regexp_filter,
    env_filter,
    ip_filter,
    ip_netns_exec_filter,
    kill_filter,
    read_file_filter,
)
from privmigrate.convert.operation import Fate, Lit, Op, Outcome, Prefix, Source
from privmigrate.rootwrap.rule import Rule

__all__ = ["NARROWS_WIDE", "lower"]

_HELPER: Final = "privsep-helper"
_STARTS_DAEMON: Final = "starts a privsep daemon; the generated contexts start their own"
_USER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\$?\Z")


def lower(rule: Rule, source: Source) -> Lowered:
    """Say what becomes of a live rule."""
    if base_name(_executable(rule)) == _HELPER:
        return Outcome(source, rule.filter_class, Fate.INFRASTRUCTURE, _STARTS_DAEMON)
    problem = _impossible(rule)
    if problem is not None:
        return dead(rule, source, problem)
    lowered = _LOWERINGS[rule.filter_class](rule, source)
    if isinstance(lowered, Outcome):
        return lowered
    if lowered.command == _HELPER:
        return Outcome(source, rule.filter_class, Fate.INFRASTRUCTURE, _STARTS_DAEMON)
    problem = _unusable(lowered)
    return refused(rule, source, problem) if problem else lowered


def _executable(rule: Rule) -> str:
    match rule.filter_class:
        case "KillFilter":
            return "/bin/kill"
        case "ReadFileFilter":
            return "/bin/cat"
        case _:
            return rule.texts[0]


def _impossible(rule: Rule) -> str | None:
    user = run_as_of(rule)
    if not _USER.match(user):
        return f"runs as user {user!r}, which no system has"
    if not base_name(_executable(rule)):
        return f"names {_executable(rule)!r}, which is no executable"
    return None


def _unusable(lowered: Op | Prefix) -> str | None:
    """What no execve takes, or what would mean something else in the place of a command."""
    texts = list(lowered.candidates)
    for word in lowered.plain_words:
        texts.extend([word.text] if isinstance(word, Lit) else [word.prefix, word.suffix])
    if isinstance(lowered, Op) and lowered.environment:
        texts.extend(value for _, value in lowered.environment.fixed)
    if any("\0" in text for text in texts):
        return "a word with NUL cannot be given to any command"
    if "/" in lowered.candidates[0] and not lowered.candidates[0].startswith("/"):
        return "a relative path is looked up in every folder of exec_dirs"
    return None


_LOWERINGS: Final[Mapping[str, Callable[[Rule, Source], Lowered]]] = MappingProxyType(
    {
        "CommandFilter": command_filter,
        "RegExpFilter": regexp_filter,
        "PathFilter": path_filter,
        "EnvFilter": env_filter,
        "KillFilter": kill_filter,
        "ReadFileFilter": read_file_filter,
        "IpFilter": ip_filter,
        "IpNetnsExecFilter": ip_netns_exec_filter,
        "ChainingFilter": chaining_filter,
        "ChainingRegExpFilter": chaining_regexp_filter,
    }
)
