"""Run real services' own unit tests before and after they are rewritten: a table of docs/rewrite.md.

    python -m tools.rewrite_unittests [--cache DIR] [--all] [PROJECT ...]

Each project is installed with what its tests need, from tools/unittests/PROJECT.txt, into an
environment of its own in DIR: some hundred packages, once. Its package is then copied twice; one
copy is converted and rewritten as tools/rewrite_sources.py does it. In both run the tests of the
modules that changed: the test files that name one of them, and those that the rewriting changed.
Nothing that a test executes has privilege, and no daemon is ever started: as root, tests run as
nobody, and always with no_new_privs. Needs setpriv of util-linux, and .cache as tools/setup makes
it; python-prctl comes from .cache/wheelhouse.

Tests that fail only after are run again in a third way, in which an entrypoint makes the call that
it took the place of; those that pass then fail because they mock an executor that nothing calls
any more.
"""

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tools.modules import PACKAGE, PROJECT
from tools.rewrite_sources import CACHE, SOURCES, Rewritten, rewrite_copy

LISTS: Final = PROJECT / "tools" / "unittests"
RUNNER: Final = LISTS / "run_tests.py"
NOBODY: Final = 65534
LONGEST: Final = 1500
# Tests that need a service, a database or root of their own.
_ELSEWHERE: Final = frozenset({"functional", "fullstack", "integrated", "compliance", "tempest"})


@dataclass(frozen=True, slots=True)
class Ended:
    """How one test ended.

    Attributes:
        outcome: passed, failed, skipped; or started, if it never ended.
        text: the traceback, or why it was skipped.
        reached: the entrypoints that it called, and what was found out about each call.
    """

    outcome: str
    text: str = ""
    reached: Sequence[Mapping[str, Any]] = ()


# -- which tests


def module_of(path: Path) -> str:
    """The dotted name of a module, from its path within the folder of its top-level package."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_test(path: Path) -> bool:
    """Whether a file has unit tests."""
    folders = set(path.parts[:-1])
    return path.name.startswith("test_") and "tests" in folders and not folders & _ELSEWHERE


def mentions(text: str, module: str) -> bool:
    """Whether a file imports a module, or has its dotted name."""
    package, _, last = module.rpartition(".")
    if re.search(rf"\b{re.escape(module)}\b", text):
        return True
    imported = rf"from {re.escape(package)} import \(?[^()\n]*\b{re.escape(last)}\b"
    return re.search(imported, text) is not None


def tests_of(root: Path, package: str, changed: Iterable[Path]) -> list[Path]:
    """The test files below `root` that changed, or that mention a module which changed."""
    files = set(changed)
    modules = sorted(module_of(path) for path in files if "tests" not in path.parts)
    found = []
    for path in sorted((root / package).rglob("test_*.py")):
        name = path.relative_to(root)
        if not is_test(name):
            continue
        text = path.read_text("utf-8", "replace")
        if name in files or any(mentions(text, module) for module in modules):
            found.append(name)
    return found


# -- what the calls were


def facts_of(root: Path, before: Path, done: Rewritten) -> list[dict[str, object]]:
    """For each call that was replaced: where it is now, and how to make the call before.

    The functions come from the tests that compare each call with the one before it.
    """
    functions = dict(_old_functions(root / "proofs"))
    facts: list[dict[str, object]] = []
    for name in sorted({each["file"] for each in done.told["rewritten"]}):
        calls = [each for each in done.told["rewritten"] if each["file"] == name]
        tree = ast.parse((root / name).read_text())
        gone = "\n".join(_lost_imports(ast.parse((before / name).read_text()), tree))
        taken: Counter[str] = Counter()
        places = _places(tree)
        for number, each in enumerate(calls):
            key = ast.dump(ast.parse(each["after"], mode="eval").body)
            at = places.get(key, [])[taken[key] : taken[key] + 1]
            taken[key] += 1
            function = functions.get((name, each["line"], number))
            if not at or function is None:
                print(f"{name}:{each['line']}: not found again", file=sys.stderr)
                continue
            call = ast.parse(each["before"], mode="eval").body
            facts.append({
                "file": name,
                "first": at[0][0],
                "last": at[0][1],
                "function": function,
                "executor": ast.unparse(call.func) if isinstance(call, ast.Call) else "",
                "imports": gone,
            })  # fmt: skip
    return facts


def _old_functions(folder: Path) -> Iterator[tuple[tuple[str, int, int], str]]:
    for path in sorted(folder.glob("test_*.py")):
        tree = ast.parse(path.read_text())
        name = (ast.get_docstring(tree) or "").removeprefix("Calls of ").partition(" ")[0]
        for test in tree.body:
            if isinstance(test, ast.FunctionDef) and isinstance(test.body[0], ast.FunctionDef):
                _, _, line, number = test.name.split("_")
                yield (name, int(line), int(number)), ast.unparse(test.body[0])


def _places(tree: ast.Module) -> dict[str, list[tuple[int, int]]]:
    places: dict[str, list[tuple[int, int]]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            place = (node.lineno, node.end_lineno or node.lineno)
            places.setdefault(ast.dump(node), []).append(place)
    return {key: sorted(found) for key, found in places.items()}


def _lost_imports(before: ast.Module, after: ast.Module) -> Iterator[str]:
    stays = {ast.unparse(node) for node in after.body}
    for node in before.body:
        if isinstance(node, ast.Import | ast.ImportFrom) and ast.unparse(node) not in stays:
            yield ast.unparse(node)


# -- running them


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
        raise SystemExit(f"{words}: exit code {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}")
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
        command = [
            "setpriv", "--no-new-privs",
            *(("--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups") if is_root() else ()),
            self.python, self.scratch / RUNNER.name, "--results", results, *options, *chosen, *modules,
        ]  # fmt: skip
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


def read_results(path: Path) -> dict[str, Ended]:
    """What the runner wrote, one line per event; nothing where it did not even start."""
    found: dict[str, Ended] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        each = json.loads(line)
        if each["outcome"] != "done":
            found[each["test"]] = Ended(
                each["outcome"], each.get("text", ""), each.get("reached", ())
            )
    return found


# -- what came of it


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of one project's tests.

    Attributes:
        files: how many test files were run.
        before, after: how every test ended.
        causes: why a test that passed before does not any more.
        noted: what entrypoints would have refused, or executed otherwise than the calls before.
    """

    files: int
    before: Mapping[str, Ended]
    after: Mapping[str, Ended]
    causes: Mapping[str, str]
    noted: Mapping[str, int] = field(default_factory=dict)

    def count(self, ended: Mapping[str, Ended], outcome: str) -> int:
        """How many tests ended so."""
        return sum(each.outcome == outcome for each in ended.values())


def worse(before: Mapping[str, Ended], after: Mapping[str, Ended]) -> list[str]:
    """The tests that passed before and do not any more."""
    gone = Ended("missing")
    return sorted(
        test
        for test, ended in before.items()
        if ended.outcome == "passed" and after.get(test, gone).outcome != "passed"
    )


MOCKS: Final = "it mocks an executor that is not called any more"
MOVED: Final = "it was moved, and fails"
UNSTEADY: Final = "it does not always pass before either"
OTHER: Final = "other"


def cause_of(test: str, old: Ended | None, again: Ended | None, moved: bool) -> str:
    """Why a test fails that passed before.

    `old` is how it ends where entrypoints make the calls before, `again` how it ends in the
    untouched copy when it is run once more; `moved` says whether its file was rewritten.
    """
    if again is None or again.outcome != "passed":
        return UNSTEADY
    if old is not None and old.outcome == "passed" and old.reached:
        return MOCKS
    if moved and not (old is not None and old.reached):
        return MOVED
    return OTHER


def noted_in(ended: Iterable[Ended]) -> Counter[str]:
    """What is to be told of calls that reached an entrypoint."""
    found: Counter[str] = Counter()
    for each in ended:
        for note in each.reached:
            for kind in ("refused", "differs", "lost"):
                if kind in note:
                    found[f"{kind}: {note['entrypoint']}: {note[kind]}"] += 1
    return found


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
        moved = {module_of(path) for path in done.changed}
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
        test: cause_of(
            test, third.get(test), fourth.get(test), any(test.startswith(f"{each}.") for each in moved)
        )
        for test in failed
    }
    (cache / name / "results.json").write_text(json.dumps({
        run: {t: [e.outcome, e.text, list(e.reached)] for t, e in found.items()}
        for run, found in (("before", first), ("after", second), ("old", third), ("again", fourth))
    }, indent=1))
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
        details += [f"{name}: {test}: {cause}" for test, cause in sorted(found.causes.items()) if cause != MOCKS]
        details += [f"{name}: {count} times {text}" for text, count in sorted(found.noted.items())]
    print()
    print("\n".join(details))
    return 0


if __name__ == "__main__":
    sys.exit(main())
