"""Which rule allows which shape of a call, and what is left of the shape then.

Pure: rules are lowered operations, call sites are values, and nothing is read or written. A shape
is what the rule and the call both say, so that it is never wider than the filter; what several
rules say is taken from the one that leaves the call as it is, if there is one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from privmigrate.argv.word import word_test
from privmigrate.callsites import site as sites
from privmigrate.callsites.site import Site
from privmigrate.convert.admit import admit, rule_spec
from privmigrate.convert.operation import Hole, Kill, Op, Prefix, Source
from privmigrate.convert.patterns import matches
from privmigrate.convert.shape import Shape, Slot, shape_of, slot_of


@dataclass(frozen=True, slots=True)
class Front:
    """What stands in front of the command, by a chain; `slots` fill the fields of its class."""

    prefix: Prefix
    slots: tuple[Slot | str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One shape of one call that a rule allows.

    Attributes:
        site, number: the call, and which of its templates this is.
        rule: what allows it; for a shape behind a chain, what allows the rest.
        shape: what both say.
        environment: the variables that are set for it.
        front: the chain, or None.
        fronts: every way in front of it that is allowed, "" for none.
    """

    site: Site
    number: int
    rule: Op
    shape: Shape
    environment: tuple[tuple[str, Slot | str], ...] = ()
    front: Front | None = None
    fronts: frozenset[str] = frozenset(("",))

    @property
    def whole(self) -> bool:
        """Whether the rule leaves the words as they are, whatever they are."""
        return self.rule.rest is not None

    @property
    def cut(self) -> bool:
        """Whether the rule allows only some of what the shape may be, part by part."""
        return not self.whole and bool(self.shape.parts)


@dataclass(frozen=True, slots=True)
class Links:
    """All that came of it.

    Attributes:
        candidates: for every template of every site with templates, in their order.
        denied: (site, template) that no rule allows.
        calls: for every rule, the sites that it allows something of.
    """

    candidates: tuple[Candidate, ...]
    denied: tuple[tuple[Site, int], ...]
    calls: Mapping[Source, tuple[Site, ...]]


def link(rules: Sequence[Op], prefixes: Sequence[Prefix], calls: Iterable[Site]) -> Links:
    """Link every template of every site with the rules that allow it."""
    by_name = rules_by_name(rules)
    candidates: list[Candidate] = []
    denied: list[tuple[Site, int]] = []
    used: dict[Source, dict[int, Site]] = {}
    for site in calls:
        for number, template in enumerate(site.templates):
            found = list(_allowed(site, number, template, by_name, prefixes))
            if not found:
                denied.append((site, number))
            candidates.extend(found)
            for each in found:
                sources = each.rule.sources
                if each.front:
                    sources += each.front.prefix.sources
                for source in sources:
                    used.setdefault(source, {})[id(site)] = site
    links = {source: tuple(found.values()) for source, found in used.items()}
    return Links(tuple(candidates), tuple(denied), links)


def rules_by_name(rules: Sequence[Op]) -> dict[str, list[Op]]:
    """The rules that may allow a command, by how it is called."""
    by_name: dict[str, list[Op]] = {}
    for rule in rules:
        for name in {rule.called_as, *rule.candidates, *_base_names(rule)}:
            by_name.setdefault(name, []).append(rule)
    return by_name


def _base_names(rule: Op) -> list[str]:
    # rootwrap compares a CommandFilter's base name with the word as it is written
    return [path.rpartition("/")[2] for path in rule.candidates if not rule.patterns]


def _allowed(
    site: Site,
    number: int,
    template: sites.Template,
    by_name: Mapping[str, Sequence[Op]],
    prefixes: Sequence[Prefix],
) -> Iterator[Candidate]:
    if template.command is None:
        for command in template.commands:
            word = sites.Word((sites.Text(command),))
            one = replace(template, segments=(word, *template.segments[1:]))
            yield from _allowed(site, number, one, by_name, prefixes)
        return
    if template.netns is not None or template.prefix:
        fronts = [front for each in prefixes if (front := _front(each, template))]
        found = [
            replace(each, front=front, fronts=_fronts(each.rule, prefixes))
            for front in fronts
            for each in _direct(site, number, template, by_name)
            if each.rule.chainable and each.rule.run_as == front.prefix.run_as
        ]
        if found:
            yield found[0]
            return
        template = _with_front(template)
    for each in _direct(site, number, template, by_name):
        yield replace(each, fronts=_fronts(each.rule, prefixes))


def _fronts(rule: Op, prefixes: Sequence[Prefix]) -> frozenset[str]:
    names = (each.name for each in prefixes if rule.chainable and rule.run_as == each.run_as)
    return frozenset(("", *names))


def _with_front(template: sites.Template) -> sites.Template:
    """The command line as it stands, where no chain takes its beginning away."""
    front: tuple[sites.Segment, ...] = template.prefix
    if template.netns is not None:
        words = tuple(sites.Word((sites.Text(text),)) for text in ("ip", "netns", "exec"))
        front = (*words, template.netns, *front)
    return replace(template, segments=(*front, *template.segments), netns=None, prefix=())


def _front(prefix: Prefix, template: sites.Template) -> Front | None:
    if prefix.namespace:
        if template.netns is None or template.prefix:
            return None
        return Front(prefix, (slot_of(template.netns),))
    if template.netns is not None or not template.prefix:
        return None
    first, *words = template.prefix
    if first.text not in {prefix.called_as, *prefix.candidates}:
        return None
    if not len(prefix.words) - prefix.optional <= len(words) <= len(prefix.words):
        return None
    slots: list[Slot | str] = []
    for rule, word in zip(prefix.words, words, strict=False):
        wanted = rule_spec(rule, prefix)
        text = word.text
        if text is None or word_test(wanted)(text) is not None:
            return None
        if isinstance(rule, Hole):
            slots.append(text[len(rule.prefix) : len(text) - len(rule.suffix)])
    return Front(prefix, tuple(slots))


def _direct(
    site: Site, number: int, template: sites.Template, by_name: Mapping[str, Sequence[Op]]
) -> list[Candidate]:
    shape = shape_of(template.segments)
    environment = tuple((name, slot_of(word)) for name, word in template.environment)
    found = [
        Candidate(site, number, rule, left, environment)
        for rule in by_name.get(template.command or "", ())
        if _same_variables(rule, environment) and _is_called(rule, template.command or "")
        for left in admit(rule, shape)
    ]
    if any(isinstance(each.rule.native, Kill) for each in found):
        return found  # which program it hits is known to nobody
    untouched = [each for each in found if each.shape.template == shape.template]
    return untouched[:1] or found


def _is_called(rule: Op, command: str) -> bool:
    return not rule.patterns or matches(rule.patterns[0], command)


def _same_variables(rule: Op, environment: Sequence[tuple[str, Slot | str]]) -> bool:
    names = {name for name, _ in environment}
    if rule.environment is None:
        return not names
    fixed = {name for name, _ in rule.environment.fixed}
    return any(names == fixed | set(each) for each in rule.environment.combinations)


def why_denied(site: Site) -> str:
    """Say of a call that no rule allows what that means."""
    if any(option.name == "privsep_exec" for option in site.options):
        return "no rule allows it, and it needs none: it goes through the service's own privsep"
    return "no rule allows it: it fails today"
