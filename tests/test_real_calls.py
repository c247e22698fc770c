"""What real services' call sites make of the filters that they ship."""

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.argv import template as argv
from privmigrate.argv.spec import ArgSpec, Choice, Matches
from privmigrate.argv.word import value_test
from privmigrate.convert import Options, convert
from privmigrate.convert.operation import Fate, Kind, Op, Param, Width
from privmigrate.convert.report_calls import call_counts, wide_counts
from privmigrate.convert.use import Form, Why
from tests.convert.packages import (
    EXEC_DIRS,
    NOTHING,
    Judge,
    arguments_of,
    command_of,
    imported,
    plan,
)
from tests.real import SOURCES, sites_of
from tools.fetch_sources import RELEASES
from tools.measure_callsites import Measured, converted, every_command, measure

# (release, share of direct calls that get a typed entrypoint, and any), measured when written
COVERED = (("cinder", 0.85, 0.96), ("glance_store", 0.7, 0.7), ("manila", 0.82, 0.84))
PROJECTS = tuple(name for name, _, _ in COVERED)


@pytest.fixture(scope="module")
def measured() -> dict[str, Measured]:
    folders = {each.project: SOURCES / f"{each.project}-{each.version}" for each in RELEASES}
    found = {
        project: measure(folders[project], sites_of(folders[project] / project))
        for project in PROJECTS
        if folders[project].is_dir()
    }
    if len(found) < len(PROJECTS):
        pytest.skip("no real sources: run tools/fetch_sources.py")
    return found


@pytest.mark.parametrize("project", PROJECTS)
def test_no_entrypoint_takes_free_arguments_unless_a_place_is_named(
    measured: dict[str, Measured], project: str
) -> None:
    conversion = measured[project].conversion
    for op in conversion.ops:
        if op.rest is not None:
            assert not op.calls
            assert op.width is Width.WIDE
            assert re.match(r"stays as wide as it is: \S+\.py:\d+ ", op.remarks[0])
            continue
        for line in op.templates:
            assert isinstance(line.segments[0], argv.Lit)
    for name, text in conversion.texts.items():
        if name.endswith(".py"):
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef):
                    wide = any(op.name == node.name and op.rest for op in conversion.ops)
                    assert node.args.kwarg is None
                    assert node.args.vararg is None or wide


@pytest.mark.parametrize("project", PROJECTS)
def test_every_filter_is_accounted_for(measured: dict[str, Measured], project: str) -> None:
    """Unused, replaced by narrow entrypoints, or listed with the reason."""
    found = measured[project]
    places = {(rule.span.file, rule.span.line) for rule in found.rules}
    assert {(row.source.file, row.source.line) for row in found.rows} == places
    for row in found.rows:
        if row.fate is Fate.ENTRYPOINT:
            assert row.calls or row.remarks
        elif row.fate is not Fate.PREFIX:
            assert row.remarks
    number = wide_counts(found.conversion.wide, found.rows)
    assert number["wide filters"] == number["replaced"] + number["unused"] + number["stay wide"]
    assert number["stay wide"] <= 3
    assert number["replaced"] > number["stay wide"]


@pytest.mark.parametrize("project", PROJECTS)
def test_every_call_is_accounted_for(measured: dict[str, Measured], project: str) -> None:
    found = measured[project]
    conversion = found.conversion
    places = [use.site.span for use in conversion.uses]
    places += [each.site.span for each in conversion.unlinked]
    # what a wrapper's own call is given is its callers', but for what no filter allows of it
    covered = {site.span for site in found.findings.sites if site.covered}
    assert sorted(covered | {*places}) == sorted(site.span for site in found.findings.sites)
    assert len(places) == len({*places})
    own = [use.site for use in conversion.uses if use.site.given is not None]
    assert bool(own) == bool(covered - {*places})
    for each in conversion.unlinked:
        assert each.text
        assert each.why is not Why.UNRESOLVED or each.site.reasons


@pytest.mark.parametrize(("project", "typed", "either"), COVERED)
def test_entrypoints_can_take_the_place_of_most_direct_calls(
    measured: dict[str, Measured], project: str, typed: float, either: float
) -> None:
    sites = measured[project].findings.sites
    conversion = converted(every_command(sites), sites)
    forms = {id(use.site): use.form for use in conversion.uses}
    direct = [forms.get(id(site)) for site in sites if site.direct]
    assert direct.count(Form.TYPED) >= typed * len(direct)
    assert len(direct) - direct.count(None) >= either * len(direct)
    assert call_counts(conversion.uses, conversion.unlinked)["calls"] > 0


SAMPLES: tuple[str, ...] = (
    "/a/source_snap", "/a/dest_share", "a", "/a", "1", "/dev/x", "a/b", "10.0.0.1", "a:b",
    "x,password=y,domain=z", "a@b", "1G", "rm -f /a/*.conf", "echo 'a' > /a",
)  # fmt: skip


def samples(param: Param) -> Iterator[object]:
    """Values that a parameter may accept, None among them where it may be left out."""
    if param.optional:
        yield None
    if param.kind is Kind.FLAG:
        yield from (True, False)
        return
    words = SAMPLES
    if isinstance(param.spec, Choice):
        words = param.spec.values
    elif param.spec is not None:
        test = value_test(param.spec)
        words = (*SAMPLES, *_of_pattern(param.spec))
        words = tuple(word for word in words if test(word) is None)[:2]
    if param.kind is Kind.ITEMS:
        yield from (words, ())
    else:
        yield from words


def _of_pattern(spec: ArgSpec) -> Iterator[str]:
    """A word of a plain pattern, such as conversion makes."""
    if isinstance(spec, Matches):
        text = re.sub(r"\(\?!-\)|\(\?:|\)|\\(?!n)|\$\Z", "", spec.pattern)
        yield re.sub(r"(\.|\[\^[^]]*\])[*+]", "a", text)


def test_rootwrap_allows_what_manilas_entrypoints_run(
    measured: dict[str, Measured], tmp_path: Path
) -> None:
    found = measured["manila"]
    options = Options(package="manila_calls", exec_dirs=EXEC_DIRS)
    conversion = convert(found.rules, options, NOTHING, found.findings.sites)
    judge = Judge.of(found.rules, conversion)
    ran = set()
    with imported(conversion, "manila_calls", tmp_path):
        for op in conversion.ops:
            if op.templates or op.native:
                continue
            for values in itertools.islice(itertools.product(*map(_list, op.params)), 30):
                positional, named = arguments_of(op, values, ())
                planned = plan(command_of("manila_calls", op), positional, named)
                if planned is not None:
                    ran.add(op.key)
                    assert judge.why_not(op, planned, "", ()) == ""
    typed = {op.key for op in conversion.ops if not op.templates and not op.native}
    assert _names(conversion.ops, typed - ran) == []


def _list(param: Param) -> list[object]:
    return list(samples(param))


def _names(ops: tuple[Op, ...], keys: set[str]) -> list[str]:
    return [op.name for op in ops if op.key in keys]
