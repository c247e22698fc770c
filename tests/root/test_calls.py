"""Entrypoints that were made of calls, called through a real daemon: what they do on disk."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.convert.sites import call, converted, each, site, template, value, when, word

pytestmark = pytest.mark.root

PROJECT = Path(__file__).resolve().parents[2]
RULES = """
chmod: CommandFilter, chmod, root
truncate: CommandFilter, truncate, root
touch: CommandFilter, touch, root
rm: CommandFilter, rm, root
tee: CommandFilter, tee, root
"""
DRIVER = """
import json, sys
import made
import made.files
from privmigrate.privsep.execute import ProcessExecutionError
from privmigrate.privsep.priv_context import Method

made.files_context.start(Method.FORK)
files = made.files
for line in sys.stdin:
    try:
        print(json.dumps({"value": eval(line)}), flush=True)
    except ProcessExecutionError as error:
        print(json.dumps({"exit_code": error.exit_code, "stderr": error.stderr}), flush=True)
made.files_context.stop()
"""


class Service:
    """A process of its own with the package, and its daemon."""

    def __init__(self, folder: Path) -> None:
        several = (
            template("touch", value("path"), guard="not size"),
            template("truncate", "-s", value("size"), value("path"), guard="size"),
        )
        conversion = converted(
            RULES,
            call("chmod", "640", value("path")),
            call("rm", "-f", each("paths", value("each"))),
            call("chmod", "777", word("/srv/", value("name"))),
            call("chmod", when("quiet", "-f"), "711", value("path")),
            call("tee", value("path"), process_input="data"),
            site(*several, words="cmd"),
            package="made",
        )
        (folder / "made").mkdir()
        for name, text in conversion.texts.items():
            (folder / "made" / name).write_text(text)
        self._process = subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            cwd=folder,
            env={"PYTHONPATH": f"{PROJECT}:{folder}", "PATH": "/usr/bin:/bin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, expression: str) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{expression}\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        self._process.communicate(timeout=30)


def test_entrypoints_of_calls_do_their_work_and_nothing_else(tmp_path: Path) -> None:
    service = Service(tmp_path)
    done = {"value": ["", ""]}
    path = tmp_path / "file"
    path.write_text("x")
    path.chmod(0o600)
    try:
        assert service.ask(f"files.chmod_640({str(path)!r})") == done
        assert path.stat().st_mode & 0o777 == 0o640
        assert service.ask(f"files.chmod_711({str(path)!r}, quiet=True)") == done
        assert path.stat().st_mode & 0o777 == 0o711
        assert service.ask("files.chmod_640('-R')")["exit_code"] == 99
        assert service.ask("files.chmod_777('../etc/shadow')")["exit_code"] == 99
        assert service.ask(f"files.tee({str(path)!r}, stdin='new')") == {"value": ["new", ""]}
        assert path.read_text() == "new"

        run = "files.touch_or_truncate"
        assert service.ask(f"{run}(['truncate', '-s', '7', {str(path)!r}])") == done
        assert path.stat().st_size == 7
        other = tmp_path / "other"
        assert service.ask(f"{run}(['touch', {str(other)!r}])") == done
        assert other.exists()
        for words in (["touch", "-d", "now", str(path)], ["rm", str(path)], ["truncate"], []):
            assert service.ask(f"{run}({words!r})")["exit_code"] == 99
        assert service.ask(f"files.rm(({str(path)!r}, {str(other)!r}))") == done
        assert not path.exists()
        assert not other.exists()
    finally:
        service.close()
