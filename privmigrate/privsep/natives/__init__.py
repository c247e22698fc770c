"""Commands that the daemon does itself: no process, no PATH, no output to parse.

`NATIVES` is what a reviewer reads: everything that acts with privilege without executing a
program of its own, by the name of the tool whose work it does.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from privmigrate.privsep.natives.base import Native
from privmigrate.privsep.natives.cat import Cat, cat
from privmigrate.privsep.natives.kill import Kill, kill

__all__ = ["NATIVES", "Native", "cat", "kill"]

NATIVES: Final[Mapping[str, type[Native]]] = MappingProxyType(
    {
        "cat": Cat,  # one regular file, bounded
        "kill": Kill,  # one process, held by a pidfd while its executable is looked at
    }
)
