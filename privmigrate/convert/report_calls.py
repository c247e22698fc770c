"""What the person reads of call sites: what became of wide filters, and which calls stay."""

from collections import Counter
from collections.abc import Iterator, Sequence

from privmigrate.callsites.given import carrying
from privmigrate.convert.made import call_of
from privmigrate.convert.operation import Fate, Source, Width
from privmigrate.convert.report import Row
from privmigrate.convert.use import Form, Unlinked, Use, Why, callers_of
from privmigrate.diagnostics import counted


def wide_counts(wide: Sequence[Source], found: Sequence[Row]) -> dict[str, int]:
    """How many filters allow free arguments, and what became of them."""
    rows: dict[Source, list[Row]] = {}
    for row in found:
        rows.setdefault(row.source, []).append(row)
    fates: Counter[str] = Counter()
    for source in wide:
        mine = rows.get(source, [])
        if any(row.width == Width.WIDE.value for row in mine):
            fates["stay wide"] += 1
        elif any(row.fate in {Fate.ENTRYPOINT, Fate.CALLED} for row in mine):
            fates["replaced"] += 1
        else:
            fates["unused"] += 1
    return {
        "wide filters": len(wide),
        "replaced": fates["replaced"],
        "unused": fates["unused"],
        "stay wide": fates["stay wide"],
    }


def call_counts(uses: Sequence[Use], unlinked: Sequence[Unlinked]) -> dict[str, int]:
    """How many calls there are, and what becomes of them; a wrapper's own counts as its callers."""
    forms = Counter(use.form for use in uses if use.site.given is None)
    left = {each.site.span for each in unlinked}
    through = [span for use in uses for span in callers_of(use.site, left)]
    stay = sum(
        1 if carrying(each.site) is None else len(callers_of(each.site, left))
        for each in unlinked
        if each.why is not Why.WRAPPER
    )
    return {
        "calls": forms.total() + len(through) + stay,
        **{form.value: forms[form] for form in Form},
        "through": len(through),
        "wrappers": sum(use.site.given is not None for use in uses),
        "stay": stay,
    }


def calls_as_json(uses: Sequence[Use], unlinked: Sequence[Unlinked]) -> list[dict[str, object]]:
    """Every call, by its place."""
    found: list[tuple[object, dict[str, object]]] = []
    for use in uses:
        data: dict[str, object] = {
            "call": str(call_of(use.site)),
            "function": use.site.function,
            "entrypoint": f"{use.op.module}.{use.op.name}",
            "form": use.form.value,
            "arguments": {each.name: each.source for each in use.arguments},
        }
        found.append((call_of(use.site), data))
    for each in unlinked:
        data = {
            "call": str(call_of(each.site)),
            "function": each.site.function,
            "why": each.why.value,
            "text": each.text,
        }
        found.append((call_of(each.site), data))
    return [data for _, data in sorted(found, key=lambda pair: (pair[0], repr(pair[1])))]


def summary(
    wide: Sequence[Source],
    found: Sequence[Row],
    uses: Sequence[Use],
    unlinked: Sequence[Unlinked],
    *,
    replaced: int = 0,
) -> Iterator[str]:
    """The lines below the table; `replaced` calls are entrypoints' by now."""
    number = wide_counts(wide, found)
    yield (
        f"wide filters: {number['wide filters']}, of which {number['replaced']} are replaced by "
        f"what their calls need, {number['unused']} are needed by no call, "
        f"{number['stay wide']} stay wide"
    )
    calls = call_counts(uses, unlinked)
    wrappers = counted(calls["wrappers"], "wrapper")
    through = f"{calls['through']} are made through {wrappers} whose own call has such a one, "
    more = f"; {replaced} more {'have' if replaced > 1 else 'has'} been replaced"
    yield (
        f"calls: {calls['calls']}, of which {calls['typed']} have a typed entrypoint, "
        f"{calls['checked']} one that takes the command line as a list, "
        f"{through if calls['wrappers'] else ''}{calls['stay']} stay"
        f"{more if replaced else ''}"
    )


def stays(unlinked: Sequence[Unlinked]) -> Iterator[str]:
    """A line for every call that stays as it is."""
    for each in sorted(unlinked, key=lambda each: (call_of(each.site), each.why.value)):
        if each.why is Why.WRAPPER:
            continue
        command = next((t.command for t in each.site.templates if t.command), "")
        what = f" {command}" if command else ""
        why = f"{each.why.value}: " if each.why is not Why.UNRESOLVED else ""
        yield f"    stays: {call_of(each.site)}{what} ({why}{each.text})"
