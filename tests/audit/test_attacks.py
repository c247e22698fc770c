"""What rules find is real: oslo.rootwrap runs each attack, and our side refuses it.

The attacks stand in `tests.audit.attacks`; here each is run, by nobody, through oslo.rootwrap's own
command, until its effect is there to see, and then put to strict mode or to generated entrypoints.
"""

import itertools
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from oslo_rootwrap import wrapper

from privmigrate.audit.engine import load_rules
from privmigrate.convert import Conversion, Options, convert
from privmigrate.convert.operation import Op
from privmigrate.errors import Refused
from privmigrate.privsep import natives
from privmigrate.privsep.commands import Command  # noqa: TC001 - beside others
from privmigrate.rootwrap.command import Allowed, Denied, Mode
from privmigrate.rootwrap.parse import parse_filters
from privmigrate.rootwrap.policy import Policy
from tests.audit.attacks import ALONE, ATTACKS, EXCUSED, Attack
from tests.audit.illustration import illustrate
from tests.audit.module_attacks import MODULE_ATTACKS
from tests.audit.sandbox import SYSTEM_DIRS, Sandbox, sandbox
from tests.audit.test_attacks_machine import CHANGES
from tests.audit.test_attacks_sudo import ATTACKS as SUDO_ATTACKS
from tests.convert.packages import NOTHING, arguments_of, command_of, imported, plan, rules_of

EXEC_DIRS = SYSTEM_DIRS.split(",")
RULES = {rule.code: rule for rule in load_rules()}
each_attack = pytest.mark.parametrize(
    "attack", ATTACKS, ids=lambda a: f"{a.code} {a.line.encode('unicode_escape').decode()}"
)
PACKAGE = "attacked"


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with sandbox() as made:
        yield made


@each_attack
def test_the_rule_finds_it(attack: Attack, box: Sandbox) -> None:
    evidence = illustrate(f"[Filters]\n{box.fill(attack.entries)}\n")
    assert list(RULES[attack.code].check(evidence))


@each_attack
def test_it_works_under_oslo_rootwrap(attack: Attack, box: Sandbox) -> None:
    if (attack.before or attack.then) and box.as_nobody(["unshare", "-Urmn", "true"]).returncode:
        pytest.skip("users may not make namespaces here")
    conf = box.configure(attack.entries)
    with box.victim() as victim:
        words = box.words(attack.line.replace("%", str(victim.pid)))
        done = box.rootwrap(conf, words, attack.before, attack.then)
        if attack.effect == "ended":
            assert victim.wait(10) == -9
        else:
            assert box.shows(attack.effect, done), done


@each_attack
def test_it_is_refused(attack: Attack, box: Sandbox, tmp_path: Path) -> None:
    words = box.words(attack.line.replace("%", "1"))
    if attack.side == "strict":
        policy = Policy(rules_of(box.fill(attack.entries)), [f"{box.folder}/bin", *EXEC_DIRS])
        assert isinstance(policy.decide(words), Allowed)
        assert isinstance(policy.decide(words, Mode.STRICT), Denied)
        return
    assert not reached(box, attack.narrow or attack.entries, words, tmp_path)


@pytest.mark.parametrize(
    "attack",
    [attack for attack in ATTACKS if attack.side == "generated" and attack.call],
    ids=lambda attack: f"{attack.code} {attack.call}",
)
def test_what_the_service_calls_is_generated(attack: Attack, box: Sandbox, tmp_path: Path) -> None:
    """The same search finds it, so that what it does not find is really refused."""
    entries = attack.narrow or attack.entries
    assert reached(box, entries, box.words(attack.call), tmp_path)


@pytest.mark.parametrize(
    "attack",
    [attack for attack in ATTACKS if attack.narrow and "Command" in attack.entries],
    ids=lambda attack: f"{attack.code} {attack.line}",
)
def test_an_entrypoint_as_wide_as_the_filter_is_reached(
    attack: Attack, box: Sandbox, tmp_path: Path
) -> None:
    """What refuses an attack is that the entrypoint is narrow, not that it was generated."""
    words = box.words(attack.line.replace("%", "1"))
    assert reached(box, attack.entries, words, tmp_path)


def reached(box: Sandbox, entries: str, argv: tuple[str, ...], folder: Path) -> bool:
    """Whether any generated entrypoint runs this command line, whatever it is called with.

    Each parameter is given each word of the command line, what stands behind a ``=`` in it, each
    number in it, and nothing.
    """
    options = Options(package=PACKAGE, exec_dirs=(str(box.folder / "bin"), *EXEC_DIRS))
    conversion = convert(rules_of(box.fill(entries)), options, NOTHING)
    with imported(conversion, PACKAGE, folder):
        return any(argv[1:] in _lines(conversion, op, argv) for op in conversion.ops)


def _lines(conversion: Conversion, op: Op, argv: tuple[str, ...]) -> set[tuple[str, ...]]:
    command: Command[...] = command_of(PACKAGE, op)
    values = [*argv[1:], *(word.partition("=")[2] for word in argv[1:] if "=" in word), None]
    values += re.findall(r"[0-9]+", " ".join(argv[1:]))
    found = set()
    for chosen in itertools.product(values, repeat=len(op.params)):
        for rest in (argv[1:], ()) if op.rest else ((),):
            positional, named = arguments_of(op, chosen, rest)
            planned = plan(command, positional, named)
            if planned is not None and planned.argv[0].rpartition("/")[2] == argv[0]:
                found.add(planned.argv[1:])
    return found


def test_every_rule_is_attacked_or_says_why_not() -> None:
    """Nothing but `EXCUSED` is free of an attack; the others stand in the four files of attacks."""
    shown = {attack.code for attack in ATTACKS}
    shown |= {attack.code for attack in MODULE_ATTACKS}
    shown |= {change.code for change in CHANGES}
    shown |= {attack.code for attack in SUDO_ATTACKS}
    assert shown.isdisjoint(ALONE)
    assert shown.isdisjoint(EXCUSED)
    assert set(ALONE).isdisjoint(EXCUSED)
    assert shown | set(ALONE) | set(EXCUSED) == set(RULES)


@pytest.mark.parametrize(("code", "test"), ALONE.items())
def test_an_attack_of_its_own_is_there(code: str, test: str) -> None:
    file, _, name = test.partition("::")
    assert f"def {name}(" in (Path(__file__).parent / f"{file}.py").read_text(), code


def test_a_link_swapped_in_after_the_check_leads_out_of_a_filter(box: Sandbox) -> None:
    """PM303. A native opens below its folder, and what stands there then counts."""
    box.configure("c: PathFilter, cat, root, @/im/")
    path = box.folder / "im/f"
    path.write_text("fine\n")
    argv = ["cat", str(path)]
    filters = wrapper.load_filters([str(box.folder / "d")])
    found = wrapper.match_filter(filters, argv, exec_dirs=EXEC_DIRS)
    checked = found.get_command(argv, exec_dirs=EXEC_DIRS)
    assert natives.cat(str(path), within=f"{box.folder}/im/").stdout == b"fine\n"
    path.unlink()
    path.symlink_to("../shadow")
    assert "secret" in box.as_nobody(checked).stdout
    refused = natives.cat(str(path), within=f"{box.folder}/im/")
    assert refused.exit_code
    assert b"secret" not in refused.stdout
    text = f"[Filters]\nc: PathFilter, cat, root, {box.folder}/im/\n"
    assert list(RULES["PM303"].check(illustrate(text)))


def test_the_callers_path_names_the_program_that_may_be_signalled(box: Sandbox) -> None:
    """PM130. A native looks a bare name up in a PATH of its own."""
    entries = "k: KillFilter, root, pm-radvd, -9"
    conf = box.configure(entries)
    victim = box.folder / "evil/pm-radvd"
    shutil.copy("/bin/sleep", victim)
    with box.victim(str(victim)) as process:
        asked = ("kill", "-9", str(process.pid))
        assert box.rootwrap(conf, asked).returncode == 99
        with pytest.raises(Refused):
            natives.kill(process.pid, 9, "pm-radvd")
        path = f"{victim.parent}:{os.environ['PATH']}"
        assert box.rootwrap(conf, asked, path=path).returncode == 0
        assert process.wait(10) == -9
    assert list(RULES["PM130"].check(illustrate(f"[Filters]\n{entries}\n")))


def test_a_slow_pattern_doubles_with_each_character_and_not_in_strict_mode(tmp_path: Path) -> None:
    """PM204. `re` takes some thousand times as long for ten characters more."""
    text = "[Filters]\nc: RegExpFilter, cat, root, cat, ^[/]*([^/\\0]+(/+)?)*$\n"
    (tmp_path / "a.filters").write_text(text)
    filters = wrapper.load_filters([str(tmp_path)])

    def by_rootwrap(length: int) -> float:
        begin = time.process_time()
        with pytest.raises(wrapper.NoFilterMatched):
            wrapper.match_filter(filters, ["cat", "a" * length + "\0"], exec_dirs=EXEC_DIRS)
        return time.process_time() - begin

    assert by_rootwrap(20) > 20 * by_rootwrap(12)
    policy = Policy(parse_filters(text.encode(), "a.filters").rules, EXEC_DIRS)
    begin = time.process_time()
    policy.decide(("cat", "a" * 5000 + "\n\n"), Mode.STRICT)
    assert time.process_time() - begin < 2
