"""A limited command is started by vfork: a large daemon is not copied for it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.root

DAEMON = """
import os
import threading
from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.linux.credentials import Identity
from privmigrate.linux.spawn import Program, spawn
from privmigrate.privsep.daemon.drop import drop
from privmigrate.privsep.daemon.profile import Profile

both = CapabilitySet.parse("CAP_NET_ADMIN CAP_SETUID CAP_SETGID")
drop(Profile(both, uid=2000, gid=2000))

def work(limit, count):
    for _ in range(count):
        with spawn(Program("/bin/true", ("true",), {}), capabilities=limit) as process:
            assert process.wait() == 0

threads = [
    threading.Thread(target=work, args=(CapabilitySet.parse(text), 10))
    for text in ("none", "CAP_NET_ADMIN")
]
for one in threads:
    one.start()
for one in threads:
    one.join()
work(None, 5)
null = os.open("/dev/null", os.O_RDWR)
for limit in (None, both):
    program = Program("/bin/true", ("true",), {}, umask=-1, stdin=null, stdout=null, stderr=null)
    with spawn(program, capabilities=limit) as process:
        assert process.wait() == 0
with spawn(Program("/bin/true", ("true",), {}), user=Identity(3000, 3000, ())) as process:
    assert process.wait() == 0
"""


# INV-6
def test_only_a_command_of_another_user_is_forked(tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace (Debian package strace)")
    log = tmp_path / "log"
    calls = "trace=vfork,fork,clone,clone3,execve"
    done = subprocess.run(
        [strace, "-f", "-qq", "-o", log, "-e", calls, sys.executable, "-c", DAEMON],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    lines = log.read_text().splitlines()
    assert sum("true" in line and "execve(" in line for line in lines) == 28
    vforked = [line for line in lines if re.search(r"\bvfork\(|CLONE_VFORK", line)]
    forked = [
        line
        for line in lines
        if re.search(r"\b(fork|clone|clone3)\(", line) and "CLONE_VM" not in line
    ]
    assert len(vforked) == 27
    assert len(forked) == 1
