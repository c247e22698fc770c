"""The page of the rules and the goldens are what the rules make now."""

from privmigrate.audit.engine import load_rules
from tools import audit_rules


def test_they_are_up_to_date() -> None:
    assert audit_rules.main(["--check"]) == 0


def test_every_rule_has_its_heading() -> None:
    page = dict(audit_rules.outputs())[audit_rules.PAGE]
    for rule in load_rules():
        assert f"### {rule.code}: {rule.title}\n" in page
