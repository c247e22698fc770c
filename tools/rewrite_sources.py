"""Rewrite real services, and say how it went: the figures of docs/rewrite.md.

    python -m tools.rewrite_sources [PROJECT ...]

Each project is copied from .cache/sources, converted with its own call sites, rewritten, and
rewritten again; every file that changed is compiled, ruff's default rules are compared with
before, and the tests that compare each call with the one before it are run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

PROJECT: Final = Path(__file__).resolve().parent.parent
CACHE: Final = PROJECT / ".cache"
# Folder in .cache/sources, package, and where the filters are: nova's wheel of that time has none,
# and what os-brick runs is allowed by the filters of those who use it.
SOURCES: Final = {
    "manila": ("manila-23.0.1", "manila", ("filters/manila-23.0.1",)),
    "cinder": ("cinder-29.0.0", "cinder", ("filters/cinder-29.0.0",)),
    "neutron": ("neutron-29.0.0", "neutron", ("filters/neutron-29.0.0", "filters/neutron-10.0.7")),
    "os-brick": (
        "os-brick-7.1.1",
        "os_brick",
        ("filters/os-brick-7.1.1", "filters/cinder-12.0.10", "filters/nova-17.0.13"),
    ),
    "glance_store": ("glance_store-5.7.0", "glance_store", ("filters/glance_store-5.7.0",)),
    "nova": ("nova-15.1.5", "nova", ("filters/nova-17.0.13",)),
}
_PASSED: Final = re.compile(r"(\d+) passed")
_FAILED: Final = re.compile(r"^FAILED (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of one project.

    Attributes:
        summary: the figures that the command prints.
        left: how many calls stay, by reason.
        proven, unproven: of the tests that compare calls, how many passed, and which failed.
        broken: files that do not compile any more.
        findings: what ruff finds that it did not find before.
        again: what a second run would change.
    """

    summary: dict[str, int]
    left: Counter[str]
    proven: int
    unproven: tuple[str, ...]
    broken: tuple[str, ...]
    findings: tuple[tuple[str, str, str], ...]
    again: int


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A copy of a project in which calls were replaced.

    Attributes:
        told: what `rewrite --json` says.
        changed: the files that are not what they were.
        command: how the same would be done again, without its options.
    """

    told: dict[str, Any]
    changed: tuple[Path, ...]
    command: tuple[str, ...]


def rewrite_copy(name: str, source: Path, work: Path) -> Rewritten:
    """Copy a project's package from `source` to `work`, convert with its calls, replace these."""
    _, package, where = SOURCES[name]
    shutil.copytree(source / package, work / package, dirs_exist_ok=True)
    filters = [str(path) for each in where for path in (CACHE / each).rglob("rootwrap.d")]
    given = [word for path in filters for word in ("--filters", path)]
    # some have a package of that name already
    taken = (source / package / "privileged").exists()
    to = f"{package}.{'entrypoints' if taken else 'privileged'}"
    command = ("rewrite", package, "--to", to, *given)
    with chdir(work):
        run("convert", *filters, "--callsites", package, "--package", to)
        before = {path: path.read_bytes() for path in Path(package).rglob("*.py")}
        told = json.loads(run(*command, "--prove", "proofs", "--json"))
        changed = tuple(path for path in sorted(before) if path.read_bytes() != before[path])
    return Rewritten(told, changed, command)


def rewritten(name: str, work: Path) -> Measured:
    """Rewrite a copy of a project in `work`."""
    source = CACHE / "sources" / SOURCES[name][0]
    done = rewrite_copy(name, source, work)
    with chdir(work):
        again = json.loads(run(*done.command, "--check", "--json"))
        proven, unproven = prove() if done.changed else (0, ())
        findings = lint(work, done.changed) - lint(source, done.changed)
    return Measured(
        done.told["summary"],
        Counter(each["code"] for each in done.told["left"]),
        proven,
        unproven,
        tuple(str(path) for path in done.changed if not compiles(work / path)),
        tuple(findings.elements()),
        len(again["rewritten"]) + len(again["tests"]),
    )


def run(*words: str) -> str:
    """Run a command of ours; findings are no failure."""
    done = subprocess.run(
        [sys.executable, "-m", "privmigrate", *words], capture_output=True, text=True, check=False
    )
    # an error that nobody expected ends with 1 too
    if done.returncode not in {0, 1, 3} or "Traceback (most recent call last)" in done.stderr:
        raise SystemExit(f"privmigrate {' '.join(words)}: {done.stderr}")
    return done.stdout


def compiles(path: Path) -> bool:
    """Whether it is still Python."""
    with warnings.catch_warnings(action="ignore"):
        try:
            compile(path.read_bytes(), str(path), "exec")
        except (SyntaxError, ValueError):
            return False
    return True


def lint(root: Path, files: Sequence[Path]) -> Counter[tuple[str, str, str]]:
    """What ruff's default rules find: file, code, message."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--output-format=json", *files],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout or "[]")
    return Counter(
        (str(Path(each["filename"]).relative_to(root)), each["code"], each["message"])
        for each in found
    )


def prove() -> tuple[int, tuple[str, ...]]:
    """Run the tests that compare calls."""
    path = f"{PROJECT}{os.pathsep}."
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no", "proofs"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    passed = _PASSED.search(done.stdout)
    return int(passed.group(1)) if passed else 0, tuple(_FAILED.findall(done.stdout))


def main() -> int:
    """Print a table, and everything that is not as it should be."""
    names = sys.argv[1:] or list(SOURCES)
    print("| project | calls | typed | checked | through wrappers | left | proven | moved |"
          " forwarded | left |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    problems = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            found = rewritten(name, Path(folder))
        row = found.summary
        done = row["typed"] + row["checked"] + row["through"]
        cells = (name, row["sites"], row["typed"], row["checked"])
        through = f"{row['through']}, {row['wrappers']}" if row["wrappers"] else "0"
        more = (
            through,
            row["left"],
            f"{found.proven} of {done}",
            row["assertions"],
            row["assertions_forwarded"],
            row["assertions_left"],
        )
        print("|", " | ".join(map(str, (*cells, *more))), "|", flush=True)
        reasons = ", ".join(f"{count} {code}" for code, count in found.left.most_common())
        problems.append(f"{name}: left: {reasons}")
        problems += [f"{name}: not proven: {each}" for each in found.unproven]
        problems += [f"{name}: does not compile: {each}" for each in found.broken]
        problems += [f"{name}: ruff: {each}" for each in found.findings]
        if found.again:
            problems.append(f"{name}: a second run would change {found.again} places")
    print()
    print("\n".join(problems))
    return 0


if __name__ == "__main__":
    sys.exit(main())
