"""Programs with privileges of their own, for one session."""

import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from privmigrate.linux.capabilities import Capability
from tests.root.real import Programs


def file_capability(capability: Capability) -> bytes:
    """One capability as permitted and effective, in the form of linux/capability.h, revision 2."""
    mask = 1 << capability
    return struct.pack("<5I", 0x02000001, mask & 0xFFFFFFFF, 0, mask >> 32, 0)


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    folder = Path(tempfile.mkdtemp(prefix="privmigrate-", dir="/var/tmp"))
    if os.statvfs(folder).f_flag & os.ST_NOSUID:
        pytest.skip("/var/tmp is mounted nosuid: setuid programs cannot be tried")
    folder.chmod(0o755)

    def copy(name: str, mode: int, capability: Capability | None = None) -> str:
        path = folder / name
        shutil.copy("/bin/cat", path)
        path.chmod(mode)
        if capability is not None:
            os.setxattr(path, "security.capability", file_capability(capability))
        return str(path)

    yield Programs(
        plain=copy("plain", 0o755),
        setuid=copy("setuid", 0o4755),
        net_raw=copy("net_raw", 0o755, Capability.CAP_NET_RAW),
        sys_admin=copy("sys_admin", 0o755, Capability.CAP_SYS_ADMIN),
    )
    shutil.rmtree(folder)
