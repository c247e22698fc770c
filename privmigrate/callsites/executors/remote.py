"""``self._ssh_exec(server, ['sudo', ...])``: another host, or this one, by who made the object."""

import re
from typing import Final

from privmigrate.callsites.executors.base import Callee, Executor
from privmigrate.callsites.site import Convention, Reason
from privmigrate.examples import Ignored, Yields

LIKE_SSH: Final = re.compile(r"_*(?:\w+_)?(?:ssh|remote)_exec\w*\Z")


class Remote(Executor):
    """A list that begins with ``sudo``, as one of several arguments.

    manila's helpers get such a function: its LVM driver runs the command as root on this host, its
    generic driver on a server. Both are told, and neither is ever replaced without a person.
    """

    SEEDS = (b"ssh_exec", b"remote_exec")
    CONVENTION = Convention.LIST
    ALWAYS_ROOT = True
    SENTINEL = True
    DOUBTS = (Reason.REMOTE,)
    EXAMPLES = (
        Yields(
            "a helper that may be on either host",
            """\
            class Helper:
                def __init__(self, ssh_execute):
                    self._ssh_exec = ssh_execute

                def export(self, server, path):
                    self._ssh_exec(server, ['sudo', 'exportfs', '-o', 'rw', path])
            """,
            ("exportfs -o rw {path}",),
        ),
        Ignored(
            "as an ordinary user",
            """\
            class Helper:
                def look(self, server, path):
                    self._ssh_exec(server, ['ls', path])
            """,
        ),
    )

    def recognises(self, callee: Callee) -> bool:
        """Tell it by its name, and by the word that says that it needs root."""
        return not callee.target and callee.sudo >= 0 and bool(LIKE_SSH.match(callee.name))
