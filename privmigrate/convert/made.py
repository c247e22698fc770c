"""What operations that are made from calls have in common, whatever their form."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from privmigrate.argv import template as argv
from privmigrate.callsites.site import Site
from privmigrate.convert.link import Candidate
from privmigrate.convert.operation import Call, Environment, Kind, Op, Param, Width
from privmigrate.convert.plan import Plan, ahead_of
from privmigrate.convert.use import Why


def call_of(site: Site) -> Call:
    """Where a call is, by the names of modules: the same wherever the sources lie."""
    path = site.module.replace(".", "/")
    name = "/__init__.py" if site.span.file.endswith("/__init__.py") else ".py"
    return Call(path + name, site.span.line, site.function)


def by_site(candidates: Iterable[Candidate]) -> list[tuple[Site, list[Candidate]]]:
    """Candidates of the same call together."""
    found: dict[int, tuple[Site, list[Candidate]]] = {}
    for each in candidates:
        found.setdefault(id(each.site), (each.site, []))[1].append(each)
    return list(found.values())


def kind_of(candidate: Candidate) -> tuple[object, ...]:
    """What has to be the same: the command, the user, the environment."""
    first = candidate.shape.template.segments[0]
    command = first.text if isinstance(first, argv.Lit) else ""
    variables = tuple(
        (name, value if isinstance(value, str) else None) for name, value in candidate.environment
    )
    return (command.rpartition("/")[2], candidate.rule.run_as, variables)


def front_names(fronts: frozenset[str]) -> tuple[str, ...]:
    """The chains among the ways in front of a command."""
    return tuple(sorted(fronts - {""}))


def is_only_under(members: Iterable[Candidate]) -> bool:
    """Whether each of these runs as root in no other way than behind a prefix."""
    return all(each.front is not None and not each.site.also_outside for each in members)


def op_of(members: Sequence[Candidate]) -> Op:
    """What all forms have: who runs what, allowed by whom, called from where."""
    ordered = sorted(members, key=lambda each: each.rule.sources)
    rule = ordered[0].rule
    first = members[0].shape.template.segments[0]
    sources = {source for each in members for source in each.rule.sources}
    fixed, names = [], []
    for name, value in members[0].environment:
        if isinstance(value, str):
            fixed.append((name, value))
        else:
            names.append(name)
    environment = None
    if rule.environment is not None:
        environment = Environment(tuple(sorted(fixed)), (tuple(sorted(names)),))
    return Op(
        command=rule.command,
        candidates=tuple(dict.fromkeys(path for each in ordered for path in each.rule.candidates)),
        called_as=first.text if isinstance(first, argv.Lit) else rule.called_as,
        run_as=rule.run_as,
        filter_class=rule.filter_class,
        sources=tuple(sorted(sources)),
        params=tuple(
            Param(Kind.VARIABLE, hints=(name,), keyword=True, text=name) for name in names
        ),
        environment=environment,
        chainable=all(each.rule.chainable for each in members),
        width=Width.NARROWED,
        narrower=tuple(
            dict.fromkeys(text for each in ordered if not each.whole for text in each.rule.narrower)
        ),
        remarks=(),
        comments=rule.comments,
        stdin=any(_is_fed(each.site) for each in members),
        calls=tuple(sorted({call_of(each.site) for each in members})),
    )


def _is_fed(site: Site) -> bool:
    return any(option.name == "process_input" for option in site.options)


def with_ahead(plan: Plan, mine: Sequence[Candidate]) -> Plan:
    """Add what the shapes of the call have in front of the command."""
    ahead = ahead_of(mine[:1] if plan.site.given is not None else mine)
    return replace(plan, why=ahead) if isinstance(ahead, Why) else replace(plan, ahead=ahead)
