"""EnvFilter: an executable behind assignments of environment variables."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from privmigrate.argv.regex import Matcher
from privmigrate.diagnostics import Diagnostic
from privmigrate.examples import Allow, Deny
from privmigrate.rootwrap.command import Allowed, Denied
from privmigrate.rootwrap.filters.base import Filter, compile_words, mismatch
from privmigrate.rootwrap.rule import Rule


@dataclass(frozen=True, slots=True)
class EnvFilter(Filter):
    """Allow an executable with exactly these environment variables in front of it.

    Values: `env` or the executable, the user, the variables, and after `env` the executable.
    `NAME=` takes any value and `NAME=value` only that one; oslo.rootwrap compares the names alone.
    The order does not count, and a leading `env` in the command line is optional. Words behind the
    executable in the rule are patterns for the words behind it in the command line, which are then
    as many; oslo.rootwrap does not look at them. What runs is the executable itself, without
    `env`, with the variables in its environment.
    """

    EXAMPLES: ClassVar[tuple[Allow | Deny, ...]] = (
        Allow(
            "a fixed and a free value, in any order",
            "l: EnvFilter, env, root, LC_ALL=C, LVM_SYSTEM_DIR=, lvs",
            ("env", "LVM_SYSTEM_DIR=/etc/x", "LC_ALL=C", "lvs", "--noheadings"),
            ("lvs", "--noheadings"),
        ),
        Allow(
            "without env on either side",
            "d: EnvFilter, /usr/sbin/dnsmasq, root, NETWORK_ID=",
            ("NETWORK_ID=5", "dnsmasq", "-k"),
            ("/usr/sbin/dnsmasq", "-k"),
        ),
        Allow(
            "patterns behind the executable",
            "h: EnvFilter, env, root, PROCESS_TAG=, haproxy, -f, .*",
            ("env", "PROCESS_TAG=x", "haproxy", "-f", "/etc/h.cfg"),
            ("haproxy", "-f", "/etc/h.cfg"),
        ),
        Deny(
            "another value than the fixed one",
            "l: EnvFilter, env, root, LC_ALL=C, lvs",
            ("env", "LC_ALL=en_GB", "lvs"),
            "LC_ALL is 'en_GB' instead of 'C'",
        ),
        Deny(
            "one variable more",
            "l: EnvFilter, env, root, LC_ALL=C, lvs",
            ("env", "LC_ALL=C", "LD_PRELOAD=/tmp/x", "lvs"),
            "the variables are LC_ALL, LD_PRELOAD instead of LC_ALL",
        ),
        Deny(
            "no variable",
            "l: EnvFilter, env, root, LC_ALL=C, lvs",
            ("lvs",),
            "the variables are none instead of LC_ALL",
        ),
        Deny(
            "a variable twice",
            "l: EnvFilter, env, root, LC_ALL=, lvs",
            ("env", "LC_ALL=C", "LC_ALL=D", "lvs"),
            "a variable is set twice",
        ),
        Deny(
            "other words behind the executable",
            "h: EnvFilter, env, root, PROCESS_TAG=, haproxy, -f, .*",
            ("env", "PROCESS_TAG=x", "haproxy", "-x", "anything"),
            "word 0, '-x', does not match -f",
        ),
        Deny(
            "nothing behind the variables",
            "l: EnvFilter, env, root, LC_ALL=C, lvs",
            ("env", "LC_ALL=C"),
            "no command follows the variables",
        ),
        Deny(
            "a rule for env itself would run anything",
            "e: EnvFilter, env, root, LC_ALL=C",
            ("env", "LC_ALL=C", "env", "sh"),
            "the rule names no command behind the variables",
        ),
        Deny(
            "a rule without variables",
            "e: EnvFilter, lvs, root",
            ("lvs",),
            "the rule names no variable",
        ),
    )

    variables: tuple[str, ...]
    matchers: tuple[Matcher, ...]

    @classmethod
    def bind(cls, rule: Rule) -> Self | Diagnostic:
        """Take the executable from behind the variables where the rule says `env`."""
        exec_path, run_as, *args = rule.texts
        variables = _variables(args)
        behind = len(variables)
        # oslo.rootwrap 7.10 takes every path with the letters "env" in it for env, and counts
        # names, not words; its choice is kept, so that what runs is what it would run.
        names = {variable.partition("=")[0] for variable in variables}
        if "env" in exec_path and len(names) < len(args):
            exec_path = args[len(names)]
            behind += 1
        elif args[behind : behind + 1] in ([exec_path], [os.path.basename(exec_path)]):  # noqa: PTH119
            behind += 1  # the executable once more, as it stands in the command line
        matchers = compile_words(rule, 2 + behind)
        if isinstance(matchers, Diagnostic):
            return matchers
        return cls(rule, exec_path, run_as, tuple(args), variables, matchers)

    def _decide(self, argv: tuple[str, ...]) -> Allowed | Denied:
        if denied := self._misuse():
            return denied
        words = argv[1:] if argv[0] == "env" else argv
        given = _variables(words)
        pairs = tuple(_pair(variable) for variable in given)
        names = {name for name, _ in pairs}
        wanted = {name for name, _ in map(_pair, self.variables)}
        if names != wanted:
            return Denied(f"the variables are {_list(names)} instead of {_list(wanted)}")
        if len(names) != len(pairs):
            return Denied("a variable is set twice")
        values = dict(pairs)
        for name, value in map(_pair, self.variables):
            if value and values[name] != value:
                return Denied(f"{name} is {values[name]!r} instead of {value!r}")
        return self._decide_command(words[len(given) :], pairs)

    def _decide_command(
        self, command: tuple[str, ...], pairs: tuple[tuple[str, str], ...]
    ) -> Allowed | Denied:
        if not command:
            return Denied("no command follows the variables")
        if denied := self._other_command(command[0]):
            return denied
        if self.matchers:
            if len(command) - 1 != len(self.matchers):
                return Denied(
                    f"{len(self.matchers)} words are allowed behind {command[0]}, "
                    f"{len(command) - 1} given"
                )
            if denied := mismatch(self.matchers, command[1:]):
                return denied
        # As oslo.rootwrap: an empty value leaves the caller's variable as it is.
        return self._allow(command[1:], tuple((n, v) for n, v in pairs if n and v))

    def _misuse(self) -> Denied | None:
        """Refuse everything for a rule that cannot mean what it says."""
        named = self.rule.texts[0]
        if not self.variables:
            return Denied("the rule names no variable")
        if len({_pair(variable)[0] for variable in self.variables}) != len(self.variables):
            return Denied("the rule names a variable twice")
        if os.path.basename(self.exec_path) == "env":  # noqa: PTH119 - of words
            return Denied("the rule names no command behind the variables")
        if named != self.exec_path and os.path.basename(named) != "env":  # noqa: PTH119
            return Denied(f"the rule names two commands, {named} and {self.exec_path}")
        return None


def _variables(words: Sequence[str]) -> tuple[str, ...]:
    """The assignments that the words begin with."""
    count = next((n for n, word in enumerate(words) if "=" not in word), len(words))
    return tuple(words[:count])


def _pair(variable: str) -> tuple[str, str]:
    name, _, value = variable.partition("=")
    return name, value


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
