"""The stage that call sites add: rules become what the calls need of them.

A rule whose calls are all resolved is replaced by the operations of these calls. One that a call
may use whose command line is not wholly known stays as it is, marked with the place that keeps it.
One that no call needs is a privilege to drop.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from privmigrate.callsites.given import carrying
from privmigrate.callsites.site import AS_BUILT, UNRESOLVED, Reason, Site
from privmigrate.convert.chain import attach
from privmigrate.convert.gather import gather, merge_calls
from privmigrate.convert.link import link, rules_by_name, why_denied
from privmigrate.convert.made import call_of
from privmigrate.convert.operation import Fate, Op, Outcome, Prefix
from privmigrate.convert.plan import Plan
from privmigrate.convert.shape import shape_of
from privmigrate.convert.use import Unlinked, Why
from privmigrate.diagnostics import Span

INCOMPLETE: Final = UNRESOLVED | {Reason.SHELL}
"""Reasons for which a call may run more than its templates say."""
UNUSED: Final = "no call needs it: a privilege to drop"
_KEPT: Final = "stays as wide as it is"


@dataclass(frozen=True, slots=True)
class FromCalls:
    """What is to be generated, and what became of everything else."""

    ops: tuple[Op, ...]
    prefixes: tuple[Prefix, ...]
    outcomes: tuple[Outcome, ...]
    plans: tuple[Plan, ...]
    unlinked: tuple[Unlinked, ...]


def from_calls(
    rules: Sequence[Op],
    prefixes: Sequence[Prefix],
    sites: Sequence[Site],
    *,
    keep_unreferenced: bool,
) -> FromCalls:
    """Make operations of calls, each within the rules that allow it."""
    called = frozenset(name for site in sites for name in (*site.via, *site.through))
    covered = {site.span: site for site in sites if site.covered}
    asking = (carrying(site) or site for site in sites if not site.covered)
    ordered = sorted(asking, key=lambda site: (call_of(site), site.span.column))
    complete = [site for site in ordered if not _stays(site, called)]
    passing = [site for site in ordered if _passes(site, called)]
    incomplete = [site for site in ordered if _stays(site, called) and site not in passing]
    unlinked = [_unresolved(site, Why.WRAPPER) for site in passing]
    unlinked.extend(map(_unresolved, incomplete))
    links = link(rules, prefixes, complete)
    unlinked.extend(_denied(complete, links.denied))
    unlinked.extend(_denied_callers(links.denied, covered))
    gathered = gather(links.candidates, complete)
    plans = []
    for plan in gathered.plans:
        if not _is_to_go(plan):
            unlinked.append(_unresolved(plan.site))
        else:
            plans.append(plan)
    made = merge_calls(gathered.ops)
    keepers = _keepers(rules, incomplete)
    used = {name for op in made for name in op.prefixes}
    kept = [_kept(rule, keepers[rule.key]) for rule in rules if rule.key in keepers]
    known = {op.key for op in made}
    used_rules = set(links.calls)
    unused = [
        rule for rule in rules if rule.key not in keepers and not used_rules & {*rule.sources}
    ]
    if keep_unreferenced:
        kept.extend(replace(rule, remarks=(*rule.remarks, UNUSED)) for rule in unused)
        unused = []
    namespaces = any(site.templates and _has_front(site) for site in ordered)
    left = tuple(
        prefix
        for prefix in prefixes
        if prefix.name in used or keep_unreferenced or (kept and namespaces and prefix.namespace)
    )
    kept_ops = attach([op for op in kept if op.key not in known], left)
    doubt = [site for site in incomplete if not _commands(site)]
    outcomes = list(_outcomes(unused, [each for each in prefixes if each not in left], doubt))
    ops = tuple(sorted((*made, *kept_ops), key=lambda op: (op.sources, op.key)))
    return FromCalls(ops, left, tuple(outcomes), tuple(plans), tuple(_distinct(unlinked)))


def _is_to_go(plan: Plan) -> bool:
    """Whether nothing that is doubtful about the call is left when the list itself is checked."""
    reasons = set(plan.site.reasons)
    return not (reasons - AS_BUILT if plan.as_built else reasons)


def _stays(site: Site, called: frozenset[str]) -> bool:
    """Whether it may run more than its templates say, or is no call by itself."""
    return (
        _passes(site, called)
        or bool(INCOMPLETE & set(site.reasons))
        or not site.resolved
        or any(shape_of(template.segments).free for template in site.templates)
    )


def _passes(site: Site, called: frozenset[str]) -> bool:
    """Whether it only passes on what its callers say, which are among the sites."""
    wrapper = Reason.WRAPPER in site.reasons
    return Reason.UNPARSED in site.reasons or (
        wrapper and f"{site.module}.{site.function}" in called
    )


def _commands(site: Site) -> set[str]:
    return {command for template in site.templates for command in template.commands}


def _has_front(site: Site) -> bool:
    return any(template.netns is not None for template in site.templates)


def _keepers(rules: Sequence[Op], incomplete: Iterable[Site]) -> dict[str, list[Site]]:
    """The calls that may use a rule in a way that is not known, by the rule's key."""
    by_name = rules_by_name(rules)
    found: dict[str, list[Site]] = {}
    for site in incomplete:
        for command in sorted(_commands(site)):
            for rule in by_name.get(command, ()):
                found.setdefault(rule.key, []).append(site)
    return found


def _kept(rule: Op, keepers: Sequence[Site]) -> Op:
    first, *others = keepers
    more = f" and {len(others)} more" if others else ""
    reasons = ", ".join(reason.value for reason in first.reasons) or "unresolved"
    remark = f"{_KEPT}: {call_of(first)} ({reasons}){more} may use it"
    return replace(rule, remarks=(remark, *rule.remarks))


def _unresolved(site: Site, why: Why = Why.UNRESOLVED) -> Unlinked:
    reasons = ", ".join(reason.value for reason in site.reasons) or Why.UNRESOLVED.value
    return Unlinked(site, why, reasons)


def _denied(complete: Sequence[Site], denied: Sequence[tuple[Site, int]]) -> Iterator[Unlinked]:
    """The calls of which no shape is allowed."""
    count: dict[int, int] = {}
    for site, _ in denied:
        count[id(site)] = count.get(id(site), 0) + 1
    for site in complete:
        if count.get(id(site)) != len(site.templates):
            continue
        if site.given is not None:
            yield Unlinked(site, Why.WRAPPER, Reason.WRAPPER.value)
        else:
            needs_none = any(option.name == "privsep_exec" for option in site.options)
            why = Why.NO_RULE_NEEDED if needs_none else Why.NO_RULE
            yield Unlinked(site, why, why_denied(site))


def _denied_callers(
    denied: Sequence[tuple[Site, int]], covered: Mapping[Span, Site]
) -> Iterator[Unlinked]:
    """The callers of wrappers of which no shape is allowed: each fails by itself."""
    numbers: dict[int, set[int]] = {}
    for site, number in denied:
        numbers.setdefault(id(site), set()).add(number)
    for site in {id(site): site for site, _ in denied}.values():
        for each in site.given.callers if site.given is not None else ():
            own = covered.get(each.route[0]) if each.route else None
            if own is not None and numbers[id(site)] >= set(each.templates):
                yield Unlinked(own, Why.NO_RULE, why_denied(own))


def _outcomes(
    unused: Sequence[Op], prefixes: Sequence[Prefix], doubt: Sequence[Site]
) -> Iterator[Outcome]:
    text = UNUSED
    if doubt:
        places = ", ".join(str(call_of(site)) for site in doubt[:1])
        more = f" and {len(doubt) - 1} more" if len(doubt) > 1 else ""
        text = f"{UNUSED}, unless {places}{more}, whose command is not known, is what needs it"
    for rule in unused:
        for source in rule.sources:
            yield Outcome(source, rule.filter_class, Fate.UNUSED, text)
    for prefix in prefixes:
        for source in prefix.sources:
            yield Outcome(source, "chain", Fate.UNUSED, text)


def _distinct(unlinked: Iterable[Unlinked]) -> Iterator[Unlinked]:
    seen: set[int] = set()
    for each in unlinked:
        if id(each.site) not in seen:
            seen.add(id(each.site))
            yield each
