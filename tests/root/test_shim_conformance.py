"""A part of tools/shim_conformance.py, in each of our ways; the whole takes a minute for each."""

from collections.abc import Iterator
from itertools import islice

import pytest

from privmigrate.rootwrap.settings import EXECUTIONS
from tools.shim_conformance import Stage, cases, compare, is_expected, run, staged

pytestmark = pytest.mark.root

EVERY = 16


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_nobody_sees_a_difference(stage: Stage, execution: str) -> None:
    stage.execution = execution
    asked = 0
    start = EXECUTIONS.index(execution)  # each way takes other cases
    for case in islice(cases(), start, None, EVERY):
        asked += 1
        found = compare(run(stage, stage.theirs, case), run(stage, stage.ours, case))
        assert [line for line in found if not is_expected(execution, line)] == [], case.name
    assert asked >= 10
