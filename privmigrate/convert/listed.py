"""Operations that take a command line as a list, and those that need no command at all."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from privmigrate.argv import template as argv
from privmigrate.argv.spec import Choice
from privmigrate.convert.admit import signal_of
from privmigrate.convert.bind import bind
from privmigrate.convert.link import Candidate
from privmigrate.convert.made import by_site, call_of, front_names, kind_of, op_of, with_ahead
from privmigrate.convert.operation import Cat, Kill, Kind, Op
from privmigrate.convert.plan import Plan
from privmigrate.convert.shape import Shape, Slot
from privmigrate.convert.text import identifier
from privmigrate.convert.use import Form, Why


def listed_ops(candidates: Sequence[Candidate]) -> Iterator[tuple[Op, list[Plan]]]:
    """One entrypoint for all command lines of one command that are taken as a list."""
    kinds: dict[tuple[object, ...], list[Candidate]] = {}
    for each in candidates:
        kinds.setdefault((*kind_of(each), each.fronts), []).append(each)
    every = {id(site): mine for site, mine in by_site(candidates)}
    for members in kinds.values():
        fronts = frozenset(each.front.prefix.name for each in members if each.front)
        op = replace(op_of(members), templates=_templates(members), prefixes=front_names(fronts))
        plans = []
        for site, mine in by_site(members):
            plan = Plan(site, op.key, Form.CHECKED)
            if any(isinstance(value, Slot) for _, value in mine[0].environment):
                plan = replace(plan, why=Why.IN_PIECES)
            if len(mine) < len(every[id(site)]):
                plan = replace(plan, why=Why.SEVERAL_COMMANDS)
            elif not site.words_source:
                plan = replace(plan, why=Why.IN_PIECES)
            plans.append(with_ahead(plan, mine) if plan.why is None else plan)
        yield op, plans


def _templates(members: Sequence[Candidate]) -> tuple[argv.Template, ...]:
    """Every command line, without those that another one covers; holes by readable names."""
    kept: list[argv.Template] = []
    ordered = sorted(members, key=lambda each: (-len(repr(each.shape.template)), repr(each.shape)))
    for each in ordered:
        template = _named(each.shape)
        if any(bind(other, template) is not None for other in kept):
            continue
        kept = [other for other in kept if bind(template, other) is None]
        kept.append(template)
    return tuple(sorted(kept, key=repr))


def _named(shape: Shape) -> argv.Template:
    """The template with the names of its values: messages of refusals have them."""
    taken: set[str] = set()

    def name_of(key: str, suggested: Sequence[str]) -> str:
        base = identifier(suggested[0] if suggested else "word", empty="word")
        number = 2
        name = base
        while name in taken:
            name, number = f"{base.rstrip('_')}_{number}", number + 1
        taken.add(name)
        del key
        return name

    def segment(each: argv.Segment) -> argv.Segment:
        match each:
            case argv.Lit():
                return each
            case argv.Hole(name, spec):
                slot = shape.slots.get(name.partition(".")[0])
                return argv.Hole(name_of(name, slot.names if slot else ()), spec)
            case argv.Opt(name, inner) | argv.Rep(name, inner):
                called = name_of(name, ("part" if isinstance(each, argv.Opt) else "items",))
                return type(each)(called, tuple(map(segment, inner)))

    return argv.Template(tuple(map(segment, shape.template.segments)))


def native_op(mine: Sequence[Candidate]) -> tuple[Op, Plan]:
    """The entrypoint that does it without a process: of all programs that the call may hit."""
    first, *others = sorted(mine, key=lambda each: each.rule.sources)
    site, rule, shape = first.site, first.rule, first.shape
    op = replace(rule, calls=(call_of(site),))
    if isinstance(rule.native, Cat):
        return op, Plan(site, op.key, Form.TYPED)
    _, *segments = shape.template.segments
    signal = signal_of(rule, segments)
    process = segments[-1]
    if others:
        programs = [
            each.rule.native.programs for each in mine if isinstance(each.rule.native, Kill)
        ]
        op = replace(
            op,
            native=Kill(tuple(sorted({path for each in programs for path in each}))),
            params=tuple(
                replace(param, spec=Choice((signal or "TERM",)))
                if param.kind is Kind.SIGNAL
                else param
                for param in rule.params
            ),
            sources=tuple(sorted({source for each in mine for source in each.rule.sources})),
        )
    slot = shape.slots[process.name] if isinstance(process, argv.Hole) else None
    if slot is None or not slot.whole:
        return op, Plan(site, op.key, Form.TYPED, why=Why.IN_PIECES)
    return op, Plan(site, op.key, Form.TYPED, {0: slot.whole, 1: repr(signal)})
