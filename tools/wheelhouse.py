"""Collect the wheels that an empty environment needs to run privmigrate, without a network.

Usage: wheelhouse.py FOLDER. The versions are those of the running environment, so that what is
tested there is what is tested here.
"""

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).resolve().parent.parent
# Not dependencies of ours: the runtime that we are compared with, and the callers' library.
COMPANIONS = ("oslo.privsep", "oslo.concurrency")


def installed_closure(names: list[str]) -> dict[str, str]:
    """Name and version of every distribution that `names` need in this environment."""
    found: dict[str, str] = {}
    todo = list(names)
    while todo:
        name = todo.pop()
        if name.lower() in found:
            continue
        distribution = importlib.metadata.distribution(name)
        found[name.lower()] = distribution.version
        for text in distribution.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                todo.append(requirement.name)
    return found


def main(folder: str) -> int:
    """Build or download the wheels into `folder`."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    names = [Requirement(text).name for text in project["dependencies"]]
    pins = [
        f"{name}=={version}" for name, version in installed_closure([*names, *COMPANIONS]).items()
    ]
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder]
    return subprocess.run([*command, *sorted(pins)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
