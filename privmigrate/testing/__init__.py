"""For tests of services: see what commands would be executed, and execute none.

    with recording() as commands:
        privileged.volume.lvs_noheadings(lv="volume-1")
    assert commands[0].argv == ("/sbin/lvs", "--noheadings", "volume-1")

Every check is made as in the daemon. What is recorded is the whole command line, chain prefixes
included, with the executable's path, or its first candidate where it is not installed.
"""

from privmigrate.testing.forward import Forwarding
from privmigrate.testing.record import recording

__all__ = ["Forwarding", "recording"]
