"""Standard output that is full, closed or of few letters; files that cannot be read or written."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

FILTERS: Final = "[Filters]\n# déjà vu\nls: CommandFilter, ls, root\n"
SAYS_MUCH: Final = (
    ("--help",),
    ("audit", "--help"),
    ("audit", "{}"),
    ("caps", "explain", "ls"),
    ("convert", "--show", "rules", "{}"),
    ("match", "{}", "ls"),
    ("shim", "status", "--config", "{}"),
)


def command(
    *words: str, stdout: int = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "privmigrate", *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.fixture
def filters(tmp_path: Path) -> str:
    path = tmp_path / "x.filters"
    path.write_text(FILTERS, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("words", SAYS_MUCH, ids=" ".join)
def test_a_full_standard_output_is_one_line(words: tuple[str, ...], filters: str) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = command(*(word.format(filters) for word in words), stdout=full)
    finally:
        os.close(full)
    assert done.stderr == b"privmigrate: standard output: No space left on device\n"
    assert done.returncode == 2


@pytest.mark.parametrize("words", SAYS_MUCH, ids=" ".join)
def test_a_closed_standard_output_is_no_traceback(words: tuple[str, ...], filters: str) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "privmigrate",
         *(word.format(filters) for word in words)],
        capture_output=True,
        check=False,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr
    assert done.returncode in {0, 1, 2}


@pytest.mark.parametrize("words", SAYS_MUCH[2:], ids=" ".join)
def test_letters_that_the_locale_lacks_are_escapes(words: tuple[str, ...], tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xe9\xff"))
    folder.mkdir()
    path = folder / "x.filters"
    path.write_text(FILTERS.replace("ls", "lś"), encoding="utf-8")
    done = command(*(word.format(path) for word in words), PYTHONIOENCODING="ascii")
    assert b"Traceback" not in done.stderr
    assert done.stdout.isascii()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "usr").touch()
    done = command(
        "shim", "install", "--service", "x", "--config", "/etc/x.conf",
        "--root", str(tmp_path), "--python", "/usr/bin/python3",
    )  # fmt: skip
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert os.fsencode(tmp_path / "usr") in done.stderr


def test_a_wrong_option_is_no_finding_of_audit() -> None:
    assert command("audit", "--nonsense").returncode == 255
    assert command("convert", "--nonsense").returncode == 2
