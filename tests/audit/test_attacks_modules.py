"""Rules about privsep modules: each attack through oslo.privsep's real daemon, and through ours.

The whole service runs as nobody, and so does its daemon; only the two attacks that are about
capabilities need root.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.audit.engine import load_rules
from tests.audit.illustration import illustrate
from tests.audit.module_attacks import MODULE_ATTACKS, ModuleAttack
from tests.audit.sandbox import NOBODY, Sandbox, sandbox
from tools.modules import PROJECT

RULES = {rule.code: rule for rule in load_rules()}
OSLO = """\
import os, pickle, subprocess
from oslo_concurrency import processutils
from oslo_privsep import priv_context
"""
OURS = """\
import os
from typing import Annotated, Literal
from privmigrate.privsep import (
    ExecResult, Executable, command, environment, priv_context, run
)
from privmigrate.privsep.types import Argument, EnvValue, Matches, Operand, PathWithin, Stdin
DIRS = ("/usr/bin", "/bin")
BASH, CAT, ECHO, SORT, TEE, TOUCH, UNAME = (
    Executable(name, dirs=DIRS) for name in "bash cat echo sort tee touch uname".split()
)
"""
SERVICE = """\
ctx = priv_context.PrivContext(
    "__main__", cfg_section="x", pypath="__main__.ctx", capabilities=[]
)
@ctx.entrypoint
{body}
if __name__ == "__main__":
    ctx.set_client_mode(True)
    ctx.start(priv_context.Method.FORK)
    try:
        print({call})
    except Exception as error:
        print(type(error).__name__, error)
    finally:
        ctx.stop()
"""
each_attack = pytest.mark.parametrize("attack", MODULE_ATTACKS, ids=lambda attack: attack.code)


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with sandbox() as made:
        (made.folder / "im/fine").write_text("fine\n")
        made.own()
        yield made


def service(box: Sandbox, body: str, call: str) -> str:
    """A service with one entrypoint; where a line begins with @ stands a decorator."""
    lines = SERVICE.format(body=body, call=call).splitlines()
    return "\n".join(line if line.startswith("@") else box.fill(line) for line in lines)


def play(box: Sandbox, imports: str, body: str, call: str) -> subprocess.CompletedProcess[str]:
    """Run a service with this entrypoint as nobody, and make one call."""
    script = box.folder / "service.py"
    path = f"import sys\nsys.path.insert(0, {str(PROJECT)!r})\n"
    script.write_text(f"{path}{imports}{service(box, body, call)}\n")
    return box.as_nobody([sys.executable, "-W", "ignore", str(script)])


@each_attack
def test_the_rule_finds_it(attack: ModuleAttack, box: Sandbox) -> None:
    imports = OURS if "@command" in attack.oslo else OSLO
    text = f"{imports}{service(box, attack.oslo, attack.call)}"
    assert list(RULES[attack.code].check(illustrate(text)))


@each_attack
def test_it_works_under_oslo_privsep(attack: ModuleAttack, box: Sandbox) -> None:
    # what --runtime oslo writes is checked by @command, in oslo.privsep's contexts and daemon
    imports = OURS + OSLO if "@command" in attack.oslo else OSLO
    done = play(box, imports, attack.oslo, attack.call)
    assert box.shows(attack.effect, done), done


@each_attack
def test_it_fails_under_ours(attack: ModuleAttack, box: Sandbox) -> None:
    done = play(box, OURS, attack.ours, attack.ours_call or attack.call)
    assert not box.shows(attack.effect, done), done
    if attack.refused == "99":
        assert "PrivilegeDenied" in done.stdout, done
        assert "Exit code: 99" in done.stdout
    elif attack.refused:
        assert attack.refused in done.stdout, done


@each_attack
def test_what_the_service_sends_still_works(attack: ModuleAttack, box: Sandbox) -> None:
    done = play(box, OURS, attack.ours, attack.proper)
    assert "Error" not in done.stdout + done.stderr, done
    assert "Denied" not in done.stdout, done


OTHERS = """\
import sys
sys.path[:0] = [{project!r}, {folder!r}]
from {runtime} import priv_context
import pm_service
if __name__ == "__main__":
    from pm_service import ctx
    ctx.set_client_mode(True)
    ctx.start(priv_context.Method.FORK)
    try:
        import pm_service_other
        print(pm_service_other.f())
    except Exception as error:
        print(type(error).__name__, error)
    finally:
        ctx.stop()
"""
CONTEXT = """\
from {runtime} import priv_context
ctx = priv_context.PrivContext(
    "pm_service", cfg_section="x", pypath="pm_service.ctx", capabilities=[]
)
"""
OTHER = """\
import os
import subprocess
from pm_service import ctx
@ctx.entrypoint
def f():
    return subprocess.call(["{program}"])
"""


@pytest.mark.parametrize(
    ("runtime", "works"), [("oslo_privsep", True), ("privmigrate.privsep", False)]
)
def test_pm611_a_module_whose_name_only_begins_alike(
    runtime: str, box: Sandbox, *, works: bool
) -> None:
    (box.folder / "pm_service.py").write_text(CONTEXT.format(runtime=runtime))
    (box.folder / "pm_service_other.py").write_text(OTHER.format(program=box.folder / "x"))
    script = box.folder / "main.py"
    script.write_text(OTHERS.format(runtime=runtime, project=str(PROJECT), folder=str(box.folder)))
    done = box.as_nobody([sys.executable, "-W", "ignore", str(script)])
    assert box.mark.exists() is works, done
    found = list(RULES["PM611"].check(illustrate(CONTEXT.format(runtime=runtime))))
    assert bool(found) is works


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
    found = {rule.code for rule in RULES.values() if list(rule.check(illustrate(PRIVSEP)))}
    assert {"PM601", "PM606", "PM612"} <= found


STRONG = """\
import os, sys
sys.path.insert(0, {project!r})
from {runtime} import capabilities, priv_context
from oslo_config import cfg
ctx = priv_context.PrivContext(
    "__main__", cfg_section="x", pypath="__main__.ctx",
    capabilities=[capabilities.{capability}],
)
@ctx.entrypoint
def own():
    os.chown({path!r}, {uid}, -1)
if __name__ == "__main__":
    cfg.CONF([], project="x")
    cfg.CONF.set_override("user", "nobody", group="x")
    ctx.set_client_mode(True)
    ctx.start(priv_context.Method.FORK)
    try:
        own()
    except Exception as error:
        print(type(error).__name__, error)
    finally:
        ctx.stop()
"""


@pytest.mark.root
@pytest.mark.parametrize(
    ("runtime", "capability", "works"),
    [
        ("oslo_privsep", "CAP_CHOWN", True),
        ("privmigrate.privsep", "CAP_NET_ADMIN", False),
    ],
)
def test_pm605_a_strong_capability_gives_files_of_root_away(
    runtime: str, capability: str, box: Sandbox, *, works: bool
) -> None:
    """A context of its own, with what its commands need, has none to give."""
    path = box.folder / "of-root"
    path.touch()
    text = STRONG.format(
        project=str(PROJECT), runtime=runtime, capability=capability, path=str(path), uid=NOBODY
    )
    script = box.folder / "strong.py"
    script.write_text(text)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (path.stat().st_uid == NOBODY) is works, done
    strong = OSLO + "c = priv_context.PrivContext('x', capabilities=[p.CAP_CHOWN, p.CAP_FOWNER])\n"
    assert list(RULES["PM605"].check(illustrate(strong)))
