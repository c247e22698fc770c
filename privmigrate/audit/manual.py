"""The manual pages of the rules: their docstrings, with their examples."""

import textwrap
from collections.abc import Iterable, Iterator

from privmigrate.audit.engine import AuditRule
from privmigrate.examples import Finds

_FAMILIES = {
    "0": "The audit itself",
    "1": "What commands can do",
    "2": "Patterns",
    "3": "Entries that do not do what they say",
    "4": "rootwrap.conf, and who can change what it stands on",
    "5": "sudoers",
    "6": "Privsep modules",
}


def page_of(rule: AuditRule) -> str:
    """The page of one rule for a terminal."""
    body = rule.page.partition("\n")[2].strip()
    lines = [f"{rule.code} {rule.name} ({rule.level})", "", f"{rule.title}.", "", body]
    for example in rule.examples:
        found = isinstance(example, Finds)
        lines += ["", f"{'found' if found else 'not found'}, {example.name}:"]
        lines.append(textwrap.indent(example.source.rstrip("\n"), "    "))
        if isinstance(example, Finds):
            lines.append(f"  {example.place}: {example.message}")
    return "\n".join(lines)


def manual(rules: Iterable[AuditRule]) -> Iterator[str]:
    """All pages as one Markdown document."""
    yield "# Audit rules"
    yield ""
    yield (
        "What `privmigrate audit` looks for. This page is written by `tools/audit_rules.py` from"
        " the rules themselves; the examples are their tests. `privmigrate audit --explain RULE`"
        " prints one of them."
    )
    family = ""
    for rule in rules:
        if rule.code[2] != family:
            family = rule.code[2]
            yield from ("", f"## {_FAMILIES[family]}")
        yield from ("", f"### {rule.code}: {rule.title}", "")
        yield f"`{rule.name}`, {rule.level}."
        yield ""
        yield rule.page.partition("\n")[2].strip().replace("``", "`")
        for example in rule.examples:
            yield ""
            if isinstance(example, Finds):
                yield f"Found ({example.name}), at {example.place}: {_code(example.message)}"
            else:
                yield f"Not found ({example.name}):"
            yield from ("", "```text", example.source.rstrip("\n"), "```")


def _code(text: str) -> str:
    """Text between as many backquotes as it takes."""
    mark = "``" if "`" in text else "`"
    return f"{mark}{text}{mark}"
