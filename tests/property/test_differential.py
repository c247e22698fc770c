"""Our reading of rootwrap is the installed oslo.rootwrap's; strict mode is a part of it.

tools/differential.py has the comparison and the long run; here Hypothesis makes the choices, and
shrinks what it finds.
"""

import logging
import os
import re
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from privmigrate.rootwrap.command import Allowed, Mode
from privmigrate.rootwrap.parse import read_filters
from tools import differential
from tools.made_filters import World, make_argv, make_file, make_text, make_world

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The folder and the world are shared between examples on purpose: each example writes its files.
CHECKS = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)


def many(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, suppress_health_check=CHECKS)


choices = st.randoms(use_true_random=False)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with make_world() as made:
        yield made


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PATH", PATH)
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def check(pair: differential.Pair, argv: tuple[str, ...], path: str | None = None) -> None:
    if pair.short:
        argv = tuple(word[: differential.SHORT] for word in argv)
    assert differential.compare(pair, argv, path) == []
    assert differential.compare_filters(pair, argv) == []


@many(1200)
@given(random=choices)
def test_made_filters_decide_as_oslo_rootwrap(world: World, tmp_path: Path, random: Random) -> None:
    (tmp_path / "one.filters").write_text(make_text(random, world))
    pair = differential.load_pair(str(tmp_path), world.exec_dirs)
    if pair is None:
        return
    for _ in range(6):
        path = random.choice((None, None, *world.path_variables))
        check(pair, make_argv(random, world, pair.policy.rules), path)


@many(500)
@given(number=st.integers(0, 10_000), random=choices)
def test_real_filters_decide_as_oslo_rootwrap(
    world: World, tmp_path: Path, real_filters: list[Path], number: int, random: Random
) -> None:
    source = real_filters[number % len(real_filters)]
    shutil.copy(source, tmp_path / "real.filters")
    pair = differential.load_pair(str(tmp_path), (*world.exec_dirs, "/usr/bin"))
    if pair is None:
        return
    for _ in range(4):
        check(pair, make_argv(random, world, pair.policy.rules))


@many(600)
@given(
    argv=st.lists(st.text(max_size=6) | st.sampled_from(("env", "ls", "A=1", "ip", "nice"))),
    random=choices,
)
@example(argv=[], random=Random(1))
@example(argv=[""], random=Random(1))
@example(argv=["env"], random=Random(1))
@example(argv=["env", "env", "env", "A=1", "ls"], random=Random(1))
def test_any_argv_is_decided_as_by_oslo_rootwrap(
    world: World, tmp_path: Path, argv: list[str], random: Random
) -> None:
    (tmp_path / "one.filters").write_text(make_text(random, world))
    if pair := differential.load_pair(str(tmp_path), world.exec_dirs):
        check(pair, tuple(argv))


@many(1000)
@given(random=choices)
def test_made_files_are_read_as_by_configparser(tmp_path: Path, random: Random) -> None:
    assert differential.compare_file(make_file(random), tmp_path / "one.filters") == []


@many(600)
@given(lines=st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=20)))
@example(lines=["a:b", "\u2028c"])
@example(lines=["a:b", " ;c", "\x1fd", "", "e"])
def test_any_text_is_read_as_by_configparser(tmp_path: Path, lines: list[str]) -> None:
    data = "\n".join(["[Filters]", *lines]).encode()
    assert differential.compare_file(data, tmp_path / "one.filters") == []


def test_every_real_file_is_read_as_by_configparser(
    tmp_path: Path, real_filters: list[Path]
) -> None:
    for source in real_filters:
        assert differential.compare_file(source.read_bytes(), tmp_path / "one.filters") == []


def test_all_real_filters_together_decide_as_oslo_rootwrap(
    world: World, tmp_path: Path, real_filters: list[Path]
) -> None:
    """Thousands of filters behind one index, each asked for by an argv of its own."""
    for number, source in enumerate(real_filters):
        if not read_filters(str(source)).errors:
            shutil.copy(source, tmp_path / f"{number:04}.filters")
    pair = differential.load_pair(str(tmp_path), (*world.exec_dirs, "/usr/bin"))
    assert pair is not None
    assert len(pair.asked) > len(real_filters)
    random = Random(5)
    allowed = 0
    for _ in range(300):
        argv = make_argv(random, world, pair.policy.rules)
        argv = tuple(word[: differential.SHORT] for word in argv)
        assert differential.compare(pair, argv) == []
        allowed += isinstance(pair.policy.decide(argv, Mode.EXACT), Allowed)
    assert allowed > 10


def test_the_long_run_counts_what_it_compares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = differential.run(400, 7, pytest.fail)
    assert done.wrong == 0
    for kind in ("exact Allowed", "exact Denied", "exact NotExecutable", "strict Allowed"):
        assert done.outcomes[kind] > 10, done.outcomes
    assert os.environ["PATH"] == "/nowhere"
    assert done.outcomes["files"] == 400 // differential.DECISIONS_PER_FILE


def test_a_wrong_index_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison itself: without the word with a newline behind, runs differ."""
    index = "privmigrate.rootwrap.index.Index.candidates"
    found: list[str] = []
    monkeypatch.setattr(index, lambda self, argv: self.about([w.rstrip("\n") for w in argv[:1]]))
    differential.run(400, 7, found.append)
    assert any(re.match("DIFFERENT: exact", line) for line in found)
