"""Converted packages for tests: made from text, imported, and held against oslo.rootwrap."""

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from oslo_rootwrap import filters as theirs

from privmigrate.convert import Conversion, Options, convert
from privmigrate.convert.lock import Disk, write
from privmigrate.convert.operation import Op, Prefix
from privmigrate.privsep.commands import Command
from privmigrate.privsep.execute import Planned
from privmigrate.rootwrap import oracle
from privmigrate.rootwrap.parse import parse_filters
from privmigrate.rootwrap.rule import Rule, Status

NOTHING = Disk(None, {})
EXEC_DIRS = ("/sbin", "/usr/sbin", "/bin", "/usr/bin")


def rules_of(text: str, file: str = "a.filters") -> tuple[Rule, ...]:
    """The rules of a file with this text below its [Filters]."""
    parsed = parse_filters(f"[Filters]\n{text}\n".encode(), file)
    assert not parsed.errors, parsed.errors
    return parsed.rules


def converted(
    *texts: str, package: str = "privileged", disk: Disk = NOTHING, **options: object
) -> Conversion:
    """Convert files named a.filters, b.filters, ... with these texts."""
    rules = [
        rule
        for number, text in enumerate(texts)
        for rule in rules_of(text, f"{chr(ord('a') + number)}.filters")
    ]
    chosen = Options(package=package, exec_dirs=EXEC_DIRS, **options)  # type: ignore[arg-type]
    return convert(rules, chosen, disk)


@contextmanager
def imported(conversion: Conversion, package: str, folder: Path) -> Iterator[None]:
    """Write the package into `folder` and make it importable inside."""
    write(folder / package, conversion.texts, {})
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]


def module_of(package: str, module: str) -> ModuleType:
    return importlib.import_module(f"{package}.{module}")


def command_of(package: str, op: Op) -> Command[...]:
    """The checked command behind an entrypoint."""
    found = getattr(module_of(package, op.module), op.name).function
    assert isinstance(found, Command)
    return found


@dataclass(frozen=True, slots=True)
class Judge:
    """oslo.rootwrap's own filters of the rules that operations came from."""

    filters: Mapping[tuple[str, int], oracle.Filter]
    prefixes: Mapping[str, Prefix]

    @classmethod
    def of(cls, rules: Sequence[Rule], conversion: Conversion) -> "Judge":
        live = [rule for rule in rules if rule.status is Status.LIVE]
        built = {(rule.span.file, rule.span.line): oracle.build(rule) for rule in live}
        return cls(built, {prefix.name: prefix for prefix in conversion.prefixes})

    def why_not(self, op: Op, planned: Planned, prefix: str, prefix_words: Sequence[str]) -> str:
        """Say what is wrong with what would run, or nothing."""
        argv = planned.argv[len(prefix_words) :]
        assignments = [f"{name}={value}" for name, value in planned.env]
        words = [op.called_as, *argv[1:]]
        if assignments:
            words = ["env", *assignments, *words]
        asked = [self.filters[source.file, source.line] for source in op.sources]
        if not prefix:
            return self._why_not_here(asked, planned, words)
        # behind a prefix the check sees the base name of what runs
        leaf = [argv[0].rpartition("/")[2], *argv[1:]]
        if assignments:
            leaf = ["env", *assignments, *leaf]
        chain = self.prefixes[prefix]
        for source in chain.sources:
            chained = self.filters[source.file, source.line]
            assert isinstance(chained, theirs.ChainingFilter)
            whole = [chain.called_as, *prefix_words[1:], *leaf]
            if not chained.match(list(whole)):
                continue
            rest = chained.exec_args(list(whole))
            if any(f.run_as == chained.run_as and f.match(list(rest)) for f in asked):
                return ""
        return f"no chain allows {prefix_words} {leaf}"

    def why_not_as_a_whole(self, op: Op, planned: Planned) -> str:
        """Put it to all rules of the set in their order, as oslo.rootwrap asks them.

        EnvFilter takes ``env`` from the words that later filters see, and the first filter that
        matches decides who runs it.
        """
        user = planned.user or "root"
        assignments = [f"{name}={value}" for name, value in planned.env]
        for name in (op.called_as, *op.candidates):
            words = [name, *planned.argv[1:]]
            if assignments:
                words = ["env", *assignments, *words]
            first = next((each for each in self.filters.values() if each.match(words)), None)
            if first is not None and first.run_as == user:
                return ""
        return f"the set does not allow {op.called_as} {planned.argv[1:]} as {user}"

    @staticmethod
    def _why_not_here(
        asked: Sequence[oracle.Filter], planned: Planned, words: Sequence[str]
    ) -> str:
        matching = [each for each in asked if each.match(list(words))]
        if not matching:
            return f"no rule allows {words}"
        for each in matching:
            runs = each.get_command(list(words), list(EXEC_DIRS))
            user = None if each.run_as == "root" else each.run_as
            if tuple(runs[1:]) == planned.argv[1:] and user == planned.user:
                return ""
        return f"the rules run something else than {planned}"


def arguments_of(
    op: Op, values: Sequence[object], rest: Sequence[object]
) -> tuple[list[object], dict[str, object]]:
    """Split values of `op.params` into what is given by position and by name."""
    pairs = list(zip(op.params, values, strict=True))
    positional = [value for param, value in pairs if not param.keyword]
    named = {param.name: value for param, value in pairs if param.keyword and value is not None}
    return [*positional, *rest], named


def plan(
    command: Command[...], positional: Sequence[object], named: Mapping[str, object]
) -> Planned | None:
    """What would run with these arguments; None if they are refused."""
    from privmigrate.errors import Refused

    with suppress(Refused, TypeError):
        (planned,) = command.plan(*positional, **named)
        return planned
    return None
