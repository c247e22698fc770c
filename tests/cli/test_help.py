"""What --help says: how to call it, an example, and what every exit code means."""

import json
import re
from typing import Final

import pytest

from privmigrate.cli import COMMANDS, main

ACTIONS: Final = {
    "caps": ("show", "explain"),
    "shim": ("install", "uninstall", "status", "learned"),
}
NAMES: Final = [name for name, _ in COMMANDS]
EACH: Final = [
    (name, *rest) for name in NAMES for rest in ((), *((a,) for a in ACTIONS.get(name, ())))
]


def text(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*words, "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_every_command_says_what_its_exit_codes_mean(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = text(capsys, name)
    codes = said.partition("\nexit codes:")[2]
    findings = set() if name == "sudoers" else {"1"}
    assert {"0", "2"} | findings <= set(re.findall(r"\b[0-9]+\b", codes))


@pytest.mark.parametrize("words", EACH, ids=" ".join)
def test_help_fits_and_has_an_example(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    said = text(capsys, *words)
    assert max(map(len, said.splitlines())) <= 100
    assert f"privmigrate {' '.join(words)} " in said.partition("\n\n")[2] or words[1:] == ()
    assert re.search(r"^examples?:", said, re.MULTILINE) or words[0] in ACTIONS


@pytest.mark.parametrize("words", EACH, ids=" ".join)
def test_every_option_is_explained(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each has its words, on its line or on the next."""
    listed = text(capsys, *words).splitlines()
    for line, following in zip(listed, [*listed[1:], ""], strict=True):
        if re.match(r"  (-|\w+ {2,}|[A-Z]+$)", line):
            assert re.match(r"  \S.*?\s{2,}\S", line) or following.startswith(" " * 4), line


def test_help_of_a_command_can_be_asked_for_in_both_ways(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = text(capsys, "match")
    assert main(["help", "match"]) == 0
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    "words",
    [
        ("convert", "rootwrap.d", "--capabilities", ""),
        ("convert", ""),
        ("callsites", ""),
        ("rewrite", ".", "--to", "x", "--filters="),
        ("audit", "--root", ""),
        ("match", "", "--", "ls"),
        ("caps", "show", "--service", ""),
        ("learn", "--from", "", "--filters", "x"),
        ("shim", "status", "--config", ""),
    ],
    ids=" ".join,
)
def test_an_option_without_a_value_is_not_left_out(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """``--capabilities "$FILE"`` with no FILE would give every entrypoint other capabilities."""
    assert main(list(words)) in {2, 255}
    assert re.fullmatch(r"privmigrate: (--)?[\w-]+ is empty .*\n", capsys.readouterr().err)


def test_empty_words_of_a_command_are_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["caps", "explain", "chown", ""]) == 0
    assert "is empty" not in capsys.readouterr().err


def test_data_is_asked_for_in_one_way(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command that has data takes --format json, and --json for short."""
    without = [words for words in EACH if "--format" not in text(capsys, *words)]
    assert without == [
        ("caps",), ("shim",), ("shim", "install"), ("shim", "uninstall"), ("shim", "learned"),
        ("sudoers",),
    ]  # fmt: skip
    assert main(["caps", "explain", "--json", "chown"]) == 0
    short = json.loads(capsys.readouterr().out)
    assert main(["caps", "explain", "--format", "json", "chown"]) == 0
    assert json.loads(capsys.readouterr().out) == short
