"""Real input is there, and is what it should be."""

from pathlib import Path

from tools.fetch_filters import RELEASES, TARGET


def test_every_release_has_been_fetched(fetched_filters: list[Path]) -> None:
    without = [
        release.name
        for release in RELEASES
        if not any(path.is_relative_to(TARGET / release.name) for path in fetched_filters)
    ]
    assert without == []
    assert all(path.is_relative_to(TARGET) for path in fetched_filters)


def test_the_wheels_hold_a_few_hundred_definitions(fetched_filters: list[Path]) -> None:
    lines = [line for path in fetched_filters for line in path.read_text().splitlines()]
    definitions = [line for line in lines if "Filter," in line and not line.startswith("#")]
    assert len(definitions) > 400


def test_real_filters_begin_with_the_wheels(
    real_filters: list[Path], fetched_filters: list[Path]
) -> None:
    assert real_filters[: len(fetched_filters)] == fetched_filters
    assert len(set(real_filters)) == len(real_filters)
