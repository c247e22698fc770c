"""neutron's own code drives the shim: its execute() through sudo, and its daemon client."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import oslo_rootwrap
import pytest

from privmigrate.shim.script import render_client
from tests.conftest import SERVICES

pytestmark = pytest.mark.root

PROJECT = Path(__file__).resolve().parent.parent.parent
PYTHON = SERVICES / "venv/bin/python"
USER = "nobody"
# neutron imports libraries for messaging and reports, which take no part in executing; its client
# of the daemon is oslo.rootwrap's, from our own environment where its own has none.
SOURCE = """
import importlib.machinery, sys
from unittest import mock
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("oslo_messaging", "oslo_reports"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
    def create_module(self, spec):
        return mock.MagicMock(__path__=[], __spec__=spec)
    def exec_module(self, module):
        pass
sys.meta_path.insert(0, Absent())
sys.path.append(sys.argv[3])
from oslo_config import cfg
from neutron.conf.agent import common
from neutron.agent.linux import utils
common.register_root_helper(cfg.CONF)
cfg.CONF.set_override("root_helper", sys.argv[1], "AGENT")
cfg.CONF.set_override("root_helper_daemon", sys.argv[2] or None, "AGENT")
print(repr(utils.execute(["id", "-u"], run_as_root=True)))
print(repr(utils.execute(["cat"], process_input="typed", run_as_root=True)))
for words in (["reboot"], ["missing"], ["id", "nobody-has-this-name"]):
    try:
        utils.execute(words, run_as_root=True, log_fail_as_error=False)
    except Exception as error:
        print(type(error).__name__, getattr(error, "returncode", None))
"""


@pytest.fixture
def service() -> Iterator[Path]:
    """Both commands, a configuration, and sudo for a user who is not root."""
    folder = Path(tempfile.mkdtemp(prefix="privmigrate-service-", dir="/opt"))
    folder.chmod(0o755)
    (folder / "rootwrap.d").mkdir()
    (folder / "rootwrap.d" / "a.filters").write_text(
        "[Filters]\nid: CommandFilter, id, root\ncat: CommandFilter, cat, root\n"
        "missing: CommandFilter, /nowhere/missing, root\n"
    )
    config = folder / "rootwrap.conf"
    config.write_text(
        f"[DEFAULT]\nfilters_path={folder}/rootwrap.d\nexec_dirs=/usr/bin,/bin\n"
        "use_syslog=True\ndaemon_timeout=5\n"
    )
    for name, module in (("slow", "rootwrap_main"), ("x-daemon", "rootwrap_daemon_main")):
        path = folder / name
        path.write_text(
            f"#!{sys.executable}\nimport sys; sys.path.insert(0, {str(PROJECT)!r})\n"
            f"from privmigrate.shim.{module} import main; sys.exit(main())\n"
        )
        path.chmod(0o755)
    client = folder / "x-rootwrap"
    words = [sys.executable, "-I", str(folder / "slow"), "--as"]
    client.write_text(render_client(os.path.realpath(sys.executable), words, "for a test"))
    client.chmod(0o755)
    sudoers = Path("/etc/sudoers.d/privmigrate-services-test")
    sudoers.write_text(
        f"{USER} ALL = (root) NOPASSWD: {client} {config} *, {folder}/x-daemon {config}\n"
    )
    sudoers.chmod(0o440)
    yield folder
    sudoers.unlink()
    shutil.rmtree(folder)


@pytest.mark.skipif(not PYTHON.exists(), reason="no real services: run tools/services_venv")
@pytest.mark.parametrize("daemon", [False, True])
def test_neutron_executes(service: Path, daemon: bool) -> None:  # noqa: FBT001 - a parameter
    config = service / "rootwrap.conf"
    helper = f"sudo -n {service}/x-daemon {config}" if daemon else ""
    one_shot = f"sudo -n {service}/x-rootwrap {config}"
    packages = str(Path(oslo_rootwrap.__file__).parent.parent)
    done = subprocess.run(
        [PYTHON, "-W", "ignore", "-c", SOURCE, one_shot, helper, packages],
        capture_output=True,
        text=True,
        check=False,
        user=USER,
        extra_groups=[],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )
    assert done.stdout.splitlines() == [
        "'0\\n'",
        "'typed'",
        "ProcessExecutionError 99",
        "ProcessExecutionError 96",
        "ProcessExecutionError 1",
    ], done.stderr
