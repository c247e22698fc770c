"""Which rules of a filter set a service's calls need, which calls have none, which rules no call.

Only looks: nothing is converted. A call of which some words are not known may need every rule for
its command.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from privmigrate.callsites.site import Reason, Site, Template
from privmigrate.convert.link import link, rules_by_name
from privmigrate.convert.lower import lower
from privmigrate.convert.operation import Op, Prefix, Source
from privmigrate.convert.shadow import find_shadowed
from privmigrate.convert.shape import shape_of
from privmigrate.convert.unify import unify_prefixes
from privmigrate.rootwrap.rule import Rule, Status


@dataclass(frozen=True, slots=True)
class Allowance:
    """What came of it.

    Attributes:
        allowing: for every site the rules that allow each of its templates.
        perhaps: for every site the rules that may allow what is not known of it.
        denied: the sites with a template that no rule allows, and which of them.
        unused: the rules that no call needs or may need.
    """

    allowing: tuple[tuple[tuple[Source, ...], ...], ...]
    perhaps: tuple[tuple[Source, ...], ...]
    denied: tuple[tuple[Site, int], ...]
    unused: tuple[Source, ...]


def allow(rules: Sequence[Rule], sites: Sequence[Site]) -> Allowance:
    """Hold calls against rules whose places name files as the output shall name them."""
    live = [
        rule
        for rule, why in zip(rules, find_shadowed(rules), strict=True)
        if why is None and rule.status is not Status.UNKNOWN_CLASS
    ]
    lowered = [lower(rule, Source(rule.span.file, rule.span.line, rule.raw_name)) for rule in live]
    ops = [each for each in lowered if isinstance(each, Op)]
    prefixes = unify_prefixes(each for each in lowered if isinstance(each, Prefix))
    called = frozenset(name for site in sites for name in (*site.via, *site.through))
    asked = [site for site in sites if _is_asked(site, called)]
    known = [site for site in asked if all(map(_is_known, site.templates))]
    links = link(ops, prefixes, known)
    found: dict[tuple[int, int], dict[Source, None]] = {}
    for candidate in links.candidates:
        row = found.setdefault((id(candidate.site), candidate.number), {})
        fronts = candidate.front.prefix.sources if candidate.front else ()
        row.update(dict.fromkeys((*candidate.rule.sources, *fronts)))
    by_name = rules_by_name(ops)
    perhaps = tuple(
        () if site in known or site not in asked else tuple(sorted(set(_for(site, by_name))))
        for site in sites
    )
    allowing = tuple(
        tuple(tuple(sorted(found.get((id(site), n), ()))) for n in range(len(site.templates)))
        for site in sites
    )
    used = {source for row in found.values() for source in row}
    used.update(source for row in perhaps for source in row)
    every = {source for op in ops for source in op.sources}
    every.update(source for prefix in prefixes for source in prefix.sources)
    denied = tuple((site, number) for site, number in links.denied if not _needs_none(site))
    return Allowance(allowing, perhaps, denied, tuple(sorted(every - used)))


def _is_asked(site: Site, called: frozenset[str]) -> bool:
    """Whether it runs something itself: a wrapper's callers do."""
    return Reason.WRAPPER not in site.reasons or f"{site.module}.{site.function}" not in called


def _is_known(template: Template) -> bool:
    return bool(template.commands) and template.closed and not shape_of(template.segments).free


def _needs_none(site: Site) -> bool:
    """Whether it goes to a privsep daemon already."""
    return any(option.name == "privsep_exec" for option in site.options)


def _for(site: Site, by_name: dict[str, list[Op]]) -> Iterator[Source]:
    for template in site.templates:
        for command in template.commands:
            for rule in by_name.get(command, ()):
                yield from rule.sources
