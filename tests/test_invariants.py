"""Every invariant is listed, kept somewhere and tested."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
ROW = re.compile(r"^\| INV-(\d+) \|.*\| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)
MARK = re.compile(r"# INV-(\d+)\b")


def rows() -> list[tuple[str, str, str]]:
    return ROW.findall((PROJECT / "docs" / "invariants.md").read_text())


def marks(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*.py"):
        for number in MARK.findall(path.read_text()):
            yield number, path


def test_numbers_are_counted_up() -> None:
    assert [int(number) for number, _, _ in rows()] == list(range(1, len(rows()) + 1))


@pytest.mark.parametrize(("number", "code", "test"), rows())
def test_each_is_kept_and_tested_where_the_list_says(number: str, code: str, test: str) -> None:
    for text, base in ((code, PROJECT / "privmigrate"), (test, PROJECT)):
        for name in re.findall(r"`([^`]+)`", text):
            assert number in MARK.findall((base / name).read_text()), name


def test_none_is_marked_that_is_not_listed() -> None:
    listed = {number for number, _, _ in rows()}
    for number, path in (*marks(PROJECT / "privmigrate"), *marks(PROJECT / "tests")):
        assert number in listed, f"INV-{number} in {path}"
