"""The tool that runs services' unit tests before and after: what it runs, and what it concludes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.rewrite_sources import Rewritten
from tools.rewrite_unittests import LISTS
from tools.unittests import choose
from tools.unittests.choose import MANY, facts_of, mentions
from tools.unittests.outcomes import (
    MOCKS,
    MOVED,
    OTHER,
    UNSTEADY,
    Ended,
    cause_of,
    noted_in,
    read_results,
    worse,
)

PASSED, FAILED = Ended("passed"), Ended("failed")
REACHED = ({"entrypoint": "a:b", "executor": "a mock"},)


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        ("import svc.files", True),
        ("from svc import files", True),
        ("from svc import other, files as f", True),
        ("@mock.patch('svc.files.run')", True),
        ("from svc import profiles", False),
        ("from other import files", False),
        ("svc.files2", False),
    ],
)
def test_a_test_file_mentions_a_module(text: str, *, mentioned: bool) -> None:
    assert mentions(text, "svc.files") is mentioned


def test_the_tests_of_what_changed_are_chosen(tmp_path: Path) -> None:
    texts = {
        "svc/tests/unit/test_files.py": "from svc import files",
        "svc/tests/unit/test_more.py": "'svc.files'",
        "svc/tests/unit/test_moved.py": "",
        "svc/tests/unit/test_other.py": "",
        "svc/tests/functional/test_files.py": "from svc import files",
        "svc/test_tool.py": "from svc import files",
    }
    texts |= {f"svc/tests/unit/x/test_{n}.py": "from svc import utils" for n in range(MANY)}
    texts["svc/tests/unit/test_utils.py"] = "from svc import utils"
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    changed = ["svc/files.py", "svc/utils.py", "svc/tests/unit/test_moved.py"]
    found = choose.tests_of(tmp_path, "svc", map(Path, changed))
    assert [path.stem for path in found] == ["test_files", "test_more", "test_moved", "test_utils"]


def test_causes() -> None:
    reached = Ended("passed", reached=REACHED)
    assert cause_of(reached, PASSED, moved=False) == MOCKS
    assert cause_of(reached, FAILED, moved=False) == UNSTEADY
    assert cause_of(Ended("failed", reached=REACHED), PASSED, moved=True) == OTHER
    assert cause_of(FAILED, PASSED, moved=True) == MOVED
    assert cause_of(PASSED, PASSED, moved=False) == OTHER
    assert cause_of(None, None, moved=False) == UNSTEADY
    before = {"a": PASSED, "b": PASSED, "c": FAILED, "d": PASSED}
    assert worse(before, {"a": PASSED, "b": FAILED, "c": FAILED}) == ["b", "d"]


def test_what_calls_tell_is_told_once() -> None:
    note = {"entrypoint": "a:b", "executor": "a mock", "refused": "x is not text"}
    assert noted_in([Ended("passed", reached=(note, note))]) == [
        "executor: a mock: 2 calls",
        "refused: a:b: 2 calls, such as: x is not text",
    ]


SERVICE = """
from oslo_concurrency import processutils
class Files:
    def __init__(self, execute=processutils.execute):
        self._execute = execute
    def open_to_all(self, path):
        {call}
"""
BEFORE = "self._execute('chmod', mode, path, run_as_root=True)"
AFTER = "svc.privileged.files.chmod('0666', path)"
TESTS = """
import unittest
from svc import files
class Test(unittest.TestCase):
    def test_it(self):
        ran = []
        files.Files(lambda *words, **kwargs: ran.append(words)).open_to_all('/x')
        self.assertEqual([('chmod', '0666', '/x')], ran)
    def test_other(self):
        self.skipTest('no')
    def test_bad(self):
        files.Files(lambda *words, **kwargs: words).open_to_all('relative')
"""
PACKAGE = """
from typing import Annotated
from privmigrate.privsep import command, priv_context, run
from privmigrate.privsep.execute import ExecResult
from privmigrate.privsep.types import AbsolutePath, Executable
context = priv_context.PrivContext("svc", pypath="svc.privileged.files.context", capabilities=[])
CHMOD = Executable("chmod", dirs=("/bin",))
@context.entrypoint
@command
def chmod(mode: str, path: Annotated[str, AbsolutePath()]) -> ExecResult:
    return run(CHMOD, mode, path)
"""


@pytest.fixture
def copies(tmp_path: Path) -> tuple[Path, Path]:
    """A service before and after, with the proof that rewriting wrote."""
    before, after = tmp_path / "before", tmp_path / "after"
    imports = "import svc.privileged.files\n"
    calls = ((before, "", f"mode = '0666'; {BEFORE}"), (after, imports, AFTER))
    for root, head, call in calls:
        for folder in ("svc", "svc/tests", "svc/privileged"):
            (root / folder).mkdir(parents=True)
            (root / folder / "__init__.py").touch()
        (root / "svc" / "files.py").write_text(head + SERVICE.format(call=call))
        (root / "svc" / "tests" / "test_files.py").write_text(TESTS)
        (root / "svc" / "privileged" / "files.py").write_text(PACKAGE)
    (after / "proofs").mkdir()
    (after / "proofs" / "test_svc_files.py").write_text(
        '"""Calls of svc/files.py before and after they were rewritten, compared."""\n'
        "def test_line_7_0() -> None:\n"
        "    def before(execute, path):\n"
        "        mode = '0666'\n"
        "        return execute('chmod', mode, path, run_as_root=True)\n"
    )
    return before, after


def run_tests(where: Path, *options: str | Path) -> dict[str, Ended]:
    results = where / "results"
    words = (LISTS / "run_tests.py", "--results", results, *options, "svc.tests.test_files")
    environment = {"PYTHONPATH": str(LISTS.parent.parent)}
    subprocess.run([sys.executable, *words], cwd=where, env=environment, check=True, timeout=60)
    found = read_results(results)
    return {test.rpartition(".")[2]: ended for test, ended in found.items()}


def test_an_entrypoint_makes_the_call_before(copies: tuple[Path, Path]) -> None:
    """The test that mocks the executor passes again, and what its entrypoint refuses is told."""
    before, after = copies
    rewritten = {"file": "svc/files.py", "line": 7, "before": BEFORE, "after": AFTER}
    done = Rewritten({"rewritten": [rewritten]}, (Path("svc/files.py"),), ())
    facts = after / "facts"
    facts.write_text(json.dumps(facts_of(after, before, done)))
    first = run_tests(before)
    assert {test: ended.outcome for test, ended in first.items()} == {
        "test_it": "passed",
        "test_other": "skipped",
        "test_bad": "passed",
    }
    second = run_tests(after, "--entrypoints", "none")
    assert second["test_it"].outcome == "failed"
    assert "no daemon in unit tests" in second["test_it"].text
    third = run_tests(after, "--entrypoints", "old", "--facts", facts)
    assert third["test_it"].outcome == "passed"
    (note,) = third["test_it"].reached
    assert note == {
        "entrypoint": "svc.privileged.files:chmod",
        "executor": "a function of tests",
    }
    (note,) = third["test_bad"].reached
    assert note["refused"] == "Refused: path does not begin with /"
