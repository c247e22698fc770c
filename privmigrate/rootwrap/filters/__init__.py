"""The filter classes: one file each, and the table of them all.

These classes read a rule as it was meant: each allows a part of what oslo.rootwrap allows by the
same rule, never more. They are strict mode, and what conversion starts from.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from privmigrate.diagnostics import Diagnostic, Severity
from privmigrate.rootwrap.filters.base import ChainFilter, Filter
from privmigrate.rootwrap.filters.chaining import ChainingFilter
from privmigrate.rootwrap.filters.chainingregexp import ChainingRegExpFilter
from privmigrate.rootwrap.filters.command import CommandFilter
from privmigrate.rootwrap.filters.env import EnvFilter
from privmigrate.rootwrap.filters.ip import IpFilter
from privmigrate.rootwrap.filters.ipnetns import IpNetnsExecFilter
from privmigrate.rootwrap.filters.kill import KillFilter
from privmigrate.rootwrap.filters.path import PathFilter
from privmigrate.rootwrap.filters.readfile import ReadFileFilter
from privmigrate.rootwrap.filters.regexp import RegExpFilter
from privmigrate.rootwrap.rule import MINIMUM_VALUES, Rule

__all__ = ("FILTERS", "ChainFilter", "Filter", "bind")

FILTERS: Final[Mapping[str, type[Filter]]] = MappingProxyType(
    {
        "CommandFilter": CommandFilter,
        "RegExpFilter": RegExpFilter,
        "PathFilter": PathFilter,
        "EnvFilter": EnvFilter,
        "KillFilter": KillFilter,
        "ReadFileFilter": ReadFileFilter,
        "IpFilter": IpFilter,
        "IpNetnsExecFilter": IpNetnsExecFilter,
        "ChainingFilter": ChainingFilter,
        "ChainingRegExpFilter": ChainingRegExpFilter,
    }
)


def bind(rule: Rule) -> Filter | Diagnostic:
    """Make the filter of a rule, or say why it can never allow anything."""
    filter_class = FILTERS.get(rule.filter_class)
    if filter_class is None:
        return Diagnostic(
            rule.span,
            Severity.WARNING,
            "unknown-filter-class",
            f"{rule.raw_name}: {rule.filter_class!r} is no filter class; rootwrap skips the entry",
        )
    needed = MINIMUM_VALUES[rule.filter_class]
    if len(rule.values) < needed:
        return Diagnostic(
            rule.span,
            Severity.ERROR,
            "too-few-values",
            f"{rule.raw_name}: {rule.filter_class} needs at least {needed} values, "
            f"{len(rule.values)} given",
        )
    return filter_class.bind(rule)
