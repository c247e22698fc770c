"""What importing us costs and does, seen in fresh interpreters."""

import json
import subprocess
import sys
from typing import Final

import pytest

from tools.modules import PROJECT, load_modules

# Too heavy, or not there, where commands are run as root and in services' processes.
HEAVY: Final = (
    "libcst",
    "oslo_config",
    "oslo_log",
    "oslo_rootwrap",
    "oslo_privsep",
    "yaml",
    "argparse",
)

BLOCK: Final = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is not installed", name=name)
sys.meta_path.insert(0, Absent())
"""

WATCH: Final = """
import importlib, json, os, sys
sys.dont_write_bytecode = True
seen = []
QUIET = {"open", "os.listdir", "os.scandir"}
def watch(event, arguments):
    if event == "open":
        path = os.fsdecode(arguments[0]) if isinstance(arguments[0], (str, bytes)) else "?"
        if not path.endswith((".py", ".pyc", ".so")) and ".pyc." not in path:
            seen.append(f"open {path}")
    elif event.startswith(("subprocess", "socket.", "os.", "shutil", "tempfile")):
        if event not in QUIET:
            seen.append(f"{event} {arguments!r}")
for name in THIRD_PARTY:
    try:
        importlib.import_module(name)
    except ImportError:
        pass
sys.addaudithook(watch)
for name in NAMES:
    importlib.import_module(name)
print(json.dumps(seen))
"""


def python(source: str, **constants: object) -> str:
    """Run `source` in a fresh interpreter, after assignments of `constants`."""
    head = "".join(f"{name} = {value!r}\n" for name, value in constants.items())
    done = subprocess.run(
        [sys.executable, "-c", head + source],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(statement: str) -> set[str]:
    """Names of the top-level modules that a fresh interpreter has after `statement`."""
    report = (
        "import json, sys; print(json.dumps(sorted({n.partition('.')[0] for n in sys.modules})))"
    )
    return set(json.loads(python(f"{statement}\n{report}")))


@pytest.mark.parametrize("name", ["privmigrate.privsep", "privmigrate.privsep.types"])
def test_a_service_that_imports_the_runtime_gets_nothing_heavy(name: str) -> None:
    assert loaded_by(f"import {name}") & set(HEAVY) == set()


def test_the_helper_loads_nothing_heavy_before_it_has_read_its_arguments() -> None:
    heavy = set(HEAVY) - {"argparse"}
    assert loaded_by("import privmigrate.privsep.daemon.main") & heavy == set()


def test_a_daemon_of_plain_functions_loads_no_more_of_the_standard_library_than_it_needs() -> None:
    """What is not needed by every daemon costs each of them memory and time at its start."""
    needed = "import privmigrate.privsep.daemon.main, privmigrate.privsep.priv_context"
    dear = {"asyncio", "dataclasses", "inspect", "random", "subprocess"}
    assert loaded_by(needed) & dear == set()
    assert loaded_by("import dataclasses") & dear == {"dataclasses", "inspect"}


def test_everything_that_may_run_as_root_imports_where_what_is_optional_is_missing() -> None:
    names = [module.name for module in load_modules() if module.trusted]
    python(BLOCK + "import importlib\nfor name in NAMES: importlib.import_module(name)",
           BLOCKED=["libcst", "pyroute2"], NAMES=names)  # fmt: skip


def test_importing_does_nothing_but_load_code() -> None:
    """No file is read, no process started, no socket made: that is left to calls."""
    names = [module.name for module in load_modules() if module.file != "__main__.py"]
    third_party = ["prctl", "msgpack", "libcst", "oslo_config.cfg", "oslo_rootwrap.filters",
                   "oslo_rootwrap.wrapper", "ctypes", "logging.handlers", "pyroute2"]  # fmt: skip
    assert json.loads(python(WATCH, NAMES=names, THIRD_PARTY=third_party)) == []


def test_the_import_watch_sees_what_it_looks_for() -> None:
    """The test above can fail: a module that reads a file at import is seen."""
    source = WATCH.replace(
        "for name in NAMES:", "open('/etc/hostname').close()\nfor name in NAMES:"
    )
    assert json.loads(python(source, NAMES=[], THIRD_PARTY=[])) == ["open /etc/hostname"]
