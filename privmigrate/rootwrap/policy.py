"""All the filters of one rootwrap.conf, in order: what may run, as whom, and why not.

Exact mode is oslo.rootwrap's own `match_filter` over oslo.rootwrap's own filter objects, except
that only the filters that can be about the argv are asked (`index`), and that executables are
looked up anew for every decision. Strict mode asks for more: a filter has to allow the argv as it
was meant (`filters`), and what it runs has to be what exact mode would run, so that strict mode is
a part of exact mode by construction. There, no pattern that may take exponential time is executed
as oslo.rootwrap would: such a filter is taken to match, and has to run the same.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from privmigrate.diagnostics import Diagnostic, Span
from privmigrate.errors import InputError
from privmigrate.rootwrap import oracle
from privmigrate.rootwrap.command import (
    Allowed,
    Command,
    Decision,
    Denied,
    Failed,
    Mode,
    Near,
    NotExecutable,
)
from privmigrate.rootwrap.config import RootwrapConfig
from privmigrate.rootwrap.filters import ChainFilter, Filter, bind
from privmigrate.rootwrap.filters.chainingregexp import ChainingRegExpFilter
from privmigrate.rootwrap.filters.env import EnvFilter
from privmigrate.rootwrap.filters.regexp import RegExpFilter
from privmigrate.rootwrap.index import Index
from privmigrate.rootwrap.parse import read_filters_path
from privmigrate.rootwrap.rule import Rule, Status, Value

MAX_NEAREST: Final = 5

_BUILT_IN: Final = Span("oslo.rootwrap")
# oslo.rootwrap puts this filter behind those of the files, whatever they say.
PRIVSEP_HELPER: Final = Rule(
    name="privsep-helper",
    raw_name="privsep-helper",
    filter_class="CommandFilter",
    values=(Value("privsep-helper", _BUILT_IN), Value("root", _BUILT_IN)),
    comments=(),
    raw="",
    span=_BUILT_IN,
    order=0,
)


class _Raised(Exception):  # noqa: N818 - carries an outcome out of a nested decision
    """Asking the filter at `position` raised."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


@dataclass(frozen=True, slots=True)
class _Caller:
    """What a decision depends on besides the filters."""

    exec_dirs: tuple[str, ...]
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Group:
    """Filters that are asked together, by their positions in the policy."""

    positions: tuple[int, ...]
    index: Index

    def candidates(self, argv: Sequence[str]) -> Iterator[int]:
        return (self.positions[place] for place in self.index.candidates(argv))

    def about(self, argv: Sequence[str]) -> Iterator[int]:
        return (self.positions[place] for place in self.index.about(argv))


class Policy:
    """The ordered filters of one rootwrap.conf. Safe to use from many threads."""

    def __init__(
        self,
        rules: Sequence[Rule],
        exec_dirs: Sequence[str] = (),
        *,
        exec_dirs_given: bool = True,
        diagnostics: Sequence[Diagnostic] = (),
    ) -> None:
        """Take the live ones of `rules`; `Policy.load` reads them from files."""
        live = [rule for rule in rules if rule.status is Status.LIVE]
        self.rules: Final = (*live, PRIVSEP_HELPER)
        self.diagnostics: Final = tuple(diagnostics)
        self._exec_dirs: Final = tuple(exec_dirs)
        self._exec_dirs_given: Final = exec_dirs_given
        self._asked: Final = tuple(oracle.build(rule) for rule in self.rules)
        # Bound when first needed: compiling all patterns costs more than a decision.
        self._bound: Final[list[Filter | Diagnostic | None]] = [None] * len(self.rules)
        everyone = range(len(self.rules))
        self._everyone: Final = self._group(everyone)
        chains = {asked.run_as for asked in self._asked if oracle.is_chain(asked)}
        # A chained command needs a filter of the same user that is no chain.
        self._leaves: Final = {
            user: self._group(
                [
                    position
                    for position in everyone
                    if self._asked[position].run_as == user
                    and not oracle.is_chain(self._asked[position])
                ]
            )
            for user in chains
        }

    @classmethod
    def from_rules(cls, rules: Sequence[Rule], exec_dirs: Sequence[str] = ()) -> "Policy":
        """Make a policy of rules in their order; those that are not live count for nothing."""
        return cls(rules, exec_dirs)

    @classmethod
    def load(cls, config: RootwrapConfig) -> "Policy":
        """Read the filters of a configuration. Raise InputError where oslo.rootwrap would die."""
        parsed = read_filters_path(config.filters_path)
        if parsed.errors:
            raise InputError(*map(str, parsed.errors))
        return cls(
            parsed.rules,
            config.exec_dirs,
            exec_dirs_given=config.exec_dirs_given,
            diagnostics=parsed.diagnostics,
        )

    def decide(
        self,
        argv: Sequence[str],
        mode: Mode = Mode.EXACT,
        environ: Mapping[str, str] | None = None,
    ) -> Decision:
        """Say what `argv` runs. `environ` is the caller's environment (this process's own)."""
        words = tuple(argv)
        caller = self._caller(environ)
        try:
            if mode is Mode.EXACT:
                return self._exact(words, caller)
            return self._strict(words, caller)
        except _Raised as raised:
            rule, cause = self.rules[raised.position], raised.__cause__
            return Failed(type(cause).__name__, str(cause), rule.name, rule.span)

    def _caller(self, environ: Mapping[str, str] | None) -> _Caller:
        if environ is None:
            return _Caller(self._exec_dirs, os.environ)
        exec_dirs = self._exec_dirs
        if not self._exec_dirs_given:
            exec_dirs = tuple(environ["PATH"].split(":")) if "PATH" in environ else ()
        return _Caller(exec_dirs, environ)

    def _group(self, positions: Sequence[int]) -> _Group:
        pairs = ((self.rules[position], self._asked[position].exec_path) for position in positions)
        return _Group(tuple(positions), Index(pairs))

    # -- exact -----------------------------------------------------------------------------

    def _exact(self, argv: tuple[str, ...], caller: _Caller) -> Decision:
        words = list(argv)  # EnvFilter takes words away while it looks
        answer = self._match(self._everyone, words, caller)
        if answer is None:
            return self._denied(argv, caller)
        position, found = answer
        rule = self.rules[position]
        if not found:
            return NotExecutable(self._asked[position].exec_path, rule.name, rule.span)
        return Allowed(self._command(position, words, found), rule.name, rule.span)

    def _match(
        self, group: _Group, words: list[str], caller: _Caller
    ) -> tuple[int, str | None] | None:
        """The position and the executable of the first filter that has one, or that has none."""
        missing: tuple[int, None] | None = None
        for position in group.candidates(words):
            try:
                if not self._admits(position, words, caller):
                    continue
                found = oracle.executable(self._asked[position], caller.exec_dirs)
            except _Raised:
                raise
            except Exception as error:
                # Whatever it is, oslo.rootwrap ends with it.
                raise _Raised(position) from error
            if found:
                return position, found
            missing = missing or (position, None)
        return missing

    def _admits(self, position: int, words: list[str], caller: _Caller) -> bool:
        asked = self._asked[position]
        if not oracle.matches(asked, words, caller.environ):
            return False
        if not oracle.is_chain(asked):
            return True
        behind = oracle.chained(asked, words)
        if not behind:
            return False
        answer = self._match(self._leaves[asked.run_as], behind, caller)
        return answer is not None and answer[1] is not None

    def _command(self, position: int, words: list[str], found: str) -> Command:
        try:
            return oracle.command(self._asked[position], words, found)
        except Exception as error:
            raise _Raised(position) from error

    # -- strict ----------------------------------------------------------------------------

    def _strict(self, argv: tuple[str, ...], caller: _Caller) -> Decision:
        missing: NotExecutable | None = None
        for position in self._everyone.about(argv):
            bound = self._filter(position)
            if isinstance(bound, Diagnostic):
                continue
            answer = self._strictly(bound, argv, caller)
            if isinstance(answer, Denied):
                continue
            found = oracle.executable(self._asked[position], caller.exec_dirs)
            if not found:
                missing = missing or NotExecutable(
                    bound.exec_path, bound.rule.name, bound.rule.span
                )
                continue
            words = (found, *answer.command.argv[1:])
            command = replace(answer.command, executable=found, argv=words)
            if self._is_exact(command, position, argv, caller):
                return replace(answer, command=command)
        return missing or self._denied(argv, caller)

    def _is_exact(
        self, command: Command, chosen: int, argv: tuple[str, ...], caller: _Caller
    ) -> bool:
        """Say whether exact mode runs `command`, which the filter at `chosen` allows, as well."""
        words = list(argv)
        for position in self._everyone.candidates(argv):
            try:
                admits = self._may_admit(position, words, caller)
                if admits is False:
                    continue
                found = oracle.executable(self._asked[position], caller.exec_dirs)
            except _Raised:
                raise
            except Exception as error:
                raise _Raised(position) from error
            if not found:
                continue
            if self._command(position, words, found) != command:
                return False
            if admits or position == chosen:
                return True
        return False

    def _may_admit(self, position: int, words: list[str], caller: _Caller) -> bool | None:
        """As `_admits`; None where saying so might take exponential time."""
        asked = self._asked[position]
        if self._is_slow(position):
            oracle.compile_patterns(asked)
            return None
        if oracle.is_chain(asked):
            if not oracle.matches(asked, words, caller.environ):
                return False
            leaves = self._leaves[asked.run_as].candidates(oracle.chained(asked, words))
            slow = [leaf for leaf in leaves if self._is_slow(leaf)]
            for leaf in slow:
                oracle.compile_patterns(self._asked[leaf])
            if slow:
                return None
        return self._admits(position, words, caller)

    def _is_slow(self, position: int) -> bool:
        if self.rules[position].filter_class not in {"RegExpFilter", "ChainingRegExpFilter"}:
            return False
        bound = self._filter(position)
        if isinstance(bound, RegExpFilter | ChainingRegExpFilter):
            return not all(matcher.by_re for matcher in bound.matchers)
        return True  # no proof for what cannot be used

    def _strictly(self, bound: Filter, argv: tuple[str, ...], caller: _Caller) -> Allowed | Denied:
        answer = bound.decide(argv)
        if isinstance(answer, Allowed) and isinstance(bound, ChainFilter):
            behind = bound.chained(argv)
            if not self._strictly_chained(bound.run_as, behind, caller):
                return Denied(f"no filter allows the command behind it, {' '.join(behind)!r}")
        return answer

    def _strictly_chained(self, user: str, argv: tuple[str, ...], caller: _Caller) -> bool:
        """Check the command of a chain as it will be run, by the path that stands there."""
        bare = (os.path.basename(argv[0]), *argv[1:])  # noqa: PTH119 - of words
        for position in self._leaves[user].about(bare):
            leaf = self._filter(position)
            if isinstance(leaf, Diagnostic):
                continue
            found = oracle.executable(self._asked[position], caller.exec_dirs)
            if not found:
                continue
            # The filter's own executable has to be what runs: a pattern may allow another name.
            own = {leaf.exec_path, os.path.basename(leaf.exec_path), found}  # noqa: PTH119
            if isinstance(leaf, EnvFilter):
                own = {"env"}
            if argv[0] not in own:
                continue
            words = bare if argv[0] == found else argv
            if isinstance(leaf.decide(words), Allowed):
                return True
        return False

    def _filter(self, position: int) -> Filter | Diagnostic:
        bound = self._bound[position]
        if bound is None:
            # Two threads may both do this; either result will do.
            bound = self._bound[position] = bind(self.rules[position])
        return bound

    def _denied(self, argv: tuple[str, ...], caller: _Caller) -> Denied:
        """Say why, by what the filters for this command were meant to allow."""
        if not argv:
            return Denied("no command was given")
        near: list[Near] = []
        number = 0
        for position in self._everyone.about(argv):
            number += 1
            if len(near) < MAX_NEAREST and (why := self._why_not(position, argv, caller)):
                near.append(Near(self.rules[position].name, self.rules[position].span, why))
        if not number:
            return Denied(f"no filter is about {argv[0]!r}")
        filters = "the filter" if number == 1 else f"none of the {number} filters"
        verb = "does not allow" if number == 1 else "allows"
        return Denied(f"{filters} for {argv[0]!r} {verb} these words", tuple(near))

    def _why_not(self, position: int, argv: tuple[str, ...], caller: _Caller) -> str | None:
        bound = self._filter(position)
        if isinstance(bound, Diagnostic):
            return bound.message
        answer = self._strictly(bound, argv, caller)
        return answer.why if isinstance(answer, Denied) else None
