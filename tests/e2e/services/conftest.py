"""Real services from PyPI under three arrangements: on our runtime, as they are, and between.

* ``ours``: ``oslo_privsep`` is privmigrate.privsep, in the service and in the daemon;
* ``mixed``: the service has oslo.privsep unchanged and only names our helper;
* ``oslo``: oslo.privsep and its helper; what the other two are compared with.

All of them run as an unprivileged user who may start the helpers through sudo, and nothing else.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conftest import SERVICES
from tests.e2e.asking import ask
from tools import stage as staging

HERE: Final = Path(__file__).resolve().parent
USER: Final = f"pm-svc-{os.getpid()}"
CONTEXTS: Final = (
    r"os_brick\.privileged\.[a-z_]+",
    r"nova\.privsep\.sys_admin_pctxt",
    r"neutron\.privileged\.[a-z_]+",
)
MODULES: Final = (
    "os_brick.privileged.rootwrap",
    "os_brick.privileged.scaleio",
    "nova.privsep.path",
    "nova.privsep.fs",
    "neutron.privileged.agent.linux.ip_lib",
    "neutron.privileged.agent.linux.utils",
)


@dataclass(frozen=True, slots=True)
class Installed:
    """The services, once with oslo.privsep and once with ours in its place."""

    stage: staging.Stage
    redirected: Path

    def start(self, arrangement: str) -> "Service":
        """Start a service process."""
        python, helper = {
            "ours": (self.redirected, "default"),
            "mixed": (self.stage.python, f"sudo {self.stage.helper}"),
            "oslo": (self.stage.python, "default"),
        }[arrangement]
        folder = self.stage.root / "files" / arrangement
        folder.mkdir(parents=True)
        driver = self.stage.root / "driver.py"
        process = self.stage.start(python, "-W", "ignore", driver, helper, *MODULES)
        return Service(arrangement, folder, process)


@dataclass(frozen=True, slots=True)
class Service:
    """A running service process, and a folder of root's for it to work on."""

    arrangement: str
    folder: Path
    process: subprocess.Popen[str]

    def ask(self, expression: str) -> dict[str, Any]:
        """Evaluate an expression there: its value under ``value``, or what was raised."""
        return ask(self.process, expression)


def make_redirected(stage: staging.Stage) -> Path:
    """An environment on top of the stage's in which oslo.privsep's name means our runtime."""
    folder = stage.root / "redirected"
    staging.execute(stage.python.resolve(), "-m", "venv", "--without-pip", folder)
    (packages,) = (folder / "lib").glob("python3.*/site-packages")
    shutil.copy(HERE / "redirect.py", packages / "oslo_privsep_is_ours.py")
    (packages / "oslo_privsep_is_ours.pth").write_text(
        f"import site; site.addsitedir({str(stage.site_packages)!r})\nimport oslo_privsep_is_ours\n"
    )
    helper = folder / "bin" / "privmigrate-helper"
    shebang, _, rest = stage.helper.read_text().partition("\n")
    assert shebang == f"#!{stage.python}"
    helper.write_text(f"#!{folder / 'bin' / 'python'}\n{rest}")
    helper.chmod(0o755)
    return folder / "bin" / "python"


@pytest.fixture(scope="session")
def installed() -> Iterator[Installed]:
    if not (SERVICES / "stamp").exists():
        pytest.skip("no services: run tools/services_venv as root")
    with staging.stage(USER, "oslo.privsep", "oslo.concurrency") as stage:
        (theirs,) = (SERVICES / "venv" / "lib").glob("python3.*/site-packages")
        (stage.site_packages / "services.pth").write_text(f"{theirs}\n")
        redirected = make_redirected(stage)
        shutil.copy(HERE / "driver.py", stage.root)
        helpers = (
            stage.helper,
            redirected.with_name("privmigrate-helper"),
            stage.python.with_name("privsep-helper"),
        )
        words = [rf"--privsep_context {context}" for context in CONTEXTS]
        rules = [staging.helper_rules(USER, helper, *words) for helper in helpers]
        # one secure_path for all: the helpers' default names are found there
        folders = f"{redirected.parent}:{stage.python.parent}:{staging.PATH}"
        first = f'Defaults:{USER} secure_path="{folders}"\n'
        rules = [first, *(rule.partition("\n")[2] for rule in rules)]
        with staging.sudoers(USER, "".join(rules)):
            yield Installed(stage, redirected)


@pytest.fixture(scope="session")
def services(installed: Installed) -> Iterator[dict[str, Service]]:
    """One process for each arrangement."""
    running = {name: installed.start(name) for name in ("ours", "mixed", "oslo")}
    yield running
    for service in running.values():
        service.process.communicate(timeout=30)
