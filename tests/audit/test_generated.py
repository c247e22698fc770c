"""Generated code as convert writes it from call sites: what callers choose of it is understood."""

import pytest

from privmigrate.audit.engine import all_ways, load_rules
from privmigrate.audit.modules import read_module
from privmigrate.audit.score import NARROW, score
from tests.audit.illustration import illustrate
from tests.audit.test_modules import shown

HEAD = """\
from typing import Annotated, Literal
from privmigrate.privsep import ExecResult, Executable, command, natives, run
from privmigrate.privsep.lines import CommandLines, Words, hole, line, optional, parts_of, repeated
from privmigrate.privsep.types import Any, Digits, Key, Matches, Operand, PathWithin, Word
"""
NAMES = "".join(
    f'{name.upper()} = Executable("{name}", dirs=("/bin",))\n'
    for name in ("ip", "lvs", "mkdir", "mkfs", "pvs", "x")
)
RULES = load_rules()


def source(parameters: str, call: str) -> str:
    before = "    given = parts_of(words)\n" if "given." in call else ""
    return (
        f"{HEAD}{NAMES}@files_context.entrypoint\n@command(capabilities=())\n"
        f"def f({parameters}) -> ExecResult:\n{before}    return {call}\n"
    )


def rows(parameters: str, call: str) -> list[list[str]]:
    module = read_module(source(parameters, call), "m.py")
    assert module is not None
    return [shown(execution) for execution in module.entrypoints[0].executions]


def found(parameters: str, call: str) -> set[str]:
    evidence = illustrate(source(parameters, call))
    return {rule.code for rule in RULES if list(rule.check(evidence))}


@pytest.mark.parametrize(
    ("parameters", "call", "expected"),
    [
        (
            "n: Operand | None = None",
            'run(X, "add", *(("netns", n) if n is not None else ()))',
            [["x", "add", "netns", "..."], ["x", "add"]],
        ),
        (
            "p: bool = False, *, path: Operand",
            'natives.do(MKDIR, *(("-p",) if p else ()), path)',
            [["mkdir", "-p", "..."], ["mkdir", "..."]],
        ),
        (
            'o: tuple[Annotated[str, Matches("[a-z]+")], ...], n: Operand',
            'run(IP, *(f"-{item}" for item in o), "link", n)',
            [["ip", "-...", "-...", "-...", "link", "..."]],
        ),
        (
            "o: tuple[Operand, ...], n: Operand",
            'run(X, "create", *(word for item in o for word in ("-o", item)), n)',
            [["x", "create", "-o", "...", "..."]],
        ),
        ("names: tuple[Operand, ...]", "run(X, *names)", [["x", "...", "...", "..."]]),
        ("size: Word", 'run(X, "-L", f"{size}G")', [["x", "-L", "...G"]]),
        (
            'words: Annotated[Words, CommandLines(line("lvs", "-a", hole("vg", Operand)))]',
            "run(LVS, *words[1:])",
            [["lvs", "-a", "..."]],
        ),
        (
            (
                "words: Annotated[Words, CommandLines(\n"
                '    line("mkfs", optional("part", "-F"), hole("p", Any(operand=True))),\n'
                '    line("mkfs", repeated("items", "-o", hole("o", Operand))),\n'
                ")]"
            ),
            "run(MKFS, *words[1:])",
            [["mkfs", "-F", "..."], ["mkfs", "..."], ["mkfs", "-o", "..."]],
        ),
        (
            (
                "words: Annotated[Words, CommandLines(\n"
                '    line("lvs", "-a"), line("pvs", hole("p", Operand)))]'
            ),
            'run({"lvs": LVS, "pvs": PVS}[str(words[0])], *words[1:])',
            [["lvs", "-a"], ["pvs", "..."]],
        ),
        (
            (
                "words: Annotated[Words, CommandLines(\n"
                '    line("env", "A=1", optional("b", hole("b", Key("B=", Any()))), "lvs", "-a"),\n'
                '    line("pvs", hole("p", Operand)))]'
            ),
            'run({"lvs": LVS, "pvs": PVS}[given.command], *given.args, env=given.env)',
            [["lvs", "-a"], ["lvs", "-a"], ["pvs", "..."]],
        ),
    ],
)
def test_the_words_of_a_form(parameters: str, call: str, expected: list[list[str]]) -> None:
    assert rows(parameters, call) == expected
    assert found(parameters, call).isdisjoint({"PM601", "PM602", "PM606", "PM607", "PM616"})


def test_what_is_open_in_a_form_is_found() -> None:
    lines = 'words: Annotated[Words, CommandLines(line("mkfs", hole("path", {})))]'
    operand = lines.format("Any(operand=True, newline=False)")
    assert "PM115" in found(operand, "run(MKFS, *words[1:])")
    anything = lines.format("Any(newline=False)")
    assert "PM616" in found(anything, "run(MKFS, *words[1:])")
    held = lines.format('Matches("/dev/vg/[a-z]+")')
    assert found(held, "run(MKFS, *words[1:])").isdisjoint({"PM115", "PM616"})
    assert "PM105" in found("path: Operand", "natives.do(MKDIR, path)")
    within = 'path: Annotated[str, PathWithin("/srv/x")]'
    assert "PM105" not in found(within, 'natives.do(MKDIR, path, within="/srv/x")')
    assert "PM602" in found("words: list", "run(X, *words[1:])")
    assert "PM601" in found("words: list", "run(*words)")


def test_text_around_a_hole_is_no_option() -> None:
    assert "PM616" in found("a: Annotated[str, Any()]", 'run(X, "-L", f"{a}G")')
    assert "PM616" not in found("a: Word", 'run(X, "-L", f"{a}G")')
    assert "PM616" not in found("a: Annotated[str, Any()]", 'run(X, f"--name={a}")')
    assert "PM616" not in found("a: Word, b: Annotated[str, Any()]", 'run(X, f"{a}:{b}")')
    assert "PM616" in found("a: Annotated[str, Any()], b: Word", 'run(X, f"{a}{b}")')


def test_a_subcommand_is_not_what_stands_elsewhere() -> None:
    """``ip netns exec`` runs a program only where nothing stands between its words."""
    typed = 'run(IP, "netns", "exec", n, "ip", "tuntap", "add", name)'
    assert "PM114" not in found("n: Operand, name: Operand", typed)
    for front in ("", '"-o", ', '"-n", n, '):
        call = f'run(IP, {front}"netns", "exec", n, name)'
        assert "PM114" in found("n: Operand, name: Operand", call)
    behind = 'run(IP, "link", "show", "netns", "exec", n, name)'
    assert "PM114" not in found("n: Operand, name: Operand", behind)


def test_an_option_and_its_value_stand_together() -> None:
    held = """run(LVS, "--config", "global{}", name)"""
    assert "PM115" not in found("name: Operand", held)
    assert "PM115" in found("name: Operand", 'run(LVS, "-a", name, "--config", name)')


def test_one_call_is_one_finding_whatever_may_be_left_out() -> None:
    call = 'natives.do(MKDIR, *(("-p",) if p else ()), path)'
    evidence = illustrate(source("path: Operand, p: bool = False", call))
    (rule,) = (rule for rule in RULES if rule.code == "PM105")
    assert len(list(rule.check(evidence))) == 1


def test_narrow_forms_are_worth_little() -> None:
    parameters = 'words: Annotated[Words, CommandLines(line("lvs", "-a", hole("vg", Operand)))]'
    text = source(parameters, "run(LVS, *words[1:])")
    assert score(illustrate(text), all_ways()).total == NARROW
