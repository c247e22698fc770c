"""A service that was started without standard streams: no socket of ours takes their place."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.privsep.conftest import wait_for_end

PROJECT: Final = Path(__file__).parents[2]
HELPER: Final = f"env PYTHONPATH={PROJECT} {sys.executable} -m privmigrate.privsep.daemon.main"
CLOSED: Final = [
    streams for number in range(4) for streams in itertools.combinations(range(3), number)
]

# What a service does; {closed} streams are closed before it starts its daemon.
SERVICE: Final = """
import json, os, subprocess
from privmigrate.privsep.priv_context import Method
from tests.privsep import service
from tests.privsep.service import calls, commands

said = os.open({said!r}, os.O_WRONLY)
said = os.dup2(said, 50, inheritable=False)
for stream in {closed}:
    os.close(stream)
{start}
daemon = calls.getpid()
sockets = [n for n in range(3) if os.path.exists(f"/proc/self/fd/{{n}}")
           and "socket" in os.readlink(f"/proc/self/fd/{{n}}")]
os.write(said, json.dumps([daemon, commands.cat({said!r}), sockets]).encode())
os._exit(0)
"""
BY_FORK: Final = "service.context.start(Method.FORK)"
BY_HELPER: Final = f"""
from oslo_config import cfg
service.context.conf
cfg.CONF.set_override("helper_command", {HELPER!r}, group=service.context.cfg_section)
service.context.start()
"""


@pytest.mark.parametrize("closed", CLOSED, ids=str)
@pytest.mark.parametrize("start", [BY_FORK, BY_HELPER], ids=["fork", "helper"])
def test_closed_streams_stay_no_sockets(
    start: str, closed: tuple[int, ...], tmp_path: Path
) -> None:
    said = tmp_path / "said"
    said.touch()
    subprocess.run(
        [sys.executable, "-c", SERVICE.format(said=str(said), closed=closed, start=start)],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdin=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )
    daemon, output, sockets = json.loads(said.read_text())
    assert (output, sockets) == (["", ""], [])
    # it holds no end of its client's: so it sees that the client is gone
    wait_for_end(daemon)
