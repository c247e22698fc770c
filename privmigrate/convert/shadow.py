"""Rules that can never act, because another one takes every command line before them."""

from collections.abc import Sequence

from privmigrate.rootwrap.rule import Rule, Status

_BY_NAME = ("CommandFilter", "PathFilter")


def find_shadowed(rules: Sequence[Rule]) -> tuple[str | None, ...]:
    """For each rule, why it never acts, or None. The rules are in rootwrap's order.

    Two cases are certain: a later entry of the file has the same name; or an earlier
    CommandFilter of the file has the same executable and another user. (With the same user it
    allows nothing that the later rule's author did not mean, and the later rule says more.)
    """
    names: dict[tuple[str, str], Rule] = {}
    for rule in rules:
        if rule.status is not Status.SHADOWED:
            names[rule.span.file, rule.name] = rule
    takers: dict[tuple[str, str], Rule] = {}
    reasons: list[str | None] = []
    for rule in rules:
        if rule.status is Status.SHADOWED:
            live = names.get((rule.span.file, rule.name))
            where = f" in line {live.span.line}" if live else ""
            reasons.append(f"a later entry{where} has the same name")
            continue
        reasons.append(None)
        if rule.status is not Status.LIVE or len(rule.texts) < 2:  # noqa: PLR2004 - user
            continue
        place = (rule.span.file, rule.texts[0])
        taker = takers.get(place)
        if taker is not None and taker.texts[1] != rule.texts[1] and _only_by_its_name(rule):
            reasons[-1] = (
                f"'{taker.raw_name}' in line {taker.span.line} takes every such command line "
                f"first, as {taker.texts[1]}"
            )
        elif rule.filter_class == "CommandFilter":
            takers.setdefault(place, rule)
    return tuple(reasons)


def _only_by_its_name(rule: Rule) -> bool:
    """The rule is asked only for command lines that begin with its executable's name or path."""
    if rule.filter_class in _BY_NAME:
        return True
    executable = rule.texts[0]
    names = (executable, executable.rpartition("/")[2])
    return (
        rule.filter_class == "RegExpFilter"
        and len(rule.texts) > len(names)
        and (rule.texts[2] in names)
    )
