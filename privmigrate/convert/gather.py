"""From linked calls to operations: what is the same, or nearly, becomes one.

A call with one shape wants an entrypoint with a parameter for each value; one with several, or
with pieces that cannot be told where it stands, one that takes the command line as a list. Nothing
is joined that would accept more than the rules allow for each of its shapes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from privmigrate.argv import template as argv
from privmigrate.argv.unify import unify
from privmigrate.callsites.site import Site
from privmigrate.convert.admit import admit
from privmigrate.convert.as_built import as_built_ops, is_as_built
from privmigrate.convert.assemble import Assembled, arguments, assemble, share
from privmigrate.convert.bind import bind
from privmigrate.convert.link import Candidate
from privmigrate.convert.listed import listed_ops, native_op
from privmigrate.convert.made import (
    by_site,
    front_names,
    is_only_under,
    kind_of,
    op_of,
    with_ahead,
)
from privmigrate.convert.operation import (
    Op,
    Width,
)
from privmigrate.convert.plan import Plan
from privmigrate.convert.shape import Shape
from privmigrate.convert.use import Form, Why


@dataclass(frozen=True, slots=True)
class Gathered:
    """Operations made from calls, and how each call uses them."""

    ops: tuple[Op, ...]
    plans: tuple[Plan, ...]


@dataclass(slots=True)
class _Group:
    """Candidates that one template says."""

    template: argv.Template
    members: list[Candidate]
    fronts: frozenset[str]
    may: frozenset[str]


def gather(candidates: Sequence[Candidate], complete: Sequence[Site]) -> Gathered:
    """Make the operations of these calls, whose templates say everything that they run."""
    found = {id(site): mine for site, mine in by_site(candidates)}
    typed: list[Candidate] = []
    listed: list[Candidate] = []
    built: list[Candidate] = []
    native: list[list[Candidate]] = []
    for site in complete:
        mine = found.get(id(site), [])
        if any(each.rule.native is not None for each in mine):
            native.append(mine)
        elif is_as_built(site, mine):
            built.extend(mine)
        elif (
            site.given is None
            and len(_shapes(mine)) == 1
            and mine[0].shape.movable
            and _typable(mine[0])
        ):
            typed.extend(mine)
        elif site.words_source or site.given is not None:
            listed.extend(mine)
        else:
            typed.extend(each for each in mine if _typable(each))
            listed.extend(each for each in mine if not _typable(each))
    ops: list[Op] = []
    plans: list[Plan] = []
    for group in _groups(typed):
        made = _typed(group)
        if made is None:
            listed.extend(group.members)
            continue
        ops.append(made[0])
        plans.extend(made[1])
    for op, more in chain(listed_ops(listed), as_built_ops(built)):
        ops.append(op)
        plans.extend(more)
    for op, plan in map(native_op, native):
        ops.append(op)
        plans.append(plan)
    return Gathered(tuple(ops), tuple(plans))


def _shapes(candidates: Sequence[Candidate]) -> list[argv.Template]:
    return list(dict.fromkeys(each.shape.template for each in candidates))


def _typable(candidate: Candidate) -> bool:
    """Whether its words have a parameter for each value."""
    return not candidate.cut and assemble("", candidate.shape.template, ()) is not None


def _groups(candidates: Sequence[Candidate]) -> list[_Group]:
    """Unify what can be: in an order that does not depend on where the calls are."""
    groups: dict[tuple[object, ...], list[_Group]] = {}
    for each in sorted(candidates, key=lambda each: repr(each.shape.template)):
        here = groups.setdefault(kind_of(each), [])
        fronts = frozenset((each.front.prefix.name if each.front else "",))
        for number, group in enumerate(here):
            joined = _join(group, each, fronts)
            if joined is not None:
                here[number] = joined
                break
        else:
            here.append(_Group(each.shape.template, [each], fronts, each.fronts))
    return [group for here in groups.values() for group in here]


def _join(group: _Group, candidate: Candidate, fronts: frozenset[str]) -> _Group | None:
    template = candidate.shape.template
    used, may = group.fronts | fronts, group.may & candidate.fronts
    if not used <= may:
        return None
    if bind(group.template, template) is not None:
        joined = group.template
    elif bind(template, group.template) is not None:
        joined = template
    else:
        found = unify(group.template, _renamed(template, len(group.members)))
        if found is None or not (_is_plain(found) or _are_allowed(found, group, candidate)):
            return None
        joined = found
    if assemble("", joined, ()) is None:
        return None
    members = [*group.members, candidate]
    if any(bind(joined, each.shape.template) is None for each in members):
        return None
    return _Group(joined, members, used, may)


def _is_plain(template: argv.Template) -> bool:
    """Whether no combination of its parts is more than the rules of the single shapes allow."""
    return all(isinstance(segment, argv.Lit | argv.Hole) for segment in template.segments)


def _are_allowed(template: argv.Template, group: _Group, candidate: Candidate) -> bool:
    """Whether one wide rule allows all that the parts of the template can be together."""
    rules = {each.rule.sources for each in (*group.members, candidate)}
    if len(rules) > 1 or not candidate.whole:
        return False
    return any(each.template == template for each in admit(candidate.rule, Shape(template)))


def _renamed(template: argv.Template, number: int) -> argv.Template:
    """Names that no other member has."""

    def segment(each: argv.Segment) -> argv.Segment:
        match each:
            case argv.Lit():
                return each
            case argv.Hole(name, spec):
                return argv.Hole(f"{number}:{name}", spec)
            case argv.Opt(name, inner) | argv.Rep(name, inner):
                return type(each)(f"{number}:{name}", tuple(map(segment, inner)))

    return argv.Template(tuple(map(segment, template.segments)))


def _typed(group: _Group) -> tuple[Op, list[Plan]] | None:
    shapes = [each.shape for each in group.members]
    op = op_of(group.members)
    assembled = assemble(op.command, group.template, shapes)
    if assembled is None:
        return None
    assembled = share(assembled, group.template, shapes)
    variables = op.params
    words, params = assembled.words, (*assembled.params, *variables)
    op = replace(op, words=words, params=params, prefixes=front_names(group.fronts))
    op = replace(op, width=_width(op, group.members), only_under=is_only_under(group.members))
    plans = []
    for site, mine in by_site(group.members):
        shapes_of_site = {each.shape.template for each in mine}
        plan = _plan_typed(op, mine[0], assembled, group.template)
        if len(shapes_of_site) > 1 or len(site.templates) > len(mine):
            plan = replace(plan, why=Why.IN_PIECES)
        plans.append(with_ahead(plan, mine))
    return op, plans


def _plan_typed(
    op: Op, candidate: Candidate, assembled: Assembled, template: argv.Template
) -> Plan:
    shape = candidate.shape
    binding = bind(template, shape.template)
    given = arguments(assembled, binding, shape) if binding is not None else None
    if given is None or not shape.movable:
        return Plan(candidate.site, op.key, Form.TYPED, why=Why.IN_PIECES)
    start = len(assembled.params)
    values = [value for _, value in candidate.environment if not isinstance(value, str)]
    given |= {start + number: slot.whole for number, slot in enumerate(values)}
    return Plan(candidate.site, op.key, Form.TYPED, given)


def _width(op: Op, members: Sequence[Candidate]) -> Width:
    """Exact where it is all that a rule without free words allows."""
    for each in members:
        specs = [param.spec for param in each.rule.params]
        same = op.words == each.rule.words and [param.spec for param in op.params] == specs
        if each.whole or not same:
            return Width.NARROWED
    return members[0].rule.width


def merge_calls(ops: Iterable[Op]) -> tuple[Op, ...]:
    """Operations of one key, each made from some calls, as one."""
    found: dict[str, Op] = {}
    for op in ops:
        same = found.get(op.key)
        found[op.key] = op if same is None else _merged(same, op)
    return tuple(found.values())


def _merged(one: Op, other: Op) -> Op:
    return replace(
        one,
        calls=tuple(sorted({*one.calls, *other.calls})),
        sources=tuple(sorted({*one.sources, *other.sources})),
        candidates=tuple(dict.fromkeys((*one.candidates, *other.candidates))),
        prefixes=tuple(sorted({*one.prefixes, *other.prefixes})),
        only_under=one.only_under and other.only_under,
        stdin=one.stdin or other.stdin,
    )
