"""Fewer operations: rules that say the same, or the same but for an executable, become one.

Whether two operations are the same is `Op.identity`. What is joined is a plain union, so that the
result accepts what one of its rules accepts and nothing else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from privmigrate.argv.spec import Choice
from privmigrate.convert.operation import (
    Environment,
    Hole,
    Kill,
    Kind,
    Op,
    Param,
    Prefix,
    Source,
    Width,
    program_family,
)

_WIDTHS = (Width.EXACT, Width.NARROWED, Width.WIDE)


def unify(ops: Iterable[Op]) -> tuple[Op, ...]:
    """Join what is the same; the result is in the order of the first source of each."""
    every = tuple(ops)
    kills = [op for op in every if isinstance(op.native, Kill)]
    groups: dict[tuple[object, ...], list[Op]] = {}
    for op in [*(op for op in every if not isinstance(op.native, Kill)), *_unify_kills(kills)]:
        groups.setdefault(op.identity, []).append(op)
    return tuple(sorted((_join(group) for group in groups.values()), key=lambda op: op.sources))


def unify_prefixes(prefixes: Iterable[Prefix]) -> tuple[Prefix, ...]:
    """Join the same chains, and those that differ by one more word at the end."""
    groups: dict[str, list[Prefix]] = {}
    for prefix in prefixes:
        groups.setdefault(prefix.key, []).append(prefix)
    joined = sorted(map(_join_prefixes, groups.values()), key=lambda each: len(each.words))
    result: list[Prefix] = []
    for prefix in joined:
        shorter = next((each for each in result if _is_shorter(each, prefix)), None)
        if shorter is None:
            result.append(prefix)
            continue
        result.remove(shorter)
        *params, last = prefix.params
        result.append(
            replace(
                prefix,
                params=(*params, replace(last, optional=True)),
                optional=1,
                sources=_ordered(shorter.sources + prefix.sources),
                candidates=_distinct(shorter.candidates + prefix.candidates),
            )
        )
    return tuple(sorted(result, key=lambda each: each.sources))


def _is_shorter(shorter: Prefix, longer: Prefix) -> bool:
    """The same without the last word, which a parameter fills."""
    return (
        not shorter.optional
        and (shorter.command, shorter.run_as) == (longer.command, longer.run_as)
        and shorter.words == longer.words[:-1]
        and bool(longer.words)
        and isinstance(longer.words[-1], Hole)
        and [param.spec for param in shorter.params] == [param.spec for param in longer.params[:-1]]
    )


def _join_prefixes(group: Sequence[Prefix]) -> Prefix:
    first, *_ = ordered = sorted(group, key=lambda prefix: prefix.sources)
    return replace(
        first,
        sources=_ordered([source for each in ordered for source in each.sources]),
        candidates=_distinct([path for each in ordered for path in each.candidates]),
    )


def _join(group: Sequence[Op]) -> Op:
    first, *_ = ordered = sorted(group, key=lambda op: op.sources)
    joined = replace(
        first,
        sources=_ordered([source for op in ordered for source in op.sources]),
        candidates=_distinct([path for op in ordered for path in op.candidates]),
        chainable=any(op.chainable for op in ordered),
        width=max((op.width for op in ordered), key=_WIDTHS.index),
        narrower=_distinct([text for op in ordered for text in op.narrower]),
        remarks=_distinct([text for op in ordered for text in op.remarks]),
        comments=_distinct([text for op in ordered for text in op.comments]),
    )
    if joined.environment:
        return _join_environments(joined, ordered)
    if isinstance(joined.native, Kill):
        programs = [path for op in ordered for path in _programs(op)]
        return replace(joined, native=Kill(_distinct(programs)))
    return joined


def _join_environments(joined: Op, ops: Sequence[Op]) -> Op:
    """Accept the combinations of variables that one of the rules accepts."""
    found = {each for op in ops if op.environment for each in op.environment.combinations}
    combinations = tuple(sorted(found, key=lambda names: (len(names), names)))
    names = sorted({name for names in combinations for name in names})
    required = set.intersection(*map(set, combinations)) if combinations else set()
    variables = {param.text: param for op in ops for param in op.params if param.text}
    others = tuple(param for param in joined.params if param.kind is not Kind.VARIABLE)
    return replace(
        joined,
        params=others
        + tuple(replace(variables[name], optional=name not in required) for name in names),
        environment=Environment(
            joined.environment.fixed if joined.environment else (), combinations
        ),
    )


def _unify_kills(ops: Sequence[Op]) -> list[Op]:
    """One operation for each set of signals and family of programs.

    The signals of all rules of a program are joined first: that is what may reach it.
    """
    reach: dict[str, tuple[dict[str, None], list[Op]]] = {}
    for op in sorted(ops, key=lambda op: op.sources):
        for program in _programs(op):
            signals, users = reach.setdefault(program, ({}, []))
            signals.update(dict.fromkeys(_signals(op.params)))
            users.append(op)
    families: dict[tuple[str, tuple[str, ...]], list[Op]] = {}
    for program, (signals, users) in reach.items():
        ordered = tuple(sorted(signals))
        params = tuple(
            replace(param, spec=Choice(ordered)) if param.kind is Kind.SIGNAL else param
            for param in users[0].params
        )
        families.setdefault((program_family(program), ordered), []).append(
            replace(_join(users), native=Kill((program,)), params=params)
        )
    return [_join(group) for group in families.values()]


def _programs(op: Op) -> tuple[str, ...]:
    return op.native.programs if isinstance(op.native, Kill) else ()


def _signals(params: Sequence[Param]) -> tuple[str, ...]:
    return next((p.spec.values for p in params if isinstance(p.spec, Choice)), ())


def _ordered(items: Iterable[Source]) -> tuple[Source, ...]:
    return tuple(sorted(set(items)))


def _distinct(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))
