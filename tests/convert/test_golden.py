"""The goldens are what convert makes of their filters now; reviewed, they say what it should."""

import pytest

from tools import regen


def test_there_are_goldens() -> None:
    assert len(regen.folders()) >= 7


def test_goldens_are_as_they_would_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    code = regen.main(["--check"])
    assert (code, capsys.readouterr().err) == (0, "")
