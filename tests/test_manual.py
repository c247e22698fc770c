"""Manual pages and completion are those of the commands as they are."""

import shutil
import subprocess
import sys

import pytest

from tools import manual


@pytest.mark.skipif(sys.version_info[:2] != manual.MADE_WITH, reason="argparse wraps otherwise")
def test_they_are_up_to_date() -> None:
    assert manual.main(["--check"]) == 0


def test_the_pages_are_read_without_complaint() -> None:
    if shutil.which("man") is None:
        pytest.skip("no man here")
    for path in manual.FOLDER.glob("*.[18]"):
        read = ["man", "--warnings", "--local-file", str(path)]
        done = subprocess.run(read, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["c"], "callsites caps convert"),
        (["caps", ""], "--help explain show"),
        (["caps", "show", "--s"], "--service"),
        (["shim", "uninstall", "--f"], "--force"),
        (["audit", "x", "--format", "s"], "sarif"),
        (["convert", "--run"], "--runtime"),
        (["convert", "--output", "x", "etc"], ""),
        (["nothing", "--"], ""),
    ],
    ids=str,
)
def test_bash_completes(words: list[str], expected: str) -> None:
    script = manual.FOLDER / "privmigrate.bash"
    text = (
        f'source {script}; COMP_WORDS=(privmigrate "$@"); COMP_CWORD=$#; _privmigrate;'
        ' echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", text, "bash", *words], capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == (expected, "")
