"""Programs with privileges of their own, for one session."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.root.real import Programs


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    folder = Path(tempfile.mkdtemp(prefix="privmigrate-", dir="/var/tmp"))
    if os.statvfs(folder).f_flag & os.ST_NOSUID:
        pytest.skip("/var/tmp is mounted nosuid: setuid programs cannot be tried")
    folder.chmod(0o755)

    def copy(name: str, mode: int, capabilities: str = "") -> str:
        path = folder / name
        shutil.copy("/bin/cat", path)
        path.chmod(mode)
        if capabilities:
            subprocess.run(["setcap", capabilities, path], check=True)
        return str(path)

    yield Programs(
        plain=copy("plain", 0o755),
        setuid=copy("setuid", 0o4755),
        net_raw=copy("net_raw", 0o755, "cap_net_raw=ep"),
        sys_admin=copy("sys_admin", 0o755, "cap_sys_admin=ep"),
    )
    shutil.rmtree(folder)
