"""A short soak with kills; `python -m tools.soak` is the long one."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import soak
from tools.modules import PROJECT

pytestmark = [pytest.mark.root, pytest.mark.timeout(100)]


@pytest.mark.parametrize("method", ["fork", "helper"])
def test_nothing_is_lost_or_done_twice(method: str) -> None:
    words = ["--calls", "60000", "--kill-every", "0.2", "--method", method]
    done = subprocess.run(
        [sys.executable, "-m", "tools.soak", *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60000 calls from 32 threads" in done.stdout
    assert " kills" in done.stdout, "no daemon was killed: nothing was tried"


def test_what_goes_wrong_is_found(tmp_path: Path) -> None:
    """The judge itself: marks that do not fit what callers saw."""
    run = soak.Soak(tmp_path / "marks", calls=4, threads=1, kill_every=1.0)
    run.path.write_bytes(bytes((1, 0, 2, 1)))
    run.check(3, (4, 1, None), None)
    run.judge(0, KeyError("unexpected"))
    run.compare_usage(*(soak.Usage(10.0, 10),) * 2, soak.Usage(30.0, 10), soak.Usage(10.0, 30))
    run.compare_marks()
    assert set(run.faults) == {
        "answer to another call",
        "KeyError",
        "client grew",
        "daemon leaks descriptors",
        "executed more than once",
    }
