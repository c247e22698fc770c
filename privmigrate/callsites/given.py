"""What a wrapper's own call is given: the command lines of all who call the wrapper.

Facts: a wrapper logs what a command says, tries it again or changes its errors. Its callers cannot
do without it, so that the call to replace is the one in the wrapper, and that has no words of its
own.
Solution: where everybody who calls the wrapper is known, and what each gives it, the wrapper's own
call has these command lines and no others. Its list can be checked against them.
Trade-offs: one entrypoint allows what any of the callers needs. Who calls the wrapper from outside
of the sources that were read is not known of, and is refused.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from privmigrate.callsites.finish import finish
from privmigrate.callsites.index import Function
from privmigrate.callsites.mentions import stray
from privmigrate.callsites.raw import RawSite, forwarded, parameters_of
from privmigrate.callsites.site import AS_BUILT, Caller, Given, Reason, Site, Template
from privmigrate.callsites.state import settle
from privmigrate.diagnostics import Span

if TYPE_CHECKING:
    from privmigrate.callsites.analysis import Analysis

MAX_GIVEN: Final = 200
_OF_THE_WRAPPER: Final = frozenset({Reason.OPTIONS})
"""What is said of options counts where they are written: at the wrapper's own call."""

Calls = Sequence[tuple[list[RawSite], Site]]


class _Unknown(Exception):  # noqa: N818 - an outcome, caught in `_given`
    """Why not everything that a call is given is known."""


@dataclass(slots=True)
class _Own:
    """A wrapper's own call, and the calls that end there, each with its place on the way."""

    raw: RawSite
    site: Site
    reached: list[tuple[RawSite, int]] = field(default_factory=list)
    given: Given = field(default_factory=Given)


def carrying(site: Site) -> Site | None:
    """A wrapper's own call as one that has all command lines which it is given."""
    given = site.given
    if given is None or given.why:
        return None
    if not given.templates:  # it is one already
        return site
    return replace(
        site,
        templates=given.templates,
        reasons=given.reasons,
        words_source=given.words_source,
        given=Given(given.callers),
        building=(),
    )


def with_given(analysis: "Analysis", calls: Calls) -> list[Site]:
    """Say of wrappers' own calls what they are given, and of their callers that it is known."""
    own = {
        raws[0].node: _Own(raws[0], site)
        for raws, site in calls
        if Reason.WRAPPER in site.reasons and not site.via
    }
    for raws, _ in calls:
        for raw in raws:
            for place, (_, node) in enumerate(raw.inside):
                if node in own:
                    own[node].reached.append((raw, place))
    for each in own.values():
        each.given = _given(analysis, each)
    _agree(calls, own)
    found = []
    for raws, site in calls:
        mine = own.get(raws[0].node)
        if mine is not None:
            site = replace(site, given=mine.given)  # noqa: PLW2901 - the same, with more
        found.append(replace(site, covered=True) if _is_covered(raws, own) else site)
    return found


def _is_covered(raws: Sequence[RawSite], own: dict[ast.Call, _Own]) -> bool:
    """Whether all that a call runs is run by wrappers' own calls that are known."""
    return all(
        any(node in own and not own[node].given.why for _, node in raw.inside) for raw in raws
    )


def _agree(calls: Calls, own: dict[ast.Call, _Own]) -> None:
    """Leave a wrapper's own call whose caller may run something else as well."""
    while True:
        left = [
            (each, raws[0])
            for raws, _ in calls
            for each in own.values()
            if not each.given.why
            and not _is_covered(raws, own)
            and any(node is each.raw.node for raw in raws for _, node in raw.inside)
        ]
        if not left:
            return
        for each, raw in left:
            each.given = Given(why=f"{_place(raw)} may run something else as well")


def _given(analysis: "Analysis", own: _Own) -> Given:
    try:
        return _all_given(analysis, own)
    except _Unknown as unknown:
        return Given(why=str(unknown))


def _all_given(analysis: "Analysis", own: _Own) -> Given:
    doubts = set(own.site.reasons) - AS_BUILT - {Reason.WRAPPER}
    if doubts or not own.site.list_source:
        raise _Unknown(", ".join(sorted(each.value for each in doubts)) or "its words are no list")
    calls = _calls(own)
    final = dict(_final(analysis, own, calls))
    templates: dict[Template, int] = {}
    reasons = {*own.site.reasons} - {Reason.WRAPPER}
    callers = []
    for raws in final.values():
        site = _finished(analysis, raws, own)
        reasons |= set(site.reasons) & AS_BUILT
        numbers = [
            templates.setdefault(replace(each, guard="", movable=False), len(templates))
            for each in site.templates
        ]
        callers.append(Caller(_route(raws[0], own), tuple(numbers)))
    if len(templates) > MAX_GIVEN:
        raise _Unknown("its callers give it more command lines than are followed")
    for function, nodes in calls.items():
        if why := stray(analysis, function, nodes):
            raise _Unknown(why)
    return Given(
        tuple(sorted(callers, key=lambda each: each.route)),
        "",
        tuple(templates),
        tuple(sorted(reasons, key=lambda each: each.value)),
        "" if any(each.front for each in templates) else own.site.list_source,
    )


def _calls(own: _Own) -> dict[Function, set[ast.AST]]:
    """The wrappers on the way, and the calls of each that lead there."""
    found: dict[Function, set[ast.AST]] = {}
    for raw, place in own.reached:
        nodes = [raw.node, *(node for _, node in raw.inside[:place])]
        for node, (frame, _) in zip(nodes, raw.inside[: place + 1], strict=True):
            if frame.function is not None:
                found.setdefault(frame.function, set()).add(node)
    return found


def _final(
    analysis: "Analysis", own: _Own, calls: dict[Function, set[ast.AST]]
) -> Iterator[tuple[ast.Call, list[RawSite]]]:
    """The calls that have words of their own; raise _Unknown where one has none, or there is none.

    Every other one passes on what its own callers give it, and they have to be there as well.
    """
    function = own.raw.frame.function
    if function is None or function not in calls:
        raise _Unknown(f"nothing calls {function.name if function else 'it'}")
    found: dict[ast.Call, list[RawSite]] = {}
    for raw, _ in own.reached:
        segments = settle(raw.segments, analysis.grown)
        if not forwarded(raw):
            found.setdefault(raw.node, []).append(raw)
            continue
        if any(hole.frame is not raw.frame for hole in parameters_of(segments)):
            raise _Unknown(f"what {_place(raw)} gives it is not known")
        if raw.frame.function not in calls:
            name = raw.frame.function.name if raw.frame.function else "it"
            raise _Unknown(f"nothing calls {name}")
    yield from found.items()


def _finished(analysis: "Analysis", raws: list[RawSite], own: _Own) -> Site:
    """One caller as if it ran nothing but this; raise _Unknown where that is not all known."""
    site = finish(analysis, raws)
    if site is None:
        raise _Unknown(f"{_place(raws[0])} does not run as root")
    doubts = set(site.reasons) - AS_BUILT - _OF_THE_WRAPPER
    if doubts or not site.resolved:
        names = ", ".join(sorted(each.value for each in doubts)) or "unresolved"
        raise _Unknown(f"what {_place(raws[0])} gives it is not known ({names})")
    if any(each.prefix or (each.netns and own.raw.netns is None) for each in site.templates):
        raise _Unknown(f"{_place(raws[0])} gives it what only stands in front of a command")
    return site


def _route(raw: RawSite, own: _Own) -> tuple[Span, ...]:
    places = [raw.frame.module.file.span(raw.node)]
    for frame, node in raw.inside:
        if node is own.raw.node:
            break
        places.append(frame.module.file.span(node))
    return tuple(places)


def _place(raw: RawSite) -> str:
    span = raw.frame.module.file.span(raw.node)
    return f"{span.file}:{span.line}"
