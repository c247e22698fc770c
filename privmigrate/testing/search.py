"""Finds values with which two forms of a call can be compared, by trying."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from privmigrate.testing.evaluate import Case, Evaluated, NotProven, same_argv
from privmigrate.testing.probe import TABLE

MAX_TRIED: Final = 3000


def find(
    case: Case, samples: Mapping[str, Sequence[object]], constants: dict[str, object]
) -> dict[str, object]:
    """Values that the entrypoint accepts, and with which the command lines are the same."""
    case.evaluate_after(constants, 0)
    case.evaluate_before(constants, 0)
    last = "nothing was tried"
    for tried, chosen in enumerate(_choices(case, samples, constants)):
        if tried > MAX_TRIED:
            break
        new = case.evaluate_after(chosen, 0)
        if new.refused or not new.ran:
            last = f"the entrypoint refuses {chosen}: {new.outcome}"
            continue
        found = _with_constants(case, chosen, new)
        if isinstance(found, dict):
            return found
        last = found
    raise NotProven(f"no values were found: {last}")


def _with_constants(
    case: Case, chosen: dict[str, object], new: Evaluated
) -> dict[str, object] | str:
    """Put constants behind names until the command lines are the same; else say how they differ."""
    for _ in range(8):
        old = case.evaluate_before(chosen, 0)
        if len(old.ran) == 1 and same_argv(old.ran[0].argv, new.ran[0].argv):
            return chosen
        found = _constant_behind(chosen, old, new)
        if found is None:
            break
        case.learned.add(found[0])
        chosen = chosen | dict([found])
        new = case.evaluate_after(chosen, 0)
        if not new.ran:
            break
    return f"with {chosen} it ran {old.ran or old.outcome} before, and runs {new.ran}"


def _constant_behind(
    chosen: Mapping[str, object], old: Evaluated, new: Evaluated
) -> tuple[str, object] | None:
    """A name whose value the form before has in a word, where the entrypoint has a constant."""
    if len(old.ran) != 1 or len(old.ran[0].argv) != len(new.ran[0].argv):
        return None
    for one, other in zip(old.ran[0].argv, new.ran[0].argv, strict=True):
        for path, value in chosen.items():
            if isinstance(value, str) and value and one != other and value in one:
                before, _, after = one.partition(value)
                text = other[len(before) : len(other) - len(after) or None]
                others = [str(each) for each in chosen.values() if each]
                if f"{before}{text}{after}" == other and not any(x in text for x in others):
                    return path, text
    return None


def _flavours(number: int) -> tuple[object, ...]:
    """Values of many kinds, different for each name."""
    return (
        f"word{number}",
        f"/srv/word{number}",
        f"{number + 11}",
        1000 // (number + 1),
        (f"item{number}", f"more{number}"),
        (f"/srv/item{number}", f"/srv/more{number}"),
        f"192.0.2.{number + 1}",
        f"one{number}:two{number}",
        f"one{number} two{number},three{number}",
        TABLE,
        "",
        None,
        True,
        False,
    )


def _choices(
    case: Case, samples: Mapping[str, Sequence[object]], constants: dict[str, object]
) -> Iterator[dict[str, object]]:
    paths = _leaves(case, constants)
    rows = _rows(case, paths, samples)
    for place in range(max(map(len, rows), default=1)):
        first = [row[min(place, len(row) - 1)] for row in rows]
        yield constants | dict(zip(paths, first, strict=True))
    # those that differ in few kinds from the first before those that differ in many
    for width in range(2, 12):
        for kinds in itertools.product(*(row[:width] for row in rows)):
            yield constants | dict(zip(paths, kinds, strict=True))
            paths_now = _leaves(case, constants)
            if len(paths_now) > len(paths):
                break
        paths = _leaves(case, constants)
        rows = _rows(case, paths, samples)


def _rows(
    case: Case, paths: Sequence[str], samples: Mapping[str, Sequence[object]]
) -> list[tuple[object, ...]]:
    """What is tried behind each name, what is likeliest first."""
    rows: list[tuple[object, ...]] = []
    for number, path in enumerate(paths):
        begun = tuple(f"{each}word{number}" for each in case.beginnings)
        rows.append(
            tuple(case.options[path])
            if path in case.options
            else (*samples.get(path, ()), *begun, *_flavours(number))
        )
    return rows


def _leaves(case: Case, constants: Mapping[str, object]) -> list[str]:
    """Paths through which nothing else was reached: their text is what is used."""
    return [
        path
        for path in case.asked
        if path not in constants
        and not any(
            other != path and other.startswith((f"{path}.", f"{path}[", f"{path}("))
            for other in case.asked
        )
    ]


def variations(case: Case, chosen: dict[str, object]) -> Iterator[dict[str, object]]:
    """The values found, and each of them replaced by some that conditions take otherwise."""
    yield chosen
    for path in _leaves(case, {}):
        if path in case.learned:
            continue
        for value in case.options.get(path, ("", None, True, False, 0, 2.5)):
            yield {**chosen, path: value}
