"""Finds the rules, runs them all, and takes no silence for an answer.

A rule is a module of `privmigrate.audit.rules`: its docstring is its manual page, CODE its number
for ever, LEVEL how bad its findings are, EXAMPLES its tests, and `check` yields what it found.
`WAYS`, where it has them, are the command lines that it looks for. A rule that does not load, or
that fails on its evidence, fails the run: a judge that is skipped looks like a clean result.
"""

import importlib
import importlib.metadata
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from privmigrate.audit import rules as folder
from privmigrate.audit.evidence import Evidence
from privmigrate.audit.finding import Finding, Found, Level
from privmigrate.audit.power import Way
from privmigrate.errors import InternalError
from privmigrate.examples import Clean, Finds

_CODE: Final = re.compile(r"PM[0-9]{3}\Z")
Check = Callable[[Evidence], Iterable[Found]]


@dataclass(frozen=True, slots=True)
class AuditRule:
    """One judge, as its module describes it."""

    code: str
    name: str
    level: Level
    title: str
    page: str
    check: Check
    examples: tuple[Finds | Clean, ...]
    ways: tuple[Way, ...]


@cache
def load_rules() -> tuple[AuditRule, ...]:
    """Every rule, by code. Raise InternalError for one that does not load."""
    found: dict[str, AuditRule] = {}
    for info in pkgutil.iter_modules(folder.__path__):
        rule = _load(info.name)
        if rule.code in found:
            raise InternalError(f"audit rules {found[rule.code].name} and {rule.name} are both "
                                f"{rule.code}")  # fmt: skip
        found[rule.code] = rule
    return tuple(found[code] for code in sorted(found))


def _load(name: str) -> AuditRule:
    try:
        module = importlib.import_module(f"{folder.__name__}.{name}")
        page = module.__doc__ or ""
        rule = AuditRule(
            code=module.CODE,
            name=name,
            level=Level(module.LEVEL),
            title=page.partition("\n")[0].rstrip("."),
            page=page.strip(),
            check=module.check,
            examples=tuple(module.EXAMPLES),
            ways=tuple(getattr(module, "WAYS", ())),
        )
    except Exception as error:
        raise InternalError(f"the audit rule {name} does not load: {error!r}") from error
    if not _CODE.match(rule.code) or not rule.title:
        raise InternalError(f"the audit rule {name} needs a CODE such as PM101 and a docstring")
    return rule


def version() -> str:
    """The version of the judge; "0" in a checkout that is not installed."""
    try:
        return importlib.metadata.version("privmigrate")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def all_ways() -> tuple[Way, ...]:
    """The command lines that all rules look for."""
    return tuple(way for rule in load_rules() for way in rule.ways)


# What a profile changes: a level that findings are raised or lowered to, by the code's first digit.
_AT_MOST: Final = {"migrate": {"1": Level.MEDIUM, "4": Level.LOW, "5": Level.LOW}}
_AT_LEAST: Final = {"migrate": {"3": Level.MEDIUM}, "production": {"0": Level.MEDIUM}}


def judge(
    evidence: Evidence, profile: str = "production", rules: Sequence[AuditRule] | None = None
) -> tuple[Finding, ...]:
    """Run the rules on the evidence; worst findings first, each once."""
    found = {finding for rule in rules or load_rules() for finding in _run(rule, evidence, profile)}
    return tuple(sorted(found, key=lambda finding: finding.order))


def _run(rule: AuditRule, evidence: Evidence, profile: str) -> Iterator[Finding]:
    try:
        for found in rule.check(evidence):
            level = rule.level if found.level is None else found.level
            yield Finding(
                rule.code,
                _in_profile(rule.code, level, profile),
                found.span,
                found.message,
                found.advice,
            )
    except Exception as error:
        raise InternalError(
            f"the audit rule {rule.name} ({rule.code}) failed: {error!r}"
        ) from error


def _in_profile(code: str, level: Level, profile: str) -> Level:
    if level is Level.NOTE:
        return level
    family = code[2]
    level = min(level, _AT_MOST.get(profile, {}).get(family, level))
    return max(level, _AT_LEAST.get(profile, {}).get(family, level))
