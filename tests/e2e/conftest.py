"""A service as it is after a migration: installed, converted, and run by its own user.

Everything comes from the wheel; the source tree is not importable for what is tested here.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.asking import ask
from tools import stage as staging

HERE: Final = Path(__file__).resolve().parent
USER: Final = f"pm-e2e-{os.getpid()}"
MODULES: Final = "volume,network,process,probe,common"
# What an attacker would put into the environment of the service, in vain.
EVIL: Final = {
    "LD_LIBRARY_PATH": "/evil",
    "PYTHONPATH": "/evil",
    "BASH_ENV": "/evil",
    "PM_EVIL": "1",
}
EXEC_DIRS: Final = "/sbin,/usr/sbin,/bin,/usr/bin"


class Driver:
    """A running process of the service, which evaluates what tests ask it to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, expression: str) -> dict[str, Any]:
        """Evaluate an expression there: its value under ``value``, or what was raised."""
        return ask(self.process, expression)

    def value(self, expression: str) -> Any:
        """Evaluate an expression that must not raise."""
        answer = self.ask(expression)
        if "value" not in answer:
            raise AssertionError(f"{expression}: {answer}")
        return answer["value"]

    def close(self) -> str:
        """End the process; what it wrote to stderr."""
        _, err = self.process.communicate(timeout=30)
        return err


@dataclass(frozen=True, slots=True)
class Service:
    """The staged service with both of its converted packages."""

    stage: staging.Stage
    table: str

    def driver(self, way: str, package: str, *configuration: str) -> Driver:
        """Start a process of the service."""
        script = self.stage.root / "driver.py"
        command = [str(self.stage.python), str(script), way, package, MODULES, *configuration]
        if way == "fork":
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd="/",
                env={"PATH": staging.PATH, "LANG": "C.UTF-8", **EVIL},
            )
        else:
            process = self.stage.start(*command, **EVIL)
        return Driver(process)


def write_rootwrap(stage: staging.Stage) -> Path:
    """Install the sample's filters and the tests' own below the stage; the rootwrap.conf."""
    rootwrap = stage.root / "rootwrap.d"
    libexec = stage.root / "libexec"
    shutil.copytree(staging.SAMPLE / "rootwrap.d", rootwrap)
    shutil.copy(HERE / "rootwrap.d" / "probe.filters", rootwrap)
    shutil.copytree(HERE / "libexec", libexec)
    shutil.copy(HERE / "driver.py", stage.root)
    config = stage.root / "rootwrap.conf"
    config.write_text(f"[DEFAULT]\nfilters_path={rootwrap}\nexec_dirs={libexec},{EXEC_DIRS}\n")
    return config


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    with (
        staging.sample_folders(),
        staging.stage(USER, "oslo.privsep", "oslo.concurrency") as stage,
    ):
        config = write_rootwrap(stage)
        needs = ("--capabilities", HERE / "capabilities.toml")
        table = stage.convert(config, *needs)
        shutil.copy(HERE / "loaded.py", stage.site_packages / "privileged")
        stage.convert(config, *needs, "--runtime", "oslo", "--package", "privileged_oslo")
        ours = r"(--config-file /etc/sample/[a-z]+\.conf )?--privsep_context privileged\.[a-z_]+"
        rules = staging.helper_rules(USER, stage.helper, ours)
        theirs = rules.replace("privmigrate-helper", "privsep-helper")
        theirs = theirs.replace(r"privileged\.", r"privileged_oslo\.").partition("\n")[2]
        with staging.sudoers(USER, rules + theirs):
            yield Service(stage, table)


@pytest.fixture(scope="session", params=["sudo", "fork", "oslo-sudo"])
def driver(request: pytest.FixtureRequest, service: Service) -> Iterator[Driver]:
    """The service under our runtime, started by sudo and by fork, and under oslo.privsep."""
    package = "privileged_oslo" if request.param.startswith("oslo") else "privileged"
    running = service.driver(request.param.removeprefix("oslo-"), package)
    yield running
    running.close()


@pytest.fixture
def ours(service: Service) -> Iterator[Driver]:
    """A service of its own under our runtime, with daemons started by sudo."""
    running = service.driver("sudo", "privileged")
    yield running
    running.close()
