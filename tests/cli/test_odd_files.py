"""Files that never end, never come or are not there: one line says it; nothing is waited for."""

import os
from pathlib import Path
from typing import Final

import pytest

from privmigrate.cli import main
from privmigrate.linux.reading import MAX_BYTES

FILTERS: Final = "[Filters]\nls: CommandFilter, ls, root\n"
CODE: Final = """\
from oslo_concurrency import processutils

def show(path):
    processutils.execute('ls', path, run_as_root=True)
"""
# each with the file in question as {}
READ: Final = (
    ("audit", "--baseline", "{}", "rootwrap.d"),
    ("callsites", "--filters", "{}", "--", "service"),
    ("callsites", "{}"),
    ("caps", "explain", "--learned", "{}", "ls"),
    ("convert", "{}"),
    ("convert", "--capabilities", "{}", "rootwrap.d"),
    ("convert", "rootwrap.d", "--callsites", "{}"),
    ("learn", "--filters", "{}", "--from", "log", "--list"),
    ("learn", "--repeatable", "--source", "search", "--output", "{}", "--", "true"),
    ("learn", "--repeatable", "--source", "search", "--stdin", "{}", "--", "true"),
    ("match", "{}", "--", "ls"),
    ("rewrite", "service", "--to", "privileged", "--filters", "{}"),
    ("shim", "install", "--service", "nobody", "--config", "{}", "--dry-run"),
)  # fmt: skip
LOGS: Final = (
    ("learn", "--filters", "rootwrap.conf", "--list", "--from", "{}"),
    ("match", "--batch", "{}", "rootwrap.conf"),
)
KINDS: Final = ("pipe", "device", "large", "missing", "folder/below")
# what is to be written need not be there yet; what a command reads may be large
FINE: Final = {("missing", "--output"), ("large", "--stdin")}
CASES: Final = tuple(
    pytest.param(
        kind,
        words,
        # `shim install` looks at owners first, and a checkout may be somebody's own
        marks=[pytest.mark.root] if {"--repeatable", "install"} & {*words} else [],
        id=f"{kind} {' '.join(words)}",
    )
    for kind in KINDS
    for words in READ
    if not any((kind, word) in FINE for word in words)
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "rootwrap.d").mkdir()
    (tmp_path / "rootwrap.d" / "a.filters").write_text(FILTERS)
    (tmp_path / "rootwrap.conf").write_text(f"[DEFAULT]\nfilters_path={tmp_path}/rootwrap.d\n")
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "files.py").write_text(CODE)
    (tmp_path / "log").write_text('["ls", "/"]\n')
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    (tmp_path / "folder").write_text("is none")
    monkeypatch.chdir(tmp_path)
    assert main(["convert", "rootwrap.d"]) == 0
    return tmp_path


def tree(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("kind", "words"), CASES)
def test_a_file_that_cannot_be_read_is_named_at_once(
    kind: str, words: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = str(folder / kind)
    before = tree(folder)
    capsys.readouterr()
    code = main([word.format(name) for word in words])
    said = capsys.readouterr().err.splitlines()
    assert code == (255 if words[0] == "audit" else 2)
    assert len(said) == 1
    assert said[0].startswith("privmigrate: ")
    assert name in said[0]
    assert tree(folder) == before


@pytest.mark.parametrize("words", LOGS, ids=" ".join)
@pytest.mark.parametrize("kind", ["missing", "folder/below", "rootwrap.d"])
def test_a_log_that_cannot_be_read_is_named(
    kind: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main([word.format(kind) for word in words]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"privmigrate: {kind}: error: cannot be read: ")


def test_names_cannot_write_to_the_terminal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a\x1b[31m").write_text("none of these")
    for words in READ:
        if "--stdin" not in words:
            main([word.format("a\x1b[31m") for word in words])
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "a\\x1b[31m" in said.err
