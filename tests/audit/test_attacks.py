"""What rules find is real: oslo.rootwrap lets each attack pass, and strict mode does not.

Where a generated entrypoint is the answer, its specification refuses the attacking word.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from oslo_rootwrap import wrapper

from privmigrate.argv.regex import specialise
from privmigrate.argv.word import accepts
from privmigrate.audit.engine import load_rules
from privmigrate.audit.illustration import illustrate
from privmigrate.rootwrap.command import Allowed, Denied, Mode
from privmigrate.rootwrap.parse import parse_filters
from privmigrate.rootwrap.policy import Policy
from tools.modules import PROJECT

EXEC_DIRS = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]


@dataclass(frozen=True)
class Attack:
    """Entries that a rule finds, and an argv that they were not meant to allow."""

    code: str
    entries: str
    argv: tuple[str, ...]


ATTACKS = (
    Attack(
        "PM122",
        "n: ChainingRegExpFilter, nice, root, nice, -n, \\d+\nt: CommandFilter, true, root",
        ("nice", "-n", "5", "/tmp/evil/true"),
    ),
    Attack(
        "PM122",
        "n: IpNetnsExecFilter, ip, root\nt: CommandFilter, true, root",
        ("ip", "netns", "exec", "blue", "/tmp/evil/true"),
    ),
    Attack(
        "PM123",
        "n: IpNetnsExecFilter, true, root\nt: CommandFilter, cat, root",
        ("ip", "netns", "exec", "blue", "cat"),
    ),
    Attack("PM114", "j: IpFilter, ip, root", ("ip", "-batch", "/tmp/x")),
    Attack("PM114", "j: IpFilter, ip, root", ("ip", "vrf", "exec", "red", "sh")),
    Attack("PM125", "l: EnvFilter, env, root, PATH=/bin, ls", ("env", "PATH=/tmp/evil", "ls")),
    Attack("PM126", "l: EnvFilter, env, root, LC_ALL=C, ls", ("env", "LC_ALL=/tmp/x", "ls")),
    Attack(
        "PM127",
        "l: EnvFilter, env, root, TAG=, sort, -u, .*",
        ("env", "TAG=x", "sort", "-o", "/etc/passwd", "/tmp/x"),
    ),
    Attack("PM202", "s: RegExpFilter, sleep, root, sleep, [0-9]+", ("sleep", "5\n")),
    Attack("PM203", "s: RegExpFilter, echo, root, echo, link|addr", ("echo", "link; reboot")),
    Attack("PM209", "s: RegExpFilter, sleep, root, sleep, \\d+", ("sleep", "\u0665")),
    Attack("PM301", "c: PathFilter, cat, root, /proc/sy", ("cat", "/proc/sys")),
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: f"{a.code} {' '.join(a.argv)!r}")
def test_it_passes_oslo_rootwrap_and_not_strict_mode(attack: Attack, tmp_path: Path) -> None:
    text = f"[Filters]\n{attack.entries}\n"
    (tmp_path / "a.filters").write_text(text)
    filters = wrapper.load_filters([str(tmp_path)])
    found = wrapper.match_filter(filters, list(attack.argv), exec_dirs=EXEC_DIRS)
    assert found.name in {line.partition(":")[0] for line in attack.entries.splitlines()}
    policy = Policy(parse_filters(text.encode(), "a.filters").rules, EXEC_DIRS)
    assert isinstance(policy.decide(attack.argv), Allowed)
    assert isinstance(policy.decide(attack.argv, Mode.STRICT), Denied)
    rule = next(rule for rule in load_rules() if rule.code == attack.code)
    assert list(rule.check(illustrate(text))), f"{attack.code} does not find it"


@pytest.mark.parametrize(
    ("code", "pattern", "word"),
    [
        ("PM205", "/etc/resolv.conf", "/etc/resolvXconf"),
        ("PM208", "/var/lib/x/.*", "/var/lib/x/../../../etc/passwd"),
    ],
)
def test_it_passes_oslo_rootwrap_and_not_a_generated_entrypoint(
    code: str, pattern: str, word: str, tmp_path: Path
) -> None:
    text = f"[Filters]\nc: RegExpFilter, cat, root, cat, {pattern}\n"
    (tmp_path / "a.filters").write_text(text)
    filters = wrapper.load_filters([str(tmp_path)])
    assert wrapper.match_filter(filters, ["cat", word], exec_dirs=EXEC_DIRS).name == "c"
    assert not accepts(specialise(pattern), word)
    rule = next(rule for rule in load_rules() if rule.code == code)
    assert list(rule.check(illustrate(text)))


def test_a_program_of_the_attackers_runs_behind_a_chain(tmp_path: Path) -> None:
    """The whole way: oslo.rootwrap starts it, and it leaves its mark."""
    conf = tmp_path / "rootwrap.d"
    conf.mkdir()
    text = (
        "[Filters]\nn: ChainingRegExpFilter, nice, root, nice, -n, \\d+\n"
        "t: CommandFilter, true, root\n"
    )
    (conf / "a.filters").write_text(text)
    evil = tmp_path / "true"
    evil.write_text(f"#!/bin/sh\necho ran > {tmp_path}/mark\n")
    evil.chmod(0o755)
    argv = ["nice", "-n", "5", str(evil)]
    filters = wrapper.load_filters([str(conf)])
    found = wrapper.match_filter(filters, argv, exec_dirs=EXEC_DIRS)
    subprocess.run(found.get_command(argv, exec_dirs=EXEC_DIRS), check=True)
    assert (tmp_path / "mark").read_text() == "ran\n"
    policy = Policy(parse_filters(text.encode(), "a.filters").rules, EXEC_DIRS)
    assert isinstance(policy.decide(argv, Mode.STRICT), Denied)


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


PRIVSEP = """\
import subprocess, sys
if sys.argv[1] == "oslo":
    from oslo_privsep import capabilities, priv_context
else:
    from privmigrate.privsep import capabilities, priv_context
ctx = priv_context.PrivContext(
    "__main__", cfg_section="x", pypath="__main__.ctx", capabilities=[capabilities.CAP_NET_ADMIN]
)
@ctx.entrypoint
def execute(*cmd):
    return subprocess.check_output(list(cmd)).decode()
if __name__ == "__main__":
    ctx.set_client_mode(True)
    ctx.start(priv_context.Method.FORK)
    print(execute("grep", "CapEff", "/proc/self/status"))
    ctx.stop()
"""


@pytest.mark.root
@pytest.mark.parametrize(("runtime", "only"), [("oslo", False), ("ours", True)])
def test_a_context_holds_its_commands_in_our_daemon_only(
    runtime: str, tmp_path: Path, *, only: bool
) -> None:
    """PM601 and PM612. The same module: what its context lists, oslo's command does not keep to."""
    script = tmp_path / "service.py"
    script.write_text(PRIVSEP)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), runtime],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    held = int(done.stdout.split()[1], 16)
    net_admin = 1 << 12
    assert held & net_admin
    assert (held == net_admin) is only
    found = {rule.code for rule in load_rules() if list(rule.check(illustrate(PRIVSEP)))}
    assert {"PM601", "PM606", "PM612"} <= found


@pytest.mark.root
def test_a_file_written_to_a_folder_of_the_services_own_is_root(tmp_path: Path) -> None:
    """PM411. The service user cannot write rootwrap.conf, and puts another one in its place."""
    user = 64061
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "rootwrap.conf").write_text("[DEFAULT]\nfilters_path=/nonexistent\n")
    os.chown(folder, user, user)
    for parent in list(folder.parents)[:3]:
        parent.chmod(parent.stat().st_mode | 0o055)
    script = (
        "cd $0 && ! echo x 2>/dev/null >> rootwrap.conf;"
        " mv rootwrap.conf old && echo new > rootwrap.conf"
    )
    subprocess.run(["sh", "-c", script, str(folder)], user=user, group=user, check=True)
    assert (folder / "rootwrap.conf").read_text() == "new\n"
