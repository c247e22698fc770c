"""What changes while a daemon serves: the package, and options of the daemon itself."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from oslo_rootwrap import client as oslo

from privmigrate.shim.client_api import Client
from tests.privsep.conftest import is_running
from tests.root.test_shim_oneshot import wait_until
from tests.shim.conftest import WriteConfig
from tests.shim.test_hostile import OURS

pytestmark = [pytest.mark.root, pytest.mark.timeout(60)]

PROJECT = Path(__file__).resolve().parent.parent.parent
FILTERS = "sh: CommandFilter, sh, root\n"
PROGRAM = """\
import sys; sys.path.insert(0, {folder!r})
from privmigrate.shim.rootwrap_daemon_main import main; sys.exit(main())
"""


@pytest.fixture
def copy(trusted_dir: Path) -> Path:
    """A package of its own, and a program beside it that is the daemon."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "privmigrate", trusted_dir / "lib/privmigrate", ignore=ignored)
    program = trusted_dir / "daemon"
    program.write_text(PROGRAM.format(folder=str(trusted_dir / "lib")))
    return program


def upgrade(program: Path) -> None:
    """Replace a file that decides, as a package manager does."""
    file = program.parent / "lib/privmigrate/shim/client.py"
    new = file.with_suffix(".new")
    new.write_text(file.read_text() + "# a later release\n")
    new.rename(file)


@pytest.mark.parametrize("make", [Client, oslo.Client], ids=["ours", "oslo's"])
def test_after_an_upgrade_the_next_command_is_the_new_ones(
    copy: Path, write_config: WriteConfig, make: type[Client]
) -> None:
    """Nobody is told, no command is lost, and none runs twice."""
    caller = make([sys.executable, "-I", str(copy), str(write_config(FILTERS))])
    marks = copy.parent / "marks"
    pids = []
    for number in range(6):
        if number in {2, 4}:
            upgrade(copy)
        # what we are made of is looked at ten times a second
        script = f"echo {number} >> {marks}; echo $PPID; sleep 0.15"
        status, out, err = caller.execute(["sh", "-c", script])
        assert (status, err) == (0, "")
        pids.append(out)
    assert marks.read_text().split() == [str(number) for number in range(6)]
    assert [pids.index(pid) for pid in pids] == [0, 0, 2, 2, 4, 4]
    subprocess.run(["kill", pids[-1].strip()], check=True)


def test_an_edit_of_daemon_timeout_counts_for_the_one_that_serves(
    write_config: WriteConfig,
) -> None:
    caller = Client([sys.executable, "-c", OURS, str(write_config(FILTERS, "daemon_timeout=600"))])
    pid = int(caller.execute(["sh", "-c", "echo $PPID"])[1])
    write_config(FILTERS, "daemon_timeout=1")
    assert caller.execute(["sh", "-c", "echo $PPID"])[1] == f"{pid}\n"
    wait_until(lambda: not is_running(pid))
    assert caller.execute(["sh", "-c", "echo again"])[1] == "again\n"
    caller.close()
