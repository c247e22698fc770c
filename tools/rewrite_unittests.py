"""Run real services' own unit tests before and after they are rewritten, for docs/rewrite.md.

    python -m tools.rewrite_unittests [--cache DIR] [PROJECT ...]

Without PROJECT, all that have a list. Each project is installed with what its tests need, from
tools/unittests/PROJECT.txt, into an environment of its own in DIR: some hundred packages, once. Its
package is then copied twice; one copy is converted and rewritten as tools/rewrite_sources.py does
it. In both run the tests of the modules that changed: the test files that name one of them, and
those that the rewriting changed. Nothing that a test executes has privilege, and no daemon is ever
started: as root, tests run as nobody, and always with no_new_privs. DIR has to be where nobody may
go. Needs setpriv of util-linux, and .cache as tools/setup makes it; python-prctl comes from there.

Tests that fail only after are run again in a third way, in which an entrypoint makes the call that
it took the place of; those that pass then fail because they mock an executor that nothing calls
any more. DIR/PROJECT/results.json has how every test ended.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.modules import PACKAGE, PROJECT
from tools.rewrite_sources import CACHE, SOURCES, rewrite_copy
from tools.unittests.choose import facts_of, is_test, module_of, tests_of
from tools.unittests.outcomes import (
    MOCKS,
    Compared,
    Ended,
    cause_of,
    last_line,
    noted_in,
    read_results,
    worse,
)

LISTS: Final = PROJECT / "tools" / "unittests"
RUNNER: Final = LISTS / "run_tests.py"
NOBODY: Final = 65534
LONGEST: Final = 1500


def make_environment(name: str, cache: Path) -> Path:
    """The Python of an environment that has exactly what its list says."""
    listed = LISTS / f"{name}.txt"
    folder = cache / name / "venv"
    python = folder / "bin" / "python"
    stamp = cache / name / "stamp"
    base = getattr(sys, "_base_executable", sys.executable)
    wanted = f"{base} {sys.version}\n{listed.read_text()}"
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    say(f"{name}: installing {listed.relative_to(PROJECT)}")
    execute(base, "-m", "venv", folder)
    pip = (python, "-m", "pip", "install", "--quiet", "--no-deps")
    house = ("--find-links", CACHE / "wheelhouse", "--prefer-binary")
    execute(*pip, *house, "--requirement", listed)
    stamp.write_text(wanted)
    return python


def say(text: str) -> None:
    """Tell a person what takes so long."""
    print(text, file=sys.stderr, flush=True)


def execute(*command: str | Path) -> str:
    """Run a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        words = " ".join(map(str, command))
        raise SystemExit(
            f"{words}: exit code {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}"
        )
    return done.stdout


@dataclass(frozen=True, slots=True)
class Copies:
    """A project before and after, and who runs its tests."""

    python: Path
    before: Path
    after: Path
    scratch: Path

    def run(
        self, where: Path, modules: Sequence[str], *options: str | Path, only: Iterable[str] = ()
    ) -> dict[str, Ended]:
        """Run the tests of these modules, or only some of these."""
        listed = self.scratch / "only"
        results = self.scratch / "results"
        results.unlink(missing_ok=True)
        chosen: tuple[str | Path, ...] = ()
        if only := sorted(only):
            listed.write_text("\n".join(only))
            chosen = ("--only", listed)
        nobody = ("--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
        command = [
            *("setpriv", "--no-new-privs", *(nobody if is_root() else ())),
            *(self.python, self.scratch / RUNNER.name, "--results", results),
            *(*options, *chosen, *modules),
        ]
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.scratch),
            "TMPDIR": str(self.scratch),
            "LANG": "C.UTF-8",
            "OS_TEST_TIMEOUT": "60",
            "OS_STDOUT_CAPTURE": "1",
            "OS_STDERR_CAPTURE": "1",
            "OS_LOG_CAPTURE": "1",
        }
        with (self.scratch / "output").open("wb") as output:
            try:
                subprocess.run(
                    command, cwd=where, env=environment, stdin=subprocess.DEVNULL,
                    stdout=output, stderr=output, timeout=LONGEST, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                say(f"the tests in {where} did not end in {LONGEST} s")
        return read_results(results)


def is_root() -> bool:
    """Whether tests have to run as someone else."""
    return os.geteuid() == 0


def compare(name: str, cache: Path) -> Compared:
    """Run a project's tests before and after."""
    python = make_environment(name, cache)
    (site,) = (cache / name / "venv" / "lib").glob("python3.*/site-packages")
    package = SOURCES[name][1]
    with tempfile.TemporaryDirectory(dir=cache / name) as folder:
        before, after, scratch = (Path(folder, each) for each in ("before", "after", "scratch"))
        scratch.mkdir()
        say(f"{name}: rewriting a copy")
        done = rewrite_copy(name, site, after)
        shutil.copytree(site / package, before / package)
        shutil.copytree(PACKAGE, after / PACKAGE.name)
        facts = scratch / "facts"
        facts.write_text(json.dumps(facts_of(after, before, done)))
        for each in (RUNNER, LISTS / "bridge.py"):
            shutil.copy(each, scratch)
        if is_root():
            execute("chown", "--recursive", f"{NOBODY}:{NOBODY}", folder)
        files = tests_of(after, package, done.changed)
        modules = [module_of(path) for path in files]
        moved = tuple(f"{module_of(path)}." for path in done.changed if is_test(path))
        copies = Copies(python, before, after, scratch)
        say(f"{name}: {len(files)} test files before")
        first = copies.run(before, modules)
        say(f"{name}: after")
        second = copies.run(after, modules, "--entrypoints", "none")
        failed = worse(first, second)
        reaching = {test for test, ended in second.items() if ended.reached}
        say(f"{name}: {len(failed)} again, with the calls before")
        options = ("--entrypoints", "old", "--facts", facts)
        third = copies.run(after, modules, *options, only={*failed, *reaching})
        say(f"{name}: before, again")
        fourth = copies.run(before, modules, only=failed) if failed else {}
    causes = {
        test: cause_of(third.get(test), fourth.get(test), moved=test.startswith(moved))
        for test in failed
    }
    runs = {"before": first, "after": second, "old": third, "again": fourth}
    rows = {
        run: {test: [each.outcome, each.text, list(each.reached)] for test, each in ended.items()}
        for run, ended in runs.items()
    }
    (cache / name / "results.json").write_text(json.dumps(rows))
    return Compared(len(files), first, second, causes, noted_in(third.values()))


def main() -> int:
    """Print a table, and every test that fails only after."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cache", type=Path, default=Path("/var/tmp/privmigrate-unittests"))
    parser.add_argument("projects", nargs="*", metavar="PROJECT")
    given = parser.parse_args()
    names = given.projects or [path.stem for path in sorted(LISTS.glob("*.txt"))]
    given.cache.mkdir(parents=True, exist_ok=True)
    given.cache.chmod(0o755)
    details = []
    print("| project | test files | tests | pass before | pass after | fail only after |")
    print("|---|---|---|---|---|---|", flush=True)
    for name in names:
        found = compare(name, given.cache)
        passed = [found.count(each, "passed") for each in (found.before, found.after)]
        row = (name, found.files, len(found.before), *passed, len(found.causes))
        print("|", " | ".join(map(str, row)), "|", flush=True)
        counts = Counter(found.causes.values())
        details += [f"{name}: {count} because {cause}" for cause, count in counts.most_common()]
        details += [
            f"{name}: {test}: {cause}: {last_line(found.after[test])}"
            for test, cause in sorted(found.causes.items())
            if cause != MOCKS
        ]
        details += [f"{name}: {text}" for text in found.noted]
    print()
    print("\n".join(details))
    return 0


if __name__ == "__main__":
    sys.exit(main())
