"""How a call uses its entrypoint: what it writes for each parameter, once these have names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from privmigrate.callsites.site import Site
from privmigrate.convert.annotate import TYPES
from privmigrate.convert.link import Candidate, Front
from privmigrate.convert.listing import WORDS
from privmigrate.convert.operation import Op
from privmigrate.convert.place import COMMON
from privmigrate.convert.use import Argument, Form, Unlinked, Use, Why

_TEXTS: Mapping[Why, str] = {
    Why.IN_PIECES: "its words are put together from what is not known any more where it stands",
    Why.SEVERAL_COMMANDS: "it runs different commands, each with an entrypoint of its own",
    Why.SIGNAL: "which signal it sends is known at run time only",
}


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a call has in front of its command; `guard` says when, or "" for always."""

    front: Front
    guard: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """One call and the operation with this key.

    Attributes:
        values: Python for parameters, by their number.
        why: why the call stays all the same, or None.
        ahead: what stands in front of the command, or None.
        as_built: the list is taken with the variables that the caller has put in front.
    """

    site: Site
    key: str
    form: Form
    values: Mapping[int, str] = field(default_factory=dict)
    why: Why | None = None
    ahead: Ahead | None = None
    as_built: bool = False


def ahead_of(candidates: Sequence[Candidate]) -> Ahead | Why | None:
    """What the shapes of one call have in front; a reason where no expression says it."""
    fronts = {_printed(each.front): each.front for each in candidates if each.front}
    without = [each for each in candidates if each.front is None]
    match list(fronts.values()):
        case []:
            return None
        case [front]:
            if not without:
                return Ahead(front)
            guards = {_guard(each) for each in candidates if each.front}
            guard = guards.pop() if len(guards) == 1 else ""
            return Ahead(front, guard) if guard else Why.IN_PIECES
        case _:
            return Why.IN_PIECES


def _guard(candidate: Candidate) -> str:
    return candidate.site.templates[candidate.number].guard


def _printed(front: Front) -> tuple[str, ...]:
    return (front.prefix.name, *_arguments(front))


def _arguments(front: Front) -> list[str]:
    return [repr(slot) if isinstance(slot, str) else slot.whole for slot in front.slots]


def uses_of(
    plans: Sequence[Plan], ops: Mapping[str, Op], package: str
) -> tuple[tuple[Use, ...], tuple[Unlinked, ...]]:
    """Fill in the names of operations and parameters."""
    uses: list[Use] = []
    unlinked: list[Unlinked] = []
    for plan in plans:
        op = ops[plan.key]
        stays = plan.why
        if stays is not None:
            text = f"{_TEXTS[stays]} ({op.module}.{op.name} runs it)"
            unlinked.append(Unlinked(plan.site, stays, text))
            continue
        under, imports = _under(plan.ahead, package)
        uses.append(
            Use(
                site=plan.site,
                op=op,
                form=plan.form,
                arguments=_given(plan, op),
                under=under,
                stdin=_stdin(plan.site),
                imports=imports,
                condition=plan.site.condition,
                as_built=plan.as_built,
            )
        )
    return tuple(uses), tuple(unlinked)


def _given(plan: Plan, op: Op) -> tuple[Argument, ...]:
    source = plan.site.list_source if plan.as_built else plan.site.words_source
    first = [Argument(WORDS, source)] if plan.form is Form.CHECKED else []
    pairs = [
        Argument(param.name, plan.values[number], param.keyword)
        for number, param in enumerate(op.params)
        if number in plan.values
    ]
    return (*first, *sorted(pairs, key=lambda each: each.keyword))


def _stdin(site: Site) -> str:
    return next((each.source for each in site.options if each.name == "process_input"), "")


def _under(ahead: Ahead | None, package: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    if ahead is None:
        return "", ()
    prefix = ahead.front.prefix
    module = TYPES if prefix.namespace else f"{package}.{COMMON}"
    text = f"{prefix.name}({', '.join(_arguments(ahead.front))})"
    if ahead.guard:
        text = f"{text} if {ahead.guard} else None"
    return text, ((module, prefix.name),)
