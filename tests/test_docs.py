"""What the documentation shows is what happens: commands are run, links lead somewhere.

In a block marked ``console`` a line that begins with ``$`` is run, in order and in one folder per
document, and what follows is its output; ``...`` stands for anything. A block that cannot be run
here says why in a comment before it: ``<!-- not run: reason -->``.
"""

import doctest
import os
import re
import subprocess
import sys
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from privmigrate.cli import COMMANDS
from tools.modules import PROJECT

DOCUMENTS: Final = [
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
    *sorted((PROJECT / "docs").rglob("*.md")),
]
BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN: Final = re.compile(r"<!-- not run: .{10,} -->\n\Z")
PLACE: Final = re.compile(r"`(\w[\w.*-]*/[\w./*-]*)`")
BASES: Final = (PROJECT, PROJECT / "privmigrate")
LINK: Final = re.compile(r"\]\(([^)\s#]+)(#[^)\s]*)?\)")
each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT))
)


@dataclass(frozen=True)
class Step:
    """One command that a document shows, and the output that it shows for it."""

    line: int
    command: str
    output: str


def steps(document: Path) -> Iterator[Step]:
    """Every command of a document that is to be run."""
    text = document.read_text()
    for block in BLOCK.finditer(text):
        if block[1] != "console" or NOT_RUN.search(text[: block.start()]):
            continue
        number = text.count("\n", 0, block.start()) + 1
        command, output = "", ""
        for line in block[2].splitlines():
            number += 1
            if line.startswith("$ "):
                if command:
                    yield Step(number - 1, command, output)
                command, output = line[2:], ""
            elif (line + " ").startswith("> ") and not output:
                command += "\n" + line[2:]
            else:
                output += line + "\n"
        yield Step(number, command, output)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder like the checkout for a reader: the sample, and our commands on the PATH."""
    (tmp_path / "filters").symlink_to(PROJECT / "filters")
    (tmp_path / ".bin").mkdir()
    command = tmp_path / ".bin" / "privmigrate"
    command.write_text(
        f'#!/bin/sh\nPYTHONPATH={PROJECT} exec {sys.executable} -m privmigrate "$@"\n'
    )
    command.chmod(0o755)
    return tmp_path


@each_document
def test_commands_do_what_the_document_shows(document: Path, folder: Path) -> None:
    path = f"{folder}/.bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
    checker = doctest.OutputChecker()
    for step in steps(document):
        # as on a terminal: what is written first is seen first
        plain = {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(PROJECT), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            ["bash", "-c", step.command],
            cwd=folder,
            env={**os.environ, **plain, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        same = checker.check_output(step.output, done.stdout, doctest.ELLIPSIS)
        where = f"{document.name}:{step.line}: $ {step.command}"
        assert same, f"{where}\nshows:\n{step.output}\nprints:\n{done.stdout}"


@each_document
def test_links_lead_to_files(document: Path) -> None:
    targets = [match[1] for match in LINK.finditer(document.read_text())]
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (document.parent / target).exists()] == []


def anchors(document: Path) -> set[str]:
    """What a link can name behind #: headings as forges spell them."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", document.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {"#" + heading.replace(" ", "-") for heading in plain}


@each_document
def test_links_lead_to_headings(document: Path) -> None:
    links = re.findall(r"\]\(([^)\s#]*)(#[^)\s]*)\)", document.read_text())
    wrong = [
        f"{target}{anchor}"
        for target, anchor in links
        if "://" not in target
        and anchor not in anchors(document.parent / target if target else document)
    ]
    assert wrong == []


def test_every_page_is_in_the_index() -> None:
    index = PROJECT / "docs" / "README.md"
    named = {(index.parent / match[1]).resolve() for match in LINK.finditer(index.read_text())}
    pages = {path for path in (PROJECT / "docs").rglob("*") if path.suffix in {".md", ".txt"}}
    assert pages - named == {index}


@each_document
def test_options_that_are_named_exist(document: Path) -> None:
    assert list(unknown_options(document.read_text())) == []


def test_an_option_that_does_not_exist_is_noticed() -> None:
    text = "`privmigrate audit --score --sarif x` and\nprivmigrate learn --yes -- ls --color\n"
    assert list(unknown_options(text)) == ["privmigrate audit --sarif"]


def unknown_options(text: str) -> Iterator[str]:
    """Where one of our commands is shown, every option behind it that it does not take."""
    for name, rest in re.findall(r"privmigrate (\w+)\b([^`\n|#&;]*)", text):
        if name in dict(COMMANDS):
            for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", rest.partition(" -- ")[0]):
                if option not in options_of(name):
                    yield f"privmigrate {name} {option}"


@cache
def options_of(name: str) -> set[str]:
    """Every option of a command and of its actions."""
    parser = ArgumentParser()
    import_module(f"privmigrate.cli.{name}").configure(parser)
    found, parsers = {"--help"}, [parser]
    for each in parsers:
        for action in each._actions:
            found |= set(action.option_strings)
            if isinstance(action, _SubParsersAction):
                parsers += action.choices.values()
    return found


@each_document
def test_files_that_are_named_are_there(document: Path) -> None:
    """From the checkout or from the package; what stands for any name is in capitals."""
    prose = BLOCK.sub("", document.read_text())
    wrong = [
        name
        for name in PLACE.findall(prose)
        if any((base / name.partition("/")[0]).is_dir() for base in BASES)
        and not any(list(base.glob(name.rstrip("/"))) for base in BASES)
        and not re.search("[A-Z]{4}", name)
    ]
    assert wrong == []


def test_a_wrong_output_is_noticed(tmp_path: Path) -> None:
    document = tmp_path / "x.md"
    document.write_text("```console\n$ echo a\na\n$ echo b\n> echo c\nb\nd\n```\n")
    assert [(s.command, s.output) for s in steps(document)] == [
        ("echo a", "a\n"),
        ("echo b\necho c", "b\nd\n"),
    ]
    assert not doctest.OutputChecker().check_output("b\nd\n", "b\nc\n", doctest.ELLIPSIS)


def test_a_block_is_left_out_only_with_a_reason(tmp_path: Path) -> None:
    document = tmp_path / "x.md"
    document.write_text(
        "<!-- not run: it would take the machine down -->\n```console\n$ halt\n```\n"
    )
    assert list(steps(document)) == []
    document.write_text("<!-- not run -->\n```console\n$ true\n```\n")
    assert [step.command for step in steps(document)] == ["true"]
