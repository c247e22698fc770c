"""Every row of tools/seeded_faults.py still takes away what it names; none is run here."""

import ast
from collections import Counter

import pytest

from tools.modules import PACKAGE, PROJECT
from tools.seeded_faults import FAULTS, Fault

each_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)


def test_names_tell_rows_apart() -> None:
    assert [name for name, rows in Counter(f.name for f in FAULTS).items() if rows > 1] == []


@each_fault
def test_a_row_fits_its_source(fault: Fault) -> None:
    """A guard that was moved or written anew would be tried no more."""
    source = (PACKAGE / fault.file).read_text()
    # what does not parse, or means the same, would prove nothing about the guard
    assert ast.dump(ast.parse(fault.seeded(source))) != ast.dump(ast.parse(source))


@each_fault
def test_a_row_names_a_test_that_is_there(fault: Fault) -> None:
    path, _, function = fault.test.partition("::")
    assert (PROJECT / path).exists()
    if function:
        assert f"\ndef {function}(" in (PROJECT / path).read_text()


@pytest.mark.parametrize("source", ["", "guard\nguard\n"], ids=["gone", "twice"])
def test_a_row_that_does_not_fit_is_said(source: str) -> None:
    row = Fault("a row", "some.py", "guard\n", "", "tests/some.py")
    with pytest.raises(ValueError, match=r"occurs \d times in some\.py"):
        row.seeded(source)
