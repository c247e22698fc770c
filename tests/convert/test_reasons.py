"""Every reason for which a call stays is explained, and counted where calls are told."""

import pytest

from privmigrate.callsites.reasons import EXPLAINED, explain, totals
from privmigrate.callsites.site import Reason
from privmigrate.convert.reasons import STAYS
from privmigrate.convert.replace import Because
from privmigrate.convert.use import Why
from tests.convert.rewriting import outcome, use

# say nothing themselves: the site's reason does, or the conversion's
_OTHERS = {Because.SITE, Because.UNLINKED}


def test_every_reason_is_explained() -> None:
    assert EXPLAINED.keys() == {each.value for each in Reason}
    codes = {each.value for each in (*Why, *Reason, *Because) if each not in _OTHERS}
    assert codes <= STAYS.keys()
    for each in STAYS.values():
        for text in (each.why, each.advice):
            assert text == text.strip(". ")
            assert len(text) < 80


def test_the_most_frequent_comes_first() -> None:
    rows = totals(["split", "remote", "shell", "remote"])
    assert [(row.code, row.count) for row in rows] == [("remote", 2), ("shell", 1), ("split", 1)]
    assert list(explain(rows))[:2] == [
        f"  2  remote  {EXPLAINED['remote'].why}",
        f"             -> {EXPLAINED['remote'].advice}",
    ]
    assert list(explain(())) == []


@pytest.mark.parametrize("reason", [Reason.REMOTE, Reason.INJECTED, Reason.OPTIONS, Reason.SHELL])
def test_a_call_that_stays_says_why_in_these_words(reason: Reason) -> None:
    source = "def f(path):\n    execute('chmod', '777', path)\n"
    change, [left] = outcome(source, use(source, "execute(", "path", reasons=(reason,)))
    assert change is None
    assert (left.codes, left.text) == ((reason.value,), EXPLAINED[reason.value].why)
