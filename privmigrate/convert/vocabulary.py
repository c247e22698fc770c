"""Words of command lines that say what a parameter is, and those that only look as if they did.

Names are made from the text of the filters; these tables help where the text is too short for
that (``-c``) or misleading (``mkdir -p PATH``). Nothing here decides what is allowed.
"""

import re
from types import MappingProxyType
from typing import Final

# Commands whose options take no value as a word of its own: what follows is an operand.
FLAGS_WITHOUT_VALUE: Final = frozenset(
    (
        "blockdev", "cat", "chgrp", "chmod", "chown", "cp", "df", "du", "kill", "ln", "ls", "lvs",
        "mkdir", "mv", "ps", "pvs", "readlink", "rm", "rmdir", "sha256sum", "stat", "sync",
        "sysctl", "tee", "touch", "umount", "vgs",
    )
)  # fmt: skip

# Options that take no value in any command that has them.
PLAIN_FLAGS: Final = frozenset(
    (
        "--all", "--bind", "--brief", "--buffered", "--columns", "--force", "--if-exists", "--json",
        "--may-exist", "--move", "--no-heading", "--noheadings", "--nosuffix", "--parseable",
        "--quiet", "--rbind", "--readonly", "--recursive", "--script", "--summary", "--sync",
        "--test", "--thin", "--verbose", "--yes", "-exist",
    )
)  # fmt: skip

# The same by their form: --disable-xattrs, and -s0, which has its value.
_PLAIN: Final = re.compile(r"--(?:no|disable|enable)-[a-z-]+\Z|-[A-Za-z]\d+\Z")

# Options that say how something is printed or asked, not what is done: no part of a name.
NAMELESS_FLAGS: Final = frozenset(
    (
        "autobackup", "bare", "buffered", "columns", "force", "format", "if-exists", "may-exist",
        "no-heading", "no-trunc", "noheadings", "nosuffix", "output", "quiet", "separator",
        "summary", "timeout", "units", "verbose", "yes",
    )
)  # fmt: skip

# (command, option) -> what its value is, where the option itself is no good name.
FLAG_NAMES: Final = MappingProxyType(
    {
        ("arping", "-I"): "interface",
        ("arping", "-c"): "count",
        ("arping", "-s"): "source",
        ("arping", "-w"): "deadline",
        ("bash", "-c"): "script",
        ("dbus-send", "--dest"): "destination",
        ("haproxy", "-f"): "config",
        ("ionice", "-c"): "scheduling_class",
        ("ionice", "-n"): "level",
        ("mkfs", "-L"): "label",
        ("mkfs", "-t"): "filesystem",
        ("mount", "-o"): "options",
        ("mount", "-t"): "filesystem",
        ("ping", "-I"): "interface",
        ("ping", "-c"): "count",
        ("ping", "-w"): "deadline",
        ("ping6", "-I"): "interface",
        ("ping6", "-c"): "count",
        ("ping6", "-w"): "deadline",
        ("ploop", "-f"): "format",
        ("ploop", "-s"): "size",
        ("ploop", "-t"): "filesystem",
        ("sh", "-c"): "script",
        ("truncate", "-s"): "size",
        ("vtysh", "-N"): "namespace",
        ("vtysh", "-c"): "vty_command",
        ("vtysh", "-f"): "config",
        ("cgexec", "-g"): "group",
    }
)

# (command, option) -> what it asks for, where the option takes no value and is only a letter.
SWITCHES: Final = MappingProxyType(
    {
        ("chgrp", "-R"): "recursive",
        ("chmod", "-R"): "recursive",
        ("chown", "-R"): "recursive",
        ("cp", "-r"): "recursive",
        ("df", "-P"): "portability",
        ("exportfs", "-a"): "every",
        ("ln", "-s"): "symbolic",
        ("mkdir", "-p"): "parents",
        ("mount", "-r"): "read_only",
        ("ploop", "-r"): "read_only",
        ("rm", "-f"): "force",
        ("rm", "-r"): "recursive",
        ("umount", "-f"): "force",
        ("umount", "-l"): "lazy",
    }
)

# What operands are, from left to right.
OPERANDS: Final = MappingProxyType(
    {
        "arping": ("address",),
        "cat": ("path",),
        "chgrp": ("group", "path"),
        "chmod": ("mode", "path"),
        "chown": ("owner", "path"),
        "cp": ("source", "target"),
        "curl": ("url",),
        "df": ("path",),
        "du": ("path",),
        "e2fsck": ("device",),
        "find": ("path",),
        "kill": ("pid",),
        "ln": ("target", "link"),
        "ls": ("path",),
        "lvchange": ("volume",),
        "lvdisplay": ("volume",),
        "lvextend": ("volume",),
        "lvremove": ("volume",),
        "mkdir": ("path",),
        "mkfs.ext4": ("device",),
        "mount": ("device", "mountpoint"),
        "mv": ("source", "target"),
        "nc": ("host", "port"),
        "ncat": ("host", "port"),
        "ping": ("host",),
        "ping6": ("host",),
        "readlink": ("path",),
        "resize2fs": ("device",),
        "rm": ("path",),
        "rmdir": ("path",),
        "sha256sum": ("path",),
        "sleep": ("duration",),
        "tee": ("path",),
        "touch": ("path",),
        "truncate": ("path",),
        "umount": ("mountpoint",),
    }
)

# Words that say what is done: they name the function, not the parameter that follows.
VERBS: Final = frozenset(
    (
        "add", "addshare", "append", "attach", "change", "check", "clear", "close", "connect",
        "create", "del", "delete", "delshare", "destroy", "detach", "disable", "disconnect", "down",
        "drop", "dump", "enable", "exec", "export", "flush", "get", "getparm", "import", "info",
        "init", "insert", "kill", "link", "list", "load", "ls", "map", "modify", "mount", "move",
        "new", "put", "read", "reload", "remove", "rename", "replace", "reset", "resize",
        "restart", "restore", "root", "ingress", "run", "save", "send", "set", "setparm", "show",
        "showshare", "start", "status", "stop", "sync", "test", "unlink", "unmap", "unmount", "up",
        "update", "write",
    )
)  # fmt: skip


def is_verb(word: str) -> bool:
    """Whether a word says what is done: ``add``, and ``add-port`` as well."""
    return word.partition("-")[0].lower() in VERBS


# Endings of rule names that tell a rule from its twin and say nothing of what it does.
NAME_NOISE: Final = ("_filter", "_cmd", "_usr", "_sbin", "_bin", "_local", "_env", "_exec")

# Variables that decide which code a program loads: who sets them runs as root.
DANGEROUS_VARIABLES: Final = frozenset(
    (
        "BASH_ENV", "CDPATH", "ENV", "GCONV_PATH", "GETCONF_DIR", "HOSTALIASES", "IFS", "LD_AUDIT",
        "LD_LIBRARY_PATH", "LD_PRELOAD", "LOCALDOMAIN", "LOCPATH", "LUA_PATH", "MALLOC_TRACE",
        "NLSPATH", "NODE_PATH", "PATH", "PERL5LIB", "PERL5OPT", "PERLLIB", "PYTHONHOME",
        "PYTHONPATH", "PYTHONSTARTUP", "RES_OPTIONS", "RUBYLIB", "RUBYOPT", "SHELLOPTS", "TMPDIR",
    )
)  # fmt: skip


def takes_no_value(command: str, option: str) -> bool:
    """Whether what follows an option of a command is no value of it."""
    if command in FLAGS_WITHOUT_VALUE or option in PLAIN_FLAGS:
        return True
    return _PLAIN.match(option) is not None
