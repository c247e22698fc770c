"""Ignores and baselines take away what they name, no more, and say when they are of no use."""

import json

import pytest

from privmigrate.audit.accepted import (
    apply_baseline,
    apply_ignores,
    print_baseline,
    read_baseline,
    read_ignores,
)
from privmigrate.audit.engine import judge
from privmigrate.audit.finding import Finding, Level
from privmigrate.diagnostics import Span
from privmigrate.errors import InputError
from tests.audit.illustration import illustrate


def judged(source: str) -> tuple[list[str], list[str]]:
    evidence = illustrate(source)
    left, accepted = apply_ignores(judge(evidence), read_ignores(evidence.texts))
    return [f"{f.code}:{f.span.line}" for f in left], [
        f"{a.finding.code}: {a.reason}" for a in accepted
    ]


def test_an_ignore_above_its_entry_needs_a_reason_and_is_kept_with_it() -> None:
    assert judged(
        "[Filters]\n# privmigrate: ignore PM105: only in tests\n\n# tee\n"
        "t: CommandFilter, tee, root\n"
    ) == ([], ["PM105: only in tests"])


def test_an_ignore_without_a_reason_ignores_nothing() -> None:
    left, accepted = judged("[Filters]\n# privmigrate: ignore PM105\nt: CommandFilter, tee, root\n")
    assert (left, accepted) == (["PM105:3", "PM002:2"], [])


def test_an_ignore_of_nothing_is_a_finding() -> None:
    left, _ = judged("[Filters]\n# privmigrate: ignore PM101: x\nt: CommandFilter, tee, root\n")
    assert left == ["PM105:3", "PM003:2"]


def test_an_ignore_is_for_the_next_entry_only() -> None:
    left, accepted = judged(
        "[Filters]\n# privmigrate: ignore PM105, PM107: x\nd: CommandFilter, dd, root\n"
        "t: CommandFilter, tee, root\n"
    )
    assert sorted(left) == ["PM105:4", "PM115:3"]
    assert sorted(accepted) == ["PM105: x", "PM107: x"]


def test_python_has_its_ignores_in_the_line() -> None:
    source = (
        "from oslo_privsep import priv_context\n@c.entrypoint\n"
        "def f(a):  # privmigrate: ignore PM606: old\n    return a\n"
    )
    assert judged(source) == ([], ["PM606: old"])


FINDING = Finding("PM105", Level.HIGH, Span("/etc/x/a.filters", 3, 1), "tee writes", "do not")


def test_a_baseline_survives_lines_that_are_added_above() -> None:
    moved = Finding("PM105", Level.HIGH, Span("/srv/x/a.filters", 9, 1), "tee writes", "other")
    other = Finding("PM105", Level.HIGH, Span("/srv/x/a.filters", 9, 1), "dd writes", "other")
    baseline = read_baseline(print_baseline([FINDING]), "b.json")
    left, accepted, gone = apply_baseline([moved, other], baseline)
    assert (left, [a.finding for a in accepted], gone) == ((other,), [moved], 0)


def test_a_baseline_counts() -> None:
    baseline = read_baseline(print_baseline([FINDING]), "b.json")
    left, accepted, _ = apply_baseline([FINDING, FINDING], baseline)
    assert (len(left), len(accepted)) == (1, 1)
    assert apply_baseline([], baseline)[2] == 1


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 2, "accepted": []}', '{"version": 1, "accepted": [1]}']
)
def test_another_file_is_no_baseline(text: str) -> None:
    with pytest.raises(InputError, match=r"^b\.json(:1:1)?: [^'\"]+\(write one anew: .*\)$"):
        read_baseline(text, "b.json")


def test_a_baseline_is_stable() -> None:
    assert json.loads(print_baseline([FINDING]))["accepted"][0]["fingerprint"] == (
        FINDING.fingerprint
    )
    assert print_baseline([FINDING]) == print_baseline([FINDING])
