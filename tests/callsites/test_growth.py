"""Twice as much source is about twice as much work: counted in function calls, not in seconds."""

import cProfile
import pstats
from collections.abc import Callable
from pathlib import Path

import pytest

from privmigrate.callsites import Settings, find_sites
from privmigrate.cli import main

TWICE = 2.6  # what is cached, and what is done once for all, makes it less or more than two


def _calls(work: Callable[[], object]) -> int:
    """How many function calls it takes."""
    profile = cProfile.Profile()
    profile.enable()
    work()
    profile.disable()
    return int(getattr(pstats.Stats(profile), "total_calls"))  # noqa: B009 - typeshed lacks it


def _one_function(count: int) -> str:
    lines = [f"    execute('chmod', '{n % 8}77', path, run_as_root=True)" for n in range(count)]
    return "\n".join(["def f(path):", *lines])


def _one_name(count: int) -> str:
    lines = [
        f"    cmd = ['chmod']\n    cmd.append('{n % 8}77')\n    if path:\n        cmd += [path]\n"
        "    execute(*cmd, run_as_root=True)"
        for n in range(count)
    ]
    return "\n".join(["def f(path):", *lines])


def _own_lists(count: int) -> str:
    lines = [
        f"    cmd{n} = ['chmod', '{n % 8}77']\n    cmd{n} += [path]\n"
        f"    out{n}, err{n} = execute(*cmd{n}, run_as_root=True)"
        for n in range(count)
    ]
    return "\n".join(["def f(path):", *lines])


def _functions(count: int) -> str:
    return "\n".join(
        f"def f{n}(path):\n    execute('chmod', '{n % 8}77', path, run_as_root=True)"
        for n in range(count)
    )


def _chain_of_classes(count: int) -> str:
    return "\n".join(
        f"class C{n}({f'C{n - 1}' if n else ''}):\n    def f{n}(self, path):\n"
        f"        self._execute('chmod', '{n % 8}77', path, run_as_root=True)"
        for n in range(count)
    )


def _heirs(count: int) -> str:
    head = (
        "class Base:\n    def __init__(self, execute=execute):\n        self._execute = execute\n"
    )
    return head + "\n".join(
        f"class C{n}(Base):\n    CMD = ['chmod']\n    def f{n}(self, path):\n"
        f"        self._execute(*self.CMD, '{n % 8}77', path, run_as_root=True)"
        for n in range(count)
    )


SHAPES = [_one_function, _one_name, _own_lists, _functions, _chain_of_classes, _heirs]
HEAD = "from oslo_concurrency.processutils import execute\n"


@pytest.mark.parametrize("shape", SHAPES)
def test_sites_are_found_in_time_that_grows_with_the_source(
    shape: Callable[[int], str], tmp_path: Path
) -> None:
    counts = []
    for count in (100, 200):
        path = tmp_path / f"m{count}.py"
        path.write_text(HEAD + shape(count))
        counts.append(_calls(lambda path=path: find_sites([str(path)], Settings())))  # type: ignore[misc]
    assert counts[1] < TWICE * counts[0]


@pytest.mark.parametrize("shape", [_one_function, _one_name, _functions])
def test_calls_are_rewritten_in_time_that_grows_with_the_source(
    shape: Callable[[int], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rules = tmp_path / "rules.filters"
    rules.write_text("[Filters]\nchmod: CommandFilter, chmod, root\n")
    counts = []
    for count in (100, 200):
        folder = tmp_path / f"of{count}"
        (folder / "svc").mkdir(parents=True)
        (folder / "svc" / "__init__.py").touch()
        (folder / "svc" / "m.py").write_text(HEAD + shape(count))
        monkeypatch.chdir(folder)
        main(["convert", str(rules), "--callsites", "svc", "--package", "svc.privileged"])
        words = ["rewrite", "svc", "--to", "svc.privileged", "--filters", str(rules)]
        counts.append(_calls(lambda words=words: main(words)))  # type: ignore[misc]
        assert f"{count} of {count} calls" in capsys.readouterr().out
    assert counts[1] < TWICE * counts[0]
