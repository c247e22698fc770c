"""Commands that the daemon does by system calls, with more and less of its capabilities."""

from typing import Annotated, Literal

from privmigrate.argv.spec import AbsolutePath, Matches, PathWithin
from privmigrate.linux.capabilities import read_sets
from privmigrate.privsep import ExecResult, Executable, capabilities, command, natives
from privmigrate.privsep.types import Netns
from tests.privsep.service import context

DIRS = ("/sbin", "/usr/sbin", "/bin", "/usr/bin")
CHMOD = Executable("chmod", dirs=DIRS)
CHOWN = Executable("chown", dirs=DIRS)
TEE = Executable("tee", dirs=DIRS)
CAT = Executable("cat", dirs=DIRS)
RM = Executable("rm", dirs=DIRS)
SYSCTL = Executable("sysctl", dirs=DIRS)
IP = Executable("ip", dirs=DIRS)

Path = Annotated[str, AbsolutePath()]
Mode = Literal["0640", "2755"]


@context.entrypoint
@command(capabilities=(capabilities.CAP_FOWNER,))
def chmod(mode: Mode, path: Path) -> ExecResult:
    """Change a mode with what that needs."""
    return natives.do(CHMOD, mode, path)


@context.entrypoint
@command(capabilities=())
def chmod_without(mode: Mode, path: Path) -> ExecResult:
    """Change a mode without any capability."""
    return natives.do(CHMOD, mode, path)


@context.entrypoint
@command
def chmod_with_all(mode: Mode, path: Path) -> ExecResult:
    """Change a mode with all that the context has."""
    return natives.do(CHMOD, mode, path)


@context.entrypoint
@command(capabilities=())
def cat_without(path: Path) -> ExecResult:
    """Read a file without any capability, by the native's own function."""
    return natives.cat(path)


@context.entrypoint
@command(capabilities=(capabilities.CAP_CHOWN,))
def chown(owner: Annotated[str, Matches("[a-z0-9:]+")], path: Path) -> ExecResult:
    """Change an owner."""
    return natives.do(CHOWN, owner, path)


@context.entrypoint
@command
def tee(path: Path, stdin: str) -> ExecResult:
    """Write a file."""
    return natives.do(TEE, path, stdin=stdin)


@context.entrypoint
@command(capabilities=(capabilities.CAP_DAC_OVERRIDE,))
def rm(path: Annotated[str, PathWithin("/var/tmp")]) -> ExecResult:
    """Remove a tree."""
    return natives.do(RM, "-rf", path, within="/var/tmp")


@context.entrypoint
@command(capabilities=())
def sysctl(
    setting: Annotated[str, Matches(r"net[./][a-zA-Z0-9_./]+(=[0-9])?")],
    *,
    under: Netns | None = None,
) -> ExecResult:
    """Read or write one setting, in a namespace."""
    return natives.do(SYSCTL, setting, under=under)


@context.entrypoint
@command(capabilities=(capabilities.CAP_SYS_ADMIN, capabilities.CAP_DAC_OVERRIDE))
def netns(action: Literal["add", "del"], name: Annotated[str, Matches("pm-[a-z]+")]) -> ExecResult:
    """Make a namespace or take its name away."""
    return natives.do(IP, "netns", action, name)


@context.entrypoint
def held() -> int:
    """What the thread of this call has in effect."""
    return read_sets().effective.mask
