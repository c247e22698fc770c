"""Convert, rewrite, convert again: what the rewritten service calls stays as it was."""

import json
from pathlib import Path

import pytest

from tests.cli.services import PACKAGE, Make, Service

FILTERS = """\
ip_exec: IpNetnsExecFilter, ip, root
ip: CommandFilter, ip, root
nice: ChainingRegExpFilter, ionice, root, ionice, -c[0-3]
dd: CommandFilter, dd, root
lvs: CommandFilter, lvs, root
lvs_en: EnvFilter, env, root, LC_ALL=C, lvs
tee: CommandFilter, tee, root
rm: CommandFilter, rm, root
mkdir: CommandFilter, mkdir, root
cat: CommandFilter, cat, root
"""
DRIVER = """\
from svc import utils


class Driver:
    def copy(self, source, target):
        utils.execute('ionice', '-c3', 'dd', 'if=%s' % source, 'of=%s' % target,
                      run_as_root=True)

    def wipe(self, target):
        utils.execute('dd', 'if=/dev/zero', 'of=%s' % target, run_as_root=True)

    def up(self, namespace, device):
        utils.execute('ip', 'netns', 'exec', namespace, 'ip', 'link', 'set', device, 'up',
                      run_as_root=True)

    def write(self, path, text):
        utils.execute('tee', path, process_input=text, run_as_root=True)

    def make(self, path, deep):
        cmd = ['mkdir']
        if deep:
            cmd.append('-p')
        cmd.append(path)
        utils.execute(*cmd, run_as_root=True)

    def sizes(self, group):
        return utils.execute('env', 'LC_ALL=C', 'lvs', '--units', 'g', group, run_as_root=True)

    def grow(self, path, size):
        utils.execute('dd', 'if=/dev/zero', 'of=%s' % path, 'bs=%d' % size, run_as_root=True)

    def remove(self, path):
        utils.execute('rm', '-f', path, run_as_root=True)

    # these stay, and share entrypoints with the ones above
    def make_there(self, path, where):
        utils.execute('mkdir', path, run_as_root=True, cwd=where)

    def remove_there(self, path, where):
        utils.execute('rm', '-f', path, run_as_root=True, cwd=where)
"""


@pytest.fixture
def service(make_service: Make) -> Service:
    made = make_service(FILTERS, driver=DRIVER)
    assert made.convert() in {0, 3}
    return made


def without_lock(texts: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if name.endswith(".py")}


def test_what_a_rewritten_service_calls_stays_as_it_was(service: Service) -> None:
    """Prefixes, what is fed to a command, optional parts, who calls, and the capabilities."""
    before = service.generated()
    assert service.rewrite("--prove", "proofs") == 0
    assert "8 passed" in service.proven()
    assert "under=Ionice('3')" in service.text("driver")
    assert "under=Netns(namespace)" in service.text("driver")
    assert service.convert("--check") == 0
    assert service.convert() == 0
    after = service.generated()
    assert without_lock(after) == without_lock(before)
    assert service.convert("--check") == 0
    assert service.rewrite("--check") == 0
    assert service.generated() == after


def test_a_list_that_was_checked_as_built_stays(make_service: Make) -> None:
    """The value of a 'constant' that is assigned elsewhere too is known at run time alone."""
    driver = (
        "from svc import utils\n\n\nclass Driver:\n    PREFIX = ['env', 'LC_ALL=C']\n\n"
        "    def __init__(self, conf):\n        if conf:\n"
        "            Driver.PREFIX = ['env', 'LC_ALL=C', 'LVM_SYSTEM_DIR=/etc/lvm']\n\n"
        "    def sizes(self, group):\n        cmd = Driver.PREFIX + ['lvs', group]\n"
        "        return utils.execute(*cmd, run_as_root=True)\n"
    )
    filters = (
        "lvs: EnvFilter, env, root, LC_ALL=C, lvs\n"
        "lvs_in: EnvFilter, env, root, LC_ALL=C, LVM_SYSTEM_DIR=, lvs\n"
    )
    service = make_service(filters, driver=driver)
    assert service.convert() in {0, 3}
    before = service.generated()
    assert service.rewrite() == 0
    assert "(cmd)" in service.text("driver")
    assert service.convert("--check") == 0
    assert service.convert() == 0
    assert without_lock(service.generated()) == without_lock(before)
    assert service.rewrite("--check") == 0


def test_the_report_tells_what_was_replaced(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.rewrite()
    capsys.readouterr()
    service.convert()
    said = capsys.readouterr().out
    assert "8 more have been replaced" in said
    assert "orphan" not in "".join(service.generated().values())
    service.convert("--json")
    data = json.loads(capsys.readouterr().out)
    assert data["call summary"]["replaced"] == 8
    assert data["called"] == []


def test_rewriting_goes_on_where_it_ended(service: Service) -> None:
    """A call that could not be replaced before fits into the entrypoint that its like has."""
    service.rewrite()
    before = service.generated()
    path = Path("svc/driver.py")
    path.write_text(
        service.text("driver").replace(", run_as_root=True, cwd=where", ", run_as_root=True")
    )
    assert service.convert("--check") == 0
    assert service.rewrite() == 0
    assert "utils.execute" not in service.text("driver")
    assert service.convert() == 0
    assert without_lock(service.generated()) == without_lock(before)


def test_a_call_that_went_away_takes_its_entrypoint_along(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.rewrite()
    text = service.text("driver")
    first, _, rest = text.partition("    def up(")
    _, _, rest = rest.partition("    def write(")
    Path("svc/driver.py").write_text(f"{first}    def write({rest}")
    capsys.readouterr()
    assert service.convert() == 0
    assert "though no rule asks for it any more" in capsys.readouterr().err
    assert "orphan" in service.generated()["network.py"]
    assert "orphan" not in service.generated()["files.py"]
    assert service.convert("--check") == 0


def test_a_call_that_moved_by_hand_keeps_what_it_needs(service: Service) -> None:
    """Then it is not known any more what it was; what it calls stays, with its chains."""
    before = service.generated()
    service.rewrite()
    text = service.text("driver")
    for name in ("copy", "wipe", "up", "grow"):
        text = text.replace(f"def {name}(", f"def {name}_it(")
    Path("svc/driver.py").write_text(text)
    assert service.convert() == 0
    after = service.generated()
    assert "orphan" not in "".join(after.values())
    assert after["__init__.py"] == before["__init__.py"]
    assert sorted(after["common.py"].splitlines()) == sorted(before["common.py"].splitlines())
    assert "under: Ionice | None" in "".join(after.values())
    assert service.convert("--check") == 0


def test_another_call_does_not_change_what_is_called(service: Service) -> None:
    service.rewrite("--prove", "proofs")
    path = Path("svc/driver.py")
    more = (
        "\n    def wipe_more(self, target):\n        utils.execute("
        "'dd', 'if=/dev/zero', 'of=%s' % target, 'oflag=direct', run_as_root=True)\n"
    )
    path.write_text(service.text("driver") + more)
    assert service.convert() == 0
    assert "8 passed" in service.proven()
    assert service.rewrite() == 0
    assert "oflag" not in service.text("driver").partition("def wipe_more")[2] or (
        "utils.execute" not in service.text("driver").partition("def wipe_more")[2]
    )
    assert service.convert("--check") == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"is": "Site"', '"is": "Span"'),
        ('"is": "Site"', '"is": "Site", "other": 1'),
        ('"convention": "oslo"', '"convention": "other"'),
        ('"root": "always"', '"root": 1'),
        ('"templates": [', '"templates": [' + "[" * 3000 + "]" * 3000 + ", "),
        ('"is": "Text"', '"is": "Hole"'),
        ('"site": {', '"sites": {'),
        ('"replaced": [', '"replaced": [1, '),
        ('"replaced": [', '"replaced": [[], '),
        ('"replaced": [', '"replaced": 1, "x": ['),
        ('"is": "Site"', '"is": "Site", "reasons": ["remote"]'),
        ('"is": "Site"', '"is": "Site", "sentinel": "yes"'),
    ],
)
def test_a_damaged_lock_is_one_message(
    service: Service, capsys: pytest.CaptureFixture[str], old: str, new: str
) -> None:
    service.rewrite()
    lock = Path(*PACKAGE.split("."), "privmigrate.lock")
    text = lock.read_text()
    if old not in text:
        pytest.fail(f"{old} is not there")
    lock.write_text(text.replace(old, new, 1))
    capsys.readouterr()
    assert service.convert() == 2
    said = capsys.readouterr().err
    assert "error: is no lock of ours" in said or "error: is no JSON" in said
    assert "Traceback" not in said
