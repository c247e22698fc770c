"""What --help says: how to call it, an example, and what every exit code means."""

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
    assert {"0", "1", "2"} <= set(re.findall(r"\b[0-9]+\b", codes))


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
