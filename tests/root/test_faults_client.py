"""The client is killed while its command runs: daemon and command end with it, however started."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.privsep.conftest import is_running, wait_until
from tools.modules import PROJECT

pytestmark = [pytest.mark.root, pytest.mark.timeout(60)]

CLIENT: Final = """
import sys
from oslo_config import cfg
from privmigrate.privsep.priv_context import Method
from tests.root import faulty
cfg.CONF([], project="x", default_config_files=[], default_config_dirs=[])
faulty.context.conf
helper = f"{sys.executable} -m privmigrate.privsep.daemon.main"
cfg.CONF.set_override("helper_command", helper, group="faulty")
faulty.context.start(Method[sys.argv[1]])
print(faulty.getpid(), flush=True)
faulty.nap("86400")
"""


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    todo = [pid]
    while todo:
        for task in Path(f"/proc/{todo.pop()}/task").iterdir():
            below = [int(child) for child in (task / "children").read_text().split()]
            found.update(below)
            todo += below
    return found


@pytest.mark.parametrize("method", ["FORK", "ROOTWRAP"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_behind(method: str, number: int) -> None:
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, method],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdout is not None
    with client, client.stdout:
        daemon = int(client.stdout.readline())
        wait_until(lambda: len(descendants(daemon)) == 2)  # the shell and its child
        commands = descendants(daemon)
        assert all(is_running(pid) for pid in commands)
        client.send_signal(number)
        client.wait()
        wait_until(lambda: not any(is_running(pid) for pid in (daemon, *commands)))
