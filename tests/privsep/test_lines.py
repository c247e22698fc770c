"""Command lines that are taken as a list: what is accepted, and how it is refused."""

import time
from collections.abc import Sequence
from typing import Annotated

import pytest

from privmigrate.argv.check import compile_annotation
from privmigrate.argv.spec import Any, Choice, Int, Key, PathWithin
from privmigrate.errors import Refused
from privmigrate.privsep.commands import command
from privmigrate.privsep.execute import ExecResult, Executable, run
from privmigrate.privsep.lines import (
    MAX_WORDS,
    CommandLines,
    Words,
    hole,
    line,
    optional,
    parts_of,
    repeated,
)

OPERAND = Any(operand=True, newline=False)
LVS = Executable("/sbin/lvs")
LINES = CommandLines(
    line("lvs", optional("quiet", "-q"), hole("vg", OPERAND)),
    line(
        "lvs", "--units", hole("units", Choice(("g", "k"))), repeated("more", hole("lv", OPERAND))
    ),
    line("lvs", hole("size", Key("size=", Int()))),
)


@command
def lvs(words: Annotated[Words, LINES]) -> ExecResult:
    """Run one of these."""
    return run(LVS, *words[1:])


@pytest.mark.parametrize(
    "words",
    [
        ("lvs", "vg"),
        ["lvs", "-q", "vg"],
        ("lvs", "--units", "g"),
        ("lvs", "--units", "k", "a", "b"),
        ("lvs", "size=5"),
        ("lvs", 5),
    ],
)
def test_what_is_one_of_the_lines_runs_as_it_is(words: Sequence[str | int]) -> None:
    (planned,) = lvs.plan(words)
    assert planned.argv == ("/sbin/lvs", *map(str, words[1:]))


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("lvs",),
        ("vgs", "vg"),
        ("/tmp/lvs", "vg"),
        ("lvs", "-q"),
        ("lvs", "--config", "x"),
        ("lvs", "vg", "-q"),
        ("lvs", "vg", "vg2"),
        ("lvs", "--units", "m"),
        ("lvs", "--units", "g", "-a"),
        ("lvs", "vg\n"),
        ("lvs", "a\0b"),
        ("lvs", "\ud800"),
        ("lvs", True),
        ("lvs", None),
        ("lvs", b"vg"),
        ("lvs", ("vg",)),
        "lvs",
        {"lvs": "vg"},
        None,
    ],
)
def test_what_is_none_of_them_is_refused(words: object) -> None:
    with pytest.raises(Refused):
        lvs.plan(words)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("lvs", "a=b"), ({}, "lvs", ("a=b",))),
        (("env", "A=1", "B=x=y", "lvs", "-q"), ({"A": "1", "B": "x=y"}, "lvs", ("-q",))),
        (("env", "A=", "lvs"), ({"A": ""}, "lvs", ())),
        (("env", "lvs", "A=1", 5), ({}, "lvs", ("A=1", "5"))),
    ],
)
def test_variables_are_taken_off(words: tuple[str | int, ...], parts: object) -> None:
    assert parts_of(words) == parts


def test_a_refusal_says_how_far_it_came_and_no_value() -> None:
    with pytest.raises(Refused) as caught:
        lvs.plan(["lvs", "--units", "secret"])
    assert str(caught.value) == (
        "words is none of its command lines: word 2 is not '-q'; "
        "or word 3 is not one of 'g', 'k'; or word 2 does not begin with 'size='"
    )


def test_a_path_is_executed_as_it_was_resolved() -> None:
    check = compile_annotation(
        Annotated[Words, CommandLines(line("cat", hole("path", PathWithin("/proc"))))]
    )
    found = check(["cat", "/proc/self/../version"])
    assert isinstance(found, tuple)
    assert found[1] == "/proc/version"
    with pytest.raises(Refused):
        check(["cat", "/proc/self/root/etc/shadow"])


def test_a_long_list_costs_no_time_to_speak_of() -> None:
    nested = line("x", repeated("a", repeated("b", optional("c", hole("w", OPERAND)))), "end")
    check = compile_annotation(Annotated[Words, CommandLines(nested)])
    start = time.monotonic()
    with pytest.raises(Refused):
        check(["x", *("w" for _ in range(300))])
    with pytest.raises(Refused, match="has more than"):
        check(["x", *("w" for _ in range(MAX_WORDS))])
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    "annotation",
    [
        Annotated[str, LINES],
        Annotated[tuple[str, ...], LINES],
        Annotated[Sequence[str], LINES],
        Annotated[Words, LINES, LINES],
    ],
)
def test_lines_describe_a_list_of_words_and_nothing_else(annotation: object) -> None:
    with pytest.raises(TypeError):
        compile_annotation(annotation)
