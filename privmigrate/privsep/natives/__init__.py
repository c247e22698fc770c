"""Commands that the daemon does itself: no process, no PATH, no output to parse.

`NATIVES` is what a reviewer reads: everything that acts with privilege without executing a
program of its own, by the name of the tool whose work it does. `do` is what bodies of commands
call: a native where the command line is one that it recognises, the tool otherwise.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

from privmigrate.errors import Refused
from privmigrate.privsep.execute import (
    PLANNING,
    Executable,
    ExecutableNotFound,
    Planned,
    Prefix,
    acting,
    run,
)
from privmigrate.privsep.natives.base import LeftToTool, Native
from privmigrate.privsep.natives.cat import cat
from privmigrate.privsep.natives.kill import kill
from privmigrate.privsep.running import ExecResult, go_on

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["NATIVES", "Native", "cat", "do", "find", "kill"]

NATIVES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "blockdev": "--getsize64 of a block device",
        "cat": "one regular file, bounded",
        "chgrp": "the group of files, or of a tree without following its links",
        "chmod": "octal and symbolic modes",
        "chown": "the owner of files, or of a tree without following its links",
        "cp": "one plain file",
        "install": "-d: folders with a mode",
        "ip": "network namespaces; links, addresses and routes where a context asks for it",
        "kill": "one process, held by a pidfd while its executable is looked at",
        "ln": "one link, hard or symbolic",
        "ls": "the names in one folder",
        "mkdir": "folders, with those above them if asked to",
        "mount": "bind mounts and propagation",
        "mv": "one rename",
        "readlink": "a link's target, or a path without links",
        "rm": "files, or trees from folder to folder",
        "rmdir": "empty folders",
        "stat": "-c: fields of files and file systems",
        "sysctl": "keys below /proc/sys",
        "tee": "its input into files",
        "touch": "files that exist afterwards, and their times",
        "truncate": "sizes of files",
        "umount": "a mount that needs no helper",
    }
)

# Where distributions put the tools; one of that name elsewhere is another program.
_FOLDERS: Final = frozenset({"", "/bin", "/sbin", "/usr/bin", "/usr/sbin"})
# Files of processes, and other names for what the daemon itself has open.
_OF_PROCESS: Final = re.compile(r"/*(proc/+([0-9]|self|thread-self)|dev/+(fd|std))")
# Languages that messages and order come in as natives have them.
_PLAIN_LANGUAGES: Final = frozenset({"", "C", "POSIX", "C.UTF-8", "C.utf8"})


def find(tool: str) -> type[Native] | None:  # noqa: C901, PLR0912 - a table
    """The native that does this tool's work; each is loaded when it is first asked for."""
    match tool:
        case "blockdev":
            from privmigrate.privsep.natives.blockdev import Blockdev

            return Blockdev
        case "cat":
            from privmigrate.privsep.natives.cat import Cat

            return Cat
        case "chgrp":
            from privmigrate.privsep.natives.chgrp import Chgrp

            return Chgrp
        case "chmod":
            from privmigrate.privsep.natives.chmod import Chmod

            return Chmod
        case "chown":
            from privmigrate.privsep.natives.chown import Chown

            return Chown
        case "cp":
            from privmigrate.privsep.natives.cp import Cp

            return Cp
        case "install":
            from privmigrate.privsep.natives.install import Install

            return Install
        case "ip":
            from privmigrate.privsep.natives.ip import Ip

            return Ip
        case "kill":
            from privmigrate.privsep.natives.kill import Kill

            return Kill
        case "ln":
            from privmigrate.privsep.natives.ln import Ln

            return Ln
        case "ls":
            from privmigrate.privsep.natives.ls import Ls

            return Ls
        case "mkdir":
            from privmigrate.privsep.natives.mkdir import Mkdir

            return Mkdir
        case "mount":
            from privmigrate.privsep.natives.mount import Mount

            return Mount
        case "mv":
            from privmigrate.privsep.natives.mv import Mv

            return Mv
        case "readlink":
            from privmigrate.privsep.natives.readlink import Readlink

            return Readlink
        case "rm":
            from privmigrate.privsep.natives.rm import Rm

            return Rm
        case "rmdir":
            from privmigrate.privsep.natives.rmdir import Rmdir

            return Rmdir
        case "stat":
            from privmigrate.privsep.natives.stat import Stat

            return Stat
        case "sysctl":
            from privmigrate.privsep.natives.sysctl import Sysctl

            return Sysctl
        case "tee":
            from privmigrate.privsep.natives.tee import Tee

            return Tee
        case "touch":
            from privmigrate.privsep.natives.touch import Touch

            return Touch
        case "truncate":
            from privmigrate.privsep.natives.truncate import Truncate

            return Truncate
        case "umount":
            from privmigrate.privsep.natives.umount import Umount

            return Umount
        case _:
            return None


def do(
    executable: Executable,
    *args: str | int,
    env: Mapping[str, str] | None = None,
    stdin: str | bytes | None = None,
    user: str | None = None,
    under: Prefix | None = None,
    within: str | None = None,
) -> ExecResult:
    """Do what `run` would do with the same arguments, by system calls where a native can.

    With `within` the paths are known to lie in that folder: a native follows no link below it,
    and what none can do, or knows, is refused instead of left to the tool.
    """
    words = tuple(arg if isinstance(arg, str) else str(arg) for arg in args)
    found = None if user is not None or not _is_plain(env) else _recognise(executable, words)
    if found is None or not _fits(found[1], under):
        if within is None or _is_missing(executable):
            return run(executable, *args, env=env, stdin=stdin, user=user, under=under)
        # what a caller words so that no native knows it, the tool would do through any link
        raise Refused(f"{executable.candidates[0]}: not as it is asked for, below a folder")
    path, native = found
    data = stdin.encode("utf-8", "surrogateescape") if isinstance(stdin, str) else stdin
    plan = PLANNING.current()
    if plan is not None:
        argv = (*(() if under is None else under.words()), path, *words)
        name = path.rpartition("/")[2]
        return plan(Planned(argv, tuple(sorted((env or {}).items())), None, name, data))
    if within is not None:
        native = _with(native, within=within)
    if hasattr(native, "stdin"):
        native = _with(native, stdin=data or b"")
    go_on()
    try:
        with acting(under):
            return native.perform() if under is None else _inside(native, under)
    except LeftToTool as left:
        if within is not None:
            raise Refused(f"{path.rpartition('/')[2]}: {left}") from None
    return run(executable, *args, env=env, stdin=stdin, under=under)


def _is_missing(executable: Executable) -> bool:
    try:
        executable.resolve()
    except ExecutableNotFound:
        return True
    return False


def _recognise(executable: Executable, words: tuple[str, ...]) -> tuple[str, Native] | None:
    """The tool's path, and the native for this command line."""
    try:
        path = executable.resolve()
    except ExecutableNotFound:
        return None
    folder, _, tool = path.rpartition("/")
    kind = find(tool) if folder in _FOLDERS else None
    native = None if kind is None else kind.recognise((tool, *words))
    if native is None:
        return None
    if any(_OF_PROCESS.match(path) for path in native.paths):
        return None  # "self" would be the daemon
    if any(not path.startswith("/") for path in native.paths) and os.getcwd() != "/":  # noqa: PTH109
        return None  # commands run in /, this process does not
    return path, native


def _with(native: Native, **changes: object) -> Native:
    return cast("Native", replace(cast("DataclassInstance", native), **changes))


def _is_plain(env: Mapping[str, str] | None) -> bool:
    """Whether these variables only ask for a language that natives speak."""
    return all(
        (name in {"LANG", "LANGUAGE"} or name.startswith("LC_")) and value in _PLAIN_LANGUAGES
        for name, value in (env or {}).items()
    )


def _fits(native: Native, under: Prefix | None) -> bool:
    """Whether nothing stands in front, or a network namespace that the native can be done in."""
    if under is None:
        return True
    from privmigrate.privsep.types import Netns

    return isinstance(under, Netns) and bool(getattr(native, "NAMESPACED", False))


def _inside(native: Native, under: Prefix) -> ExecResult:
    from privmigrate.linux.netns import call_inside, open_named

    try:
        namespace = open_named(cast("str", getattr(under, "name", "")))
    except Refused as refused:
        raise LeftToTool(str(refused)) from None  # ip says what is wrong
    try:
        return call_inside(namespace, native.perform)
    finally:
        os.close(namespace)
