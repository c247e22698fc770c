"""The system's own commands that an installation needs: dpkg-divert, visudo, interpreters."""

import os
from collections.abc import Callable, Sequence
from shutil import which
from typing import Final

from privmigrate.errors import InputError
from privmigrate.linux.spawn import Program, spawn
from privmigrate.shim.pipes import communicate

_ADMIN_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"


def run(words: Sequence[str]) -> str:
    """Run a command of the system and give its output; raise InputError with what it says."""
    executable = which(words[0], path=_ADMIN_PATH)
    if executable is None:
        raise InputError(f"{words[0]} is not installed")
    environ = {"PATH": _ADMIN_PATH, "LC_ALL": "C.UTF-8"}

    def start(stdin: int, stdout: int, stderr: int) -> Callable[[], int]:
        program = Program(
            executable, tuple(words), environ, stdin=stdin, stdout=stdout, stderr=stderr
        )
        process = spawn(program)

        def wait() -> int:
            with process:
                return process.wait() or 0

        return wait

    status, out, err = communicate(start, b"")
    if status:
        said = "; ".join((err or out).decode(errors="replace").split("\n")).strip("; ")
        raise InputError(f"{' '.join(words)} failed: {said}")
    return out.decode(errors="replace")


def divert(path: str, diverted: str, root: str) -> None:
    """Have dpkg keep the package's file under another name, now and after every upgrade."""
    run(_divert(root, "--rename", "--divert", diverted, "--add", path))


def undivert(path: str, diverted: str, root: str) -> None:
    """Give the package its name back."""
    run(_divert(root, "--rename", "--divert", diverted, "--remove", path))


def _divert(root: str, *words: str) -> tuple[str, ...]:
    where = () if root == "/" else ("--root", root)
    return ("dpkg-divert", *where, "--local", *words)


def check_sudoers(path: str) -> None:
    """Have visudo read a sudoers file; a broken one would lock everybody out of sudo."""
    run(("visudo", "-cf", path))


_RUNS_SYSTEMD: Final = "/run/systemd/system"  # sd_booted(3)


def active_units(names: Sequence[str]) -> tuple[str, ...]:
    """Those that systemd has started; none where no systemd runs."""
    if not os.path.isdir(_RUNS_SYSTEMD):  # noqa: PTH112 - a text, as elsewhere here
        return ()
    found = []
    for name in names:
        state = run(("systemctl", "show", "--property=ActiveState", "--value", "--", name)).strip()
        if state not in {"inactive", "failed"}:
            found.append(name)
    return tuple(found)


def stop_units(names: Sequence[str]) -> None:
    """Have systemd stop units."""
    if names:
        run(("systemctl", "stop", "--", *names))


def reload_units() -> None:
    """Have systemd, where it runs, forget units whose files are gone."""
    if os.path.isdir(_RUNS_SYSTEMD):  # noqa: PTH112 - as above
        run(("systemctl", "daemon-reload"))


def check_interpreter(interpreter: str, python: str) -> None:
    """Raise InputError unless the client can confine by this interpreter, and that one finds us."""
    run_absolute((interpreter, "-I", "-S", "-c", "import _ctypes, _sre, binascii, marshal, posix"))
    try:
        run_absolute((python, "-I", "-c", "import privmigrate.shim.rootwrap_main"))
    except InputError as error:
        why = str(error).rpartition("; ")[2]  # of a traceback, what it is about
        raise InputError(
            f"{python} cannot run privmigrate: {why} (--python names the one that has it)"
        ) from error


def run_absolute(words: Sequence[str]) -> str:
    """Run a program by its path."""
    if not os.access(words[0], os.X_OK):
        raise InputError(f"{words[0]} cannot be executed")
    return run(words)
