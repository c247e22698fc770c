"""Rules about sudoers: each attack through real sudo, and then under the lines of ``shim install``.

A mount namespace has a sudoers of its own. The service is `games`, and in the place of root stands
nobody, so nothing is run with privilege: what works leaves its mark as nobody's file.
"""

import os
import pwd
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Final

import pytest

from privmigrate.audit.engine import load_rules
from privmigrate.shim import trust
from privmigrate.shim.install import Request, make_plan
from tests.audit.illustration import illustrate
from tests.audit.sandbox import ROOTWRAP, Sandbox, sandbox

pytestmark = pytest.mark.root

SERVICE: Final = "games"
RULES: Final = {rule.code: rule for rule in load_rules()}
ZEN: Final = "said Beautiful is better"
HELPER: Final = "@/bin/privsep-helper"
FIXED: Final = "--privsep_context y.z --privsep_sock_path @/s"
CONTEXT: Final = "--privsep_context this.s --privsep_sock_path @/s"
DEFAULTS: Final = 'Defaults secure_path="/usr/sbin:/usr/bin:/sbin:/bin"\n'


@dataclass(frozen=True)
class Attack:
    """A line of sudoers, what the service does with it, and what then is there to see.

    Attributes:
        line: behind the user, and with (root) where the test has nobody.
        shell: run by the service, with sudo -n -u nobody as $S.
        defaults: what stands above the line.
        listing: what the rule has to see of the machine besides.
    """

    code: str
    line: str
    shell: str
    effect: str = "ran"
    defaults: str = DEFAULTS
    listing: str = ""


ATTACKS: Final = (
    Attack("PM501", "@/bin/x-rootwrap", "$S @/bin/x-rootwrap @/own.conf @/x"),
    Attack("PM501", "@/bin/x-rootwrap *", "$S @/bin/x-rootwrap @/own.conf @/x"),
    Attack("PM502", f"{HELPER} *", f"$S {HELPER} {CONTEXT}", ZEN),
    Attack("PM503", f"{HELPER} --privsep_context x.y --privsep_sock_path *",
           f"$S {HELPER} --privsep_context x.y --privsep_sock_path /s {CONTEXT}", ZEN),
    Attack("PM504", "ALL", "$S @/x"),
    Attack("PM505", "ALL, !/bin/sh", "cp /bin/sh out/copy; $S @/out/copy -c @/x"),
    Attack("PM506", "/usr/bin/tee", "echo x | $S tee @/cron", "wrote cron"),
    Attack("PM506", "/usr/bin/tee *", "echo x | $S tee @/cron", "wrote cron"),
    Attack("PM507", "@/out/*", "cp x out/later; $S @/out/later"),
    Attack("PM508", "SETENV: @/bin/script", "$S BASH_ENV=@/x @/bin/script"),
    Attack("PM508", "@/bin/script", "$S BASH_ENV=@/x @/bin/script",
           defaults=f"{DEFAULTS}Defaults setenv\n"),
    Attack("PM509", "@/bin/script", "BASH_ENV=@/x $S @/bin/script",
           defaults=f'{DEFAULTS}Defaults env_keep += "BASH_ENV"\n'),
    Attack("PM510", "@/bin/x-rootwrap @/by-path.conf *",
           "PATH=@/evil:$PATH; $S @/bin/x-rootwrap @/by-path.conf true", defaults=""),
    Attack("PM511", '@/out/gone ""', "cp x out/gone; $S @/out/gone",
           listing="drwxr-xr-x root root @/out"),
    Attack("PM416", "@/out/x-rootwrap @/rootwrap.conf *",
           "cp x out/x-rootwrap; $S @/out/x-rootwrap @/rootwrap.conf id",
           listing="drwxr-xr-x games games @/out\n-rwxr-xr-x root root @/out/x-rootwrap"),
    Attack("PM417", "@/bin/py-rootwrap @/rootwrap.conf *",
           "cp x out/python; $S @/bin/py-rootwrap @/rootwrap.conf id",
           listing="-rwxr-xr-x root root @/bin/py-rootwrap\n    #!@/out/python\n"
           "-rwxr-xr-x games games @/out/python"),
    Attack("PM418", f"{HELPER} --config-file @/out/x.conf {FIXED}",
           "printf '[DEFAULT]\\nlog_file = @/cron\\n' >out/x.conf;"
           f" $S {HELPER} --config-file @/out/x.conf {FIXED}", "wrote cron",
           listing="-rw-r--r-- games games @/out/x.conf"),
)  # fmt: skip
each_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: f"{a.code} {a.line}")


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with sandbox() as made:
        folder = made.folder
        texts = {
            "bin/x-rootwrap": f"#!{sys.executable} -Wignore\n{ROOTWRAP}",
            "bin/py-rootwrap": "#!@/out/python",
            "bin/script": "#!/bin/bash\ntrue",
            "own/a.filters": "[Filters]\nx: CommandFilter, @/x, root",
            "own.conf": "[DEFAULT]\nfilters_path=@/own",
            "path/a.filters": "[Filters]\nt: CommandFilter, true, root",
            "by-path.conf": "[DEFAULT]\nfilters_path=@/path",
        }
        for name, text in texts.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(made.fill(f"{text}\n"))
            (folder / name).chmod(0o755)
        made.configure("l: CommandFilter, lvs, root")
        (folder / "out").chmod(0o777)
        yield made


def under(box: Sandbox, sudoers: str, shell: str) -> subprocess.CompletedProcess[str]:
    """Have the service run a shell command where this is all that sudo knows of."""
    (box.folder / "sudoers").write_text(box.fill(sudoers))
    os.chown(box.folder / "sudoers", 0, 0)
    (box.folder / "sudoers").chmod(0o440)
    user = pwd.getpwnam(SERVICE)
    service = f"cd @; S='sudo -n -u nobody'; {shell}"
    steps = (
        f"mount --bind @/sudoers /etc/sudoers; exec setpriv --reuid {user.pw_uid} --regid"
        f" {user.pw_gid} --clear-groups sh -c {shlex.quote(box.fill(service))}"
    )
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", box.fill(steps)],
        capture_output=True, text=True, timeout=60, check=False, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip


def installed(box: Sandbox, root: Path) -> str:
    """The lines of `shim install` for this service, with nobody in the place of root."""
    request = Request(
        "x",
        f"{box.folder}/rootwrap.conf",
        f"{box.folder}/bin",
        user=SERVICE,
        root=str(root),
        interpreter=sys.executable,
        python=sys.executable,
    )
    (text,) = [step.text for step in make_plan(request).steps if "sudoers" in step.path]
    return DEFAULTS + text.replace("(root)", "(nobody)")


@each_attack
def test_the_rule_finds_it(attack: Attack, box: Sandbox) -> None:
    text = f"{attack.defaults}{SERVICE} ALL=(root) NOPASSWD: {attack.line}\n"
    if attack.listing:
        text = f"-r--r----- root root /etc/sudoers\n{indent(text, '    ')}{attack.listing}\n"
    assert list(RULES[attack.code].check(illustrate(box.fill(text))))


@each_attack
def test_it_works_under_sudo(attack: Attack, box: Sandbox) -> None:
    line = attack.line.replace("SETENV: ", "")
    tags = "NOPASSWD:SETENV" if line != attack.line else "NOPASSWD"
    sudoers = f"{attack.defaults}{SERVICE} ALL=(nobody) {tags}: {line}\n"
    done = under(box, sudoers, attack.shell)
    assert box.shows(attack.effect, done), done


@each_attack
def test_it_is_refused_under_the_lines_of_the_shim(
    attack: Attack, box: Sandbox, tmp_path: Path
) -> None:
    done = under(box, installed(box, tmp_path), attack.shell)
    assert not box.shows(attack.effect, done), done
    assert "a password is required" in done.stderr or "not allowed" in done.stderr, done


def test_the_lines_of_the_shim_let_its_own_command_pass(box: Sandbox, tmp_path: Path) -> None:
    asked = "$S -l @/bin/x-rootwrap @/rootwrap.conf lvs --noheadings"
    assert under(box, installed(box, tmp_path), asked).returncode == 0


def test_pm415_who_may_rename_above_the_drop_ins_has_the_others() -> None:
    """sudo looks at a folder of drop-ins itself, and at none on the way to it."""
    with sandbox("/opt") as box:
        (box.folder / "out").chmod(0o777)
        way = box.folder / "way"
        for name in ("dropins", "aside"):
            (way / name).mkdir(parents=True)
        (way / "aside/all").write_text(f"{SERVICE} ALL=(nobody) NOPASSWD: ALL\n")
        (way / "aside/all").chmod(0o440)
        box.own(0)
        sudoers = f"{DEFAULTS}#includedir @/way/dropins\n"
        shell = "mv way/dropins way/x && mv way/aside way/dropins; $S @/x"
        under(box, sudoers, shell)
        assert not box.mark.exists()
        assert trust.why_not(str(way / "dropins"), ()) is None
        os.chown(way, pwd.getpwnam(SERVICE).pw_uid, 0)
        done = under(box, sudoers, shell)
        assert box.mark.exists(), done
        assert "belongs to uid" in str(trust.why_not(str(way / "dropins"), ()))
