"""Operations that take a command line as a list, and those that need no command at all."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from privmigrate.argv import template as argv
from privmigrate.argv.spec import Choice
from privmigrate.convert.admit import signal_of
from privmigrate.convert.bind import bind
from privmigrate.convert.link import Candidate
from privmigrate.convert.made import (
    by_site,
    call_of,
    front_names,
    is_only_under,
    kind_of,
    op_of,
    with_ahead,
)
from privmigrate.convert.operation import Cat, Kill, Kind, Op
from privmigrate.convert.plan import Plan
from privmigrate.convert.shape import Shape, Slot
from privmigrate.convert.text import identifier
from privmigrate.convert.use import Form, Why


def listed_ops(candidates: Sequence[Candidate]) -> Iterator[tuple[Op, list[Plan]]]:
    """One entrypoint for all command lines of the same commands that are taken as a list."""
    every = {id(site): mine for site, mine in by_site(candidates)}
    kinds: dict[tuple[object, ...], list[Candidate]] = {}
    for each in candidates:
        _, *others = kind_of(each)
        commands = tuple(sorted({called(one) for one in every[id(each.site)]}))
        kinds.setdefault((commands, *others, each.fronts), []).append(each)
    for members in kinds.values():
        fronts = frozenset(each.front.prefix.name for each in members if each.front)
        op = replace(of_commands(members), templates=templates_of(members))
        op = replace(op, prefixes=front_names(fronts), only_under=is_only_under(members))
        plans = []
        for site, mine in by_site(members):
            slots = [value for _, value in mine[0].environment if isinstance(value, Slot)]
            values = {number: slot.whole for number, slot in enumerate(slots)}
            plan = Plan(site, op.key, Form.CHECKED, values)
            if len(mine) < len(every[id(site)]):
                plan = replace(plan, why=Why.SEVERAL_COMMANDS)
            elif not site.words_source or not all(values.values()):
                plan = replace(plan, why=Why.IN_PIECES)
            plans.append(with_ahead(plan, mine) if plan.why is None else plan)
        yield op, plans


def called(candidate: Candidate) -> str:
    """The command's name as the call has it."""
    first = candidate.shape.template.segments[0]
    return first.text if isinstance(first, argv.Lit) else ""


def of_commands(members: Sequence[Candidate]) -> Op:
    """What the members have in common, with the executables of each command."""
    by_name: dict[str, list[Candidate]] = {}
    for each in members:
        by_name.setdefault(called(each), []).append(each)
    ops = {name: op_of(found) for name, found in sorted(by_name.items())}
    first, *others = ops.values()
    if len({op.command for op in ops.values()}) == 1:
        return op_of(members)
    return replace(
        first,
        commands=tuple((name, op.candidates) for name, op in ops.items()),
        sources=tuple(sorted({source for op in ops.values() for source in op.sources})),
        calls=tuple(sorted({call for op in ops.values() for call in op.calls})),
        chainable=first.chainable and all(op.chainable for op in others),
        stdin=any(op.stdin for op in ops.values()),
    )


def templates_of(members: Sequence[Candidate]) -> tuple[argv.Template, ...]:
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
    if site.given is not None:  # a wrapper's own call has a list, and no process to name
        return op, Plan(site, op.key, Form.TYPED, why=Why.IN_PIECES)
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
