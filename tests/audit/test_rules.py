"""Every audit rule does what its page says: its examples are run here, and the set is complete."""

import types

import pytest

from privmigrate.audit import engine
from privmigrate.audit.engine import AuditRule, load_rules
from privmigrate.errors import InternalError
from privmigrate.examples import Clean, Finds
from tests.audit.illustration import illustrate, place_of

RULES = load_rules()
EXAMPLES = [
    pytest.param(rule, example, id=f"{rule.code}-{example.name}")
    for rule in RULES
    for example in rule.examples
]
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)


@pytest.mark.parametrize(("rule", "example"), EXAMPLES)
def test_the_example_is_true(rule: AuditRule, example: Finds | Clean) -> None:
    source = example.source
    prefix = "" if place_of(source) == "/" else f"{place_of(source)}:"
    found = [
        (str(one.span).removeprefix(prefix), one.message) for one in rule.check(illustrate(source))
    ]
    if isinstance(example, Finds):
        assert (example.place, example.message) in found
    else:
        assert found == []


@each_rule
def test_every_rule_shows_both_sides(rule: AuditRule) -> None:
    assert {type(example) for example in rule.examples} == {Finds, Clean}
    names = [example.name for example in rule.examples]
    assert len(set(names)) == len(names)


@each_rule
def test_every_page_says_why_and_what_to_do_instead(rule: AuditRule) -> None:
    assert "Instead:" in rule.page
    assert len(rule.title) < 80
    assert not rule.title.endswith(".")


@each_rule
def test_every_way_is_found_by_its_rule(rule: AuditRule) -> None:
    """A way that no shape can take would be a claim that nobody checks."""
    for way in rule.ways:
        for program in way.programs.split():
            evidence = illustrate(f"[Filters]\nx: CommandFilter, {program}, root\n")
            assert way.fit(evidence.runnables[0]) is not None
            assert [one.message for one in rule.check(evidence)]


def test_there_are_enough_of_them() -> None:
    assert len(RULES) >= 40


def test_evidence_that_shows_nothing_gives_no_finding() -> None:
    empty = illustrate("[Filters]\n")
    assert [rule.code for rule in RULES if list(rule.check(empty))] == []


def test_a_rule_that_does_not_load_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> types.ModuleType:
        raise SyntaxError(name)

    monkeypatch.setattr("privmigrate.audit.engine.importlib.import_module", broken)
    with pytest.raises(InternalError, match=r"the audit rule \w+ does not load: SyntaxError"):
        load_rules.__wrapped__()


def test_a_rule_without_code_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("x", "A title.\n")
    module.__dict__.update(CODE="X1", LEVEL=1, EXAMPLES=(), check=lambda _: ())
    monkeypatch.setattr("privmigrate.audit.engine.importlib.import_module", lambda _: module)
    with pytest.raises(InternalError, match="needs a CODE such as PM101"):
        load_rules.__wrapped__()


def test_two_rules_of_one_code_fail_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("x", "A title.\n")
    module.__dict__.update(CODE="PM999", LEVEL=1, EXAMPLES=(), check=lambda _: ())
    monkeypatch.setattr("privmigrate.audit.engine.importlib.import_module", lambda _: module)
    with pytest.raises(InternalError, match="are both PM999"):
        load_rules.__wrapped__()


def test_a_rule_that_fails_on_its_evidence_fails_the_run() -> None:
    rule = AuditRule("PM999", "x", RULES[0].level, "A title", "", lambda _: 1 / 0, (), ())  # type: ignore[arg-type, return-value]
    with pytest.raises(InternalError, match=r"the audit rule x \(PM999\) failed: ZeroDivision"):
        engine.judge(illustrate("[Filters]\n"), rules=[rule])
