"""Lists are taken as callers have built them, where only the list says what it is going to be."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from privmigrate.argv import template as argv
from privmigrate.argv.spec import Any, Key
from privmigrate.callsites import find_sites
from privmigrate.callsites.site import Reason, Site, Value
from privmigrate.convert.use import Form, Use, Why
from privmigrate.errors import Refused
from tests.convert.packages import Judge, command_of, imported, rules_of
from tests.convert.sites import converted, site, template, value, word

RULES = """
lvs: EnvFilter, env, root, LC_ALL=C, lvs
lvs2: EnvFilter, env, root, LC_ALL=C, LVM_SYSTEM_DIR=, lvs
lvs3: EnvFilter, env, root, LC_ALL=C, FD=, lvs
lvs4: EnvFilter, env, root, LC_ALL=C, LVM_SYSTEM_DIR=, FD=, lvs
pvs: EnvFilter, env, root, LC_ALL=C, pvs
plain: CommandFilter, lvs, root
"""
FOLDER = value("folder", movable=False)
ENVIRONMENTS: tuple[Mapping[str, str | Value], ...] = (
    {"LC_ALL": "C"},
    {"LC_ALL": "C", "LVM_SYSTEM_DIR": FOLDER},
    {"LC_ALL": "C", "FD": "1"},
    {"LC_ALL": "C", "LVM_SYSTEM_DIR": FOLDER, "FD": "1"},
)


def call(*environments: Mapping[str, str | Value], command: str = "lvs", line: int = 1) -> Site:
    """A call whose variables depend on what a constant is by then."""
    shapes = [template(command, value("vg"), env=each) for each in environments]
    return site(*shapes, reasons=[Reason.REASSIGNED], built="cmd", line=line)


def use_of(rules: str, *sites: Site) -> Use:
    (use,) = converted(rules, *sites).uses
    return use


def test_every_combination_is_one_line_with_optional_variables() -> None:
    use = use_of(RULES, call(*ENVIRONMENTS))
    assert use.form is Form.CHECKED
    assert use.as_built
    assert [(each.name, each.source) for each in use.arguments] == [("words", "cmd")]
    (line,) = use.op.lines
    operand = Any(operand=True, newline=False)
    variable = argv.Hole("lvm_system_dir", Key("LVM_SYSTEM_DIR=", Any(newline=False)))
    assert line.segments == (
        argv.Lit("env"),
        argv.Lit("LC_ALL=C"),
        argv.Opt("with_lvm_system_dir", (variable,)),
        argv.Opt("with_fd", (argv.Lit("FD=1"),)),
        argv.Lit("lvs"),
        argv.Hole("vg", operand),
    )


def test_some_combinations_are_lines_of_their_own() -> None:
    use = use_of(RULES, call(*ENVIRONMENTS[:3]))
    assert len(use.op.lines) == 3
    assert not any(isinstance(each, argv.Opt) for line in use.op.lines for each in line.segments)


def test_a_combination_that_no_filter_allows_is_not_accepted() -> None:
    fewer = "\n".join(line for line in RULES.splitlines() if not line.startswith("lvs4"))
    assert len(use_of(fewer, call(*ENVIRONMENTS)).op.lines) == 3


@pytest.mark.parametrize(
    ("words", "env"),
    [
        (("env", "LC_ALL=C", "lvs", "vg"), {"LC_ALL": "C"}),
        (
            ("env", "LC_ALL=C", "LVM_SYSTEM_DIR=/etc", "FD=1", "lvs", "vg"),
            {"LC_ALL": "C", "LVM_SYSTEM_DIR": "/etc", "FD": "1"},
        ),
        (("env", "LC_ALL=C", "pvs", "vg"), {"LC_ALL": "C"}),
        (("lvs", "vg"), None),
        (("env", "lvs", "vg"), None),
        (("env", "LC_ALL=de", "lvs", "vg"), None),
        (("env", "LC_ALL=C", "FD=2", "lvs", "vg"), None),
        (("env", "LC_ALL=C", "LD_PRELOAD=/x", "lvs", "vg"), None),
        (("env", "LC_ALL=C", "FD=1", "LVM_SYSTEM_DIR=/etc", "lvs", "vg"), None),
        (("env", "LC_ALL=C", "LC_ALL=C", "lvs", "vg"), None),
        (("env", "LC_ALL=C", "FD=1", "pvs", "vg"), None),
        (("/usr/bin/env", "LC_ALL=C", "lvs", "vg"), None),
        (("env", "-i", "LC_ALL=C", "lvs", "vg"), None),
        (("env", "LC_ALL=C", "LVM_SYSTEM_DIR=a\nb", "lvs", "vg"), None),
        (("env", "LC_ALL=C", "lvs", "vg", "-x"), None),
        (("env", "LC_ALL=C"), None),
        (("env",), None),
        ((), None),
    ],
)
def test_what_it_accepts_is_run_with_its_variables(
    words: tuple[str, ...], env: dict[str, str] | None, tmp_path: Path
) -> None:
    sites = [call(*ENVIRONMENTS), call(ENVIRONMENTS[0], command="pvs", line=2)]
    both = replace(sites[0], templates=(*sites[0].templates, *sites[1].templates))
    package = f"built{abs(hash(words))}"
    conversion = converted(RULES, both, package=package)
    (use,) = conversion.uses
    with imported(conversion, package, tmp_path):
        command = command_of(package, use.op)
        if env is None:
            with pytest.raises(Refused):
                command.plan(words)
            return
        (planned,) = command.plan(words)
        judge = Judge.of(rules_of(RULES), conversion)
        assert judge.why_not(use.op, planned, "", ()) == ""
    assert dict(planned.env) == env
    assert planned.argv[0].rpartition("/")[2] == words[-2]
    assert planned.argv[1:] == words[-1:]


@pytest.mark.parametrize(
    "change",
    [
        {"list_source": ""},
        {"templates": (replace(call(ENVIRONMENTS[0]).templates[0], front=()),)},
        {"templates": (template("lvs", value("vg"), env={"LC_ALL": "C"}, prefix=["nice"]),)},
        {"templates": (template("env", "lvs"),)},
        {"templates": (template("x=y", "lvs"),)},
        {
            "templates": (
                replace(
                    call(ENVIRONMENTS[0]).templates[0],
                    front=(word("/bin/env"), word("LC_ALL=C")),
                ),
            )
        },
        {
            "templates": (
                replace(
                    call(ENVIRONMENTS[0]).templates[0],
                    front=(word("env"), word("LC_ALL=C"), word("LC_ALL=C")),
                ),
            )
        },
    ],
)
def test_other_things_in_front_stay(change: dict[str, object]) -> None:
    rules = f"{RULES}env: CommandFilter, env, root\nx: CommandFilter, x=y, root\n"
    conversion = converted(rules, replace(call(ENVIRONMENTS[0]), **change))  # type: ignore[arg-type]
    assert conversion.uses == ()
    (stays,) = conversion.unlinked
    assert stays.why in {Why.UNRESOLVED, Why.NO_RULE}


def test_a_call_with_another_doubt_stays() -> None:
    made = call(*ENVIRONMENTS)
    for reason in (Reason.REMOTE, Reason.INJECTED, Reason.OPTIONS):
        doubtful = replace(made, reasons=(*made.reasons, reason))
        assert converted(RULES, doubtful).uses == ()


SOURCE = """
from oslo_concurrency import processutils


class Volumes:
    PREFIX = ['env', 'LC_ALL=C']

    def __init__(self, conf, quiet=False):
        prefix = ['env', 'LC_ALL=C']
        if conf:
            prefix.append('LVM_SYSTEM_DIR=' + conf)
        if quiet:
            prefix.append('FD=1')
        Volumes.PREFIX = prefix

    def list(self, vg):
        cmd = Volumes.PREFIX + ['lvs', vg]
        processutils.execute(*cmd, root_helper='sudo x', run_as_root=True)
"""


def test_a_constant_of_which_every_value_is_known(tmp_path: Path) -> None:
    path = tmp_path / "volumes.py"
    path.write_text(SOURCE)
    (found,) = find_sites([str(path)]).sites
    assert (found.reasons, found.list_source) == ((Reason.REASSIGNED,), "cmd")
    assert len(found.templates) == 4
    assert not found.typable
    assert found.checkable
    (line,) = use_of(RULES, found).op.lines
    assert [type(each) for each in line.segments[:4]] == [argv.Lit, argv.Lit, argv.Opt, argv.Opt]
