"""Operations that take a list as the caller has built it, variables in front of the command too.

``cmd = LVM.LVM_CMD_PREFIX + ['vgs']`` runs one of several command lines, and which is only known
when it is called: a typed call would have to guess. Here the daemon is given the whole list, and
takes it apart itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, combinations

from privmigrate.argv import template as argv
from privmigrate.argv.spec import Key
from privmigrate.callsites.site import AS_BUILT, Site
from privmigrate.callsites.site import Template as Written
from privmigrate.convert.link import Candidate
from privmigrate.convert.listed import called, of_commands, templates_of
from privmigrate.convert.made import by_site
from privmigrate.convert.operation import Op
from privmigrate.convert.plan import Plan
from privmigrate.convert.shape import shape_of
from privmigrate.convert.use import Form, Why

_ENV = "env"
Row = tuple[argv.Segment, ...]


def is_as_built(site: Site, candidates: Sequence[Candidate]) -> bool:
    """Whether its list has to be taken as it was built, and can be."""
    if not site.list_source or not candidates:
        return False
    if not all(_stands_in_list(each) for each in candidates):
        return False
    if AS_BUILT & set(site.reasons):
        return True
    if site.given is not None:
        return any(site.templates[each.number].front for each in candidates)
    slots = [value for each in candidates for _, value in each.environment]
    unknown = any(not isinstance(value, str) and not value.whole for value in slots)
    return unknown or (len(candidates) > 1 and not site.words_source)


def _stands_in_list(candidate: Candidate) -> bool:
    """Whether nothing but ``env`` and its variables, each once, stand in front of the command."""
    template = candidate.site.templates[candidate.number]
    command = called(candidate)
    if candidate.front is not None or template.netns is not None or template.prefix:
        return False
    if not command or command.rpartition("/")[2] == _ENV or "=" in command:
        return False
    if not template.front:
        return not template.environment
    first, *words = template.front
    names = [_text(each).partition("=")[0] for each in _row(template)[1:]]
    return (
        first.text == _ENV
        and len(words) == len(template.environment) > 0
        and names == [name for name, _ in template.environment]
    )


def _row(template: Written) -> tuple[argv.Lit | argv.Hole, ...]:
    """What stands in front of the command, in the list."""
    found: list[argv.Lit | argv.Hole] = []
    for segment in shape_of(template.front).template.segments:
        match segment:
            case argv.Hole(_, Key(prefix)):
                name = prefix.partition("=")[0].lower()
                found.append(argv.Hole(name, segment.spec))
            case argv.Lit():
                found.append(segment)
            case _:
                return ()
    return tuple(found)


def _text(word: argv.Segment) -> str:
    """A word of a row as far as it is fixed: it begins with the name of a variable."""
    match word:
        case argv.Lit(text) | argv.Hole(_, Key(text)):
            return text
        case _:
            return ""


def as_built_ops(candidates: Sequence[Candidate]) -> Iterator[tuple[Op, list[Plan]]]:
    """One entrypoint for all lists of the same commands."""
    every = {id(site): mine for site, mine in by_site(candidates)}
    kinds: dict[tuple[object, ...], list[Candidate]] = {}
    for each in candidates:
        commands = tuple(sorted({called(one) for one in every[id(each.site)]}))
        kinds.setdefault((commands, each.rule.run_as), []).append(each)
    for members in kinds.values():
        lines = tuple(_lines(members))
        op = replace(
            of_commands(members),
            environment=None,
            params=(),
            templates=tuple(template for _, template in lines),
            assigned=tuple(row for row, _ in lines),
        )
        plans = []
        for site, mine in by_site(members):
            why = Why.SEVERAL_COMMANDS if len(mine) < len(every[id(site)]) else None
            plans.append(Plan(site, op.key, Form.CHECKED, why=why, as_built=True))
        yield op, plans


def _lines(members: Sequence[Candidate]) -> Iterator[tuple[Row, argv.Template]]:
    """Every command line that is allowed, with the variables in front of it."""
    by_row: dict[Row, list[Candidate]] = {}
    for each in members:
        by_row.setdefault(_row(each.site.templates[each.number]), []).append(each)
    rows: dict[argv.Template, list[Row]] = {}
    for row, found in by_row.items():
        for template in templates_of(found):
            rows.setdefault(template, []).append(row)
    for template in sorted(rows, key=repr):
        for row in _folded(rows[template]):
            yield row, template


def _folded(rows: Sequence[Row]) -> list[Row]:
    """The same rows as one with optional variables, where every combination of these is there."""
    ordered = sorted(rows, key=lambda row: (-len(row), repr(row)))
    longest = ordered[0]
    optional = [word for word in longest if any(word not in row for row in rows)]
    fixed = [word for word in longest if word not in optional]
    choices = chain.from_iterable(combinations(optional, size) for size in range(len(optional) + 1))
    wanted = {tuple(word for word in longest if word in (*fixed, *each)) for each in choices}
    if not longest or wanted != set(rows):
        return ordered
    return [tuple(_optional(word) if word in optional else word for word in longest)]


def _optional(word: argv.Segment) -> argv.Opt:
    """A variable that may be there; messages call it by its name."""
    return argv.Opt(f"with_{_text(word).partition('=')[0].lower()}", (word,))
