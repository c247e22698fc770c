"""Rules whose command lines another rule of their file takes before them.

The order of files is nobody's: oslo.rootwrap takes them as `os.listdir` gives them. Within a file
the first rule that matches decides, also about the user that the command runs as. With the same
user it does not matter here which rule that is.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from privmigrate.argv.check import accepts
from privmigrate.convert.lower.base import Lowered
from privmigrate.convert.operation import Fate, Lit, Op, Outcome, Param, Prefix, Word
from privmigrate.convert.patterns import is_plain
from privmigrate.rootwrap.rule import Rule, Status

_ENV: Final = "env"
# Filters that are asked for the path of their executable as well as for its base name.
_CALLED_BY_PATH: Final = frozenset(("CommandFilter", "EnvFilter", "PathFilter"))


def find_shadowed(rules: Sequence[Rule]) -> tuple[str | None, ...]:
    """For each rule, why no command line reaches it, or None; they are in rootwrap's order."""
    named = {
        (rule.span.file, rule.name): rule for rule in rules if rule.status is not Status.SHADOWED
    }
    takers: dict[tuple[str, str], Rule] = {}
    reasons: list[str | None] = []
    for rule in rules:
        file = rule.span.file
        if rule.status is Status.SHADOWED:
            live = named.get((file, rule.name))
            where = f" in line {live.span.line}" if live else ""
            reasons.append(f"a later entry{where} has the same name")
            continue
        taker = takers.get((file, rule.texts[0])) if rule.texts else None
        reasons.append(_taken(rule, taker) if taker else None)
        if rule.status is Status.LIVE and rule.filter_class == "EnvFilter":
            takers.setdefault((file, _ENV), rule)
        elif rule.status is Status.LIVE and rule.filter_class == "CommandFilter":
            takers.setdefault((file, rule.texts[0]), rule)
    return tuple(reasons)


def _taken(rule: Rule, taker: Rule) -> str | None:
    name, line = taker.raw_name, taker.span.line
    if taker.filter_class == "EnvFilter":
        if rule.filter_class == "EnvFilter":
            return None
        return (
            f"'{name}' in line {line} is an EnvFilter, which takes 'env' away from every command "
            "line that it is asked about"
        )
    # also where the user of the first does not exist: then what it takes fails
    if rule.texts[1:2] != taker.texts[1:2] and rule.filter_class in _CALLED_BY_PATH - {"EnvFilter"}:
        return f"'{name}' in line {line} takes every such command line first, as {taker.texts[1]}"
    return None


def refuse_taken(lowered: Iterable[Lowered]) -> list[Lowered]:
    """Refuse rules of which an earlier one may take command lines for another user."""
    earlier: dict[tuple[str, str], list[Op | Prefix]] = {}
    result: list[Lowered] = []
    for each in lowered:
        if isinstance(each, Outcome):
            result.append(each)
            continue
        file = each.sources[0].file
        before = [*earlier.get((file, each.called_as), ()), *earlier.get((file, ""), ())]
        taker = next((other for other in before if _takes(other, each)), None)
        result.append(each if taker is None else _outcome(each, taker))
        # a pattern for the command's own name may match any name
        name = each.called_as if all(map(is_plain, each.patterns[:1])) else ""
        earlier.setdefault((file, name), []).append(each)
    return result


def _takes(taker: Op | Prefix, later: Op | Prefix) -> bool:
    """Whether some command line may be both's; also where that is only not certain."""
    if taker.run_as == later.run_as:
        return False
    path = later.candidates[0]
    by_path = isinstance(later, Op) and later.filter_class in _CALLED_BY_PATH
    if by_path and path.startswith("/") and not taker.patterns and path != taker.candidates[0]:
        return False
    if isinstance(taker, Op) and isinstance(later, Op):
        if (taker.environment is None) != (later.environment is None):
            return False
        if taker.environment and later.environment:
            return bool(_variables(taker) & _variables(later))
        if taker.native is not None and later.native is not None:
            return taker.native == later.native
    taken = _fixed(taker)
    if isinstance(taker, Prefix) or taker.rest is not None:
        taken = taken[: len(later.plain_words)]
    elif isinstance(later, Op) and later.rest is None and len(taken) != len(later.plain_words):
        return False
    return all(
        text is None or _may_be(text, word, later.params)
        for text, word in zip(taken, later.plain_words, strict=False)
    )


def _fixed(taker: Op | Prefix) -> tuple[str | None, ...]:
    """Its words after the command, None where it may match several."""
    if taker.patterns:
        return tuple(text if is_plain(text) else None for text in taker.patterns[1:])
    return tuple(word.text if isinstance(word, Lit) else None for word in taker.plain_words)


def _variables(op: Op) -> set[frozenset[str]]:
    environment = op.environment
    if environment is None:
        return set()
    fixed = {name for name, _ in environment.fixed}
    return {frozenset(fixed | set(names)) for names in environment.combinations}


def _may_be(text: str, word: Word, params: Sequence[Param]) -> bool:
    if isinstance(word, Lit):
        return word.text == text
    if not text.startswith(word.prefix) or not text.endswith(word.suffix):
        return False
    spec = params[word.number].spec
    return spec is None or accepts(spec, text[len(word.prefix) : len(text) - len(word.suffix)])


def _outcome(each: Op | Prefix, taker: Op | Prefix) -> Outcome:
    first = taker.sources[0]
    whole = isinstance(taker, Op) and taker.rest is not None and taker.environment is None
    why = (
        f"'{first.name}' in line {first.line} "
        f"{'takes every such command line first' if whole else 'may take such command lines first'}"
        f", as {taker.run_as}"
    )
    kind = each.filter_class if isinstance(each, Op) else "chain"
    return Outcome(each.sources[0], kind, Fate.SHADOWED if whole else Fate.REFUSED, why)
