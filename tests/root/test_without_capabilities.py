"""What a command of uid 0 without any capability can do, and cannot: docs/threat-model.md."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from privmigrate.linux.capabilities import NONE, CapabilitySet
from privmigrate.linux.spawn import Program, spawn
from privmigrate.privsep.daemon.profile import Profile
from privmigrate.shim import client
from tests.root.real import in_daemon

pytestmark = pytest.mark.root

OTHER = 4321
KEPT = CapabilitySet.parse("CAP_CHOWN CAP_DAC_OVERRIDE CAP_KILL CAP_SYS_ADMIN CAP_SYS_PTRACE")
WAYS = ("daemon", "wide daemon", "shim")
PYTHON = f"{sys.executable} -I -c"


@dataclass(frozen=True)
class Scene:
    """What is there to be attacked: files and processes of root and of somebody else."""

    folder: Path
    roots: int
    others: int

    def variables(self) -> dict[str, str]:
        """For a script."""
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "FOLDER": str(self.folder),
            "ROOTS": str(self.roots),
            "OTHERS": str(self.others),
        }


@contextmanager
def sleeping(uid: int) -> Iterator[int]:
    """A process of a user, with all that such a one usually holds."""
    with subprocess.Popen(["/bin/sleep", "600"], user=uid) as process:
        yield process.pid
        process.kill()


@pytest.fixture
def scene() -> Iterator[Scene]:
    folder = Path(tempfile.mkdtemp(prefix="pm-none-", dir="/var/tmp"))
    folder.chmod(0o755)
    for name, uid in (("root", 0), ("other", OTHER)):
        (folder / name).write_text("x")
        (folder / name).chmod(0o600)
        os.chown(folder / name, uid, uid)
    (folder / "theirs").mkdir(mode=0o700)
    (folder / "theirs" / "file").touch()
    os.chown(folder / "theirs", OTHER, OTHER)
    with sleeping(0) as roots, sleeping(OTHER) as others:
        yield Scene(folder, roots, others)
    shutil.rmtree(folder)


def succeeds(script: str, scene: Scene, way: str) -> bool:
    """Whether a shell's script does, as a command of uid 0 that holds nothing."""
    if way == "shim":
        return by_shim(script, scene)

    def body() -> int | None:
        program = Program("/bin/sh", ("sh", "-ec", script), scene.variables())
        with spawn(program, capabilities=NONE if way == "wide daemon" else None) as process:
            return process.wait()

    return in_daemon(Profile(KEPT if way == "wide daemon" else NONE), body) == {"value": 0}


def by_shim(script: str, scene: Scene) -> bool:
    """The same by what the shim's client does before it becomes a command."""
    pid = os.fork()
    if pid == 0:
        try:
            client.confine(0, setuid=False)
            os.execve("/bin/sh", ("sh", "-ec", script), scene.variables())
        finally:
            os._exit(99)
    return os.waitpid(pid, 0)[1] == 0


CAN = {
    "write root's files": "echo y > $FOLDER/root",
    "open them to everybody": "chmod 666 $FOLDER/root",
    "make a program that is root for whoever starts it": (
        "cp /bin/true $FOLDER/program; chmod 4755 $FOLDER/program; [ -u $FOLDER/program ]"
    ),
    "say what the kernel executes as root": (
        "cat /proc/sys/kernel/core_pattern > $FOLDER/pattern;"
        " cat $FOLDER/pattern > /proc/sys/kernel/core_pattern"
    ),
    "signal root's processes, whatever they hold": "kill -STOP $ROOTS; kill -CONT $ROOTS",
}
CANNOT = {
    "read another user's file": "cat $FOLDER/other",
    "remove one from that user's folder": "rm $FOLDER/theirs/file",
    "take one over": "chmod 666 $FOLDER/other",
    "give a file away": "chown 4321 $FOLDER/root",
    "signal another user's process": "kill -URG $OTHERS",
    "look into a process that holds more": "cat /proc/$ROOTS/environ",
    "look into the daemon": "cat /proc/$PPID/environ",
    "look into another user's process": "cat /proc/$OTHERS/environ",
    "become another user": f"{PYTHON} 'import os; os.setuid(4321)'",
    "take another group": f"{PYTHON} 'import os; os.setgroups([6])'",
    "give a program capabilities": (
        f"cp /bin/true $FOLDER/p; {PYTHON} 'import os, sys; os.setxattr(sys.argv[1],"
        ' "security.capability", bytes.fromhex("0100000200000000" + "ff" * 4 + "00" * 8))\''
        " $FOLDER/p"
    ),
    "mount": "mount -t tmpfs none $FOLDER",
    "leave the mount namespace": "unshare -m true",
    "enter a process's namespaces": "nsenter -t $ROOTS -m true",
    "make a device": "mknod $FOLDER/device b 7 0",
    "change the root folder": "chroot / true",
    "configure the network": "ip link set lo mtu 65536",
    "rename the machine": f"{PYTHON} 'import socket; socket.sethostname(socket.gethostname())'",
    "raise its priority": "[ $(nice -n -5 nice) = -5 ]",
}
FROM_A_USER_NAMESPACE = {
    "read another user's file": "unshare -Ur cat $FOLDER/other",
    "mount for others": "unshare -Urm mount -t tmpfs none $FOLDER; [ ! -e $FOLDER/root ]",
    "make a device": "unshare -Urm mknod $FOLDER/device b 7 0",
    "signal another user's process": "unshare -Ur kill -URG $OTHERS",
    "look into a process that holds more": "unshare -Ur cat /proc/$ROOTS/environ",
    "configure the network outside": "unshare -Ur ip link set lo mtu 65536",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", CAN)
def test_what_uid_0_can_do_without_any(what: str, scene: Scene, way: str) -> None:
    """Being the owner is no capability: none of these is held back."""
    assert succeeds(CAN[what], scene, way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", CANNOT)
def test_what_it_cannot(what: str, scene: Scene, way: str) -> None:
    assert not succeeds(CANNOT[what], scene, way)


@pytest.mark.parametrize("what", CANNOT)
def test_whoever_holds_everything_can(what: str, scene: Scene) -> None:
    """So it is for want of a capability, and not of a program."""
    script = f"{CANNOT[what]}; true"
    words = ("unshare", "-mnu", "--propagation", "private", "sh", "-ec", script)
    subprocess.run(words, env=scene.variables(), check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", FROM_A_USER_NAMESPACE)
def test_a_user_namespace_leads_no_further(what: str, scene: Scene, way: str) -> None:
    """Where the kernel lets nobody make one, neither."""
    assert not succeeds(FROM_A_USER_NAMESPACE[what], scene, way)
