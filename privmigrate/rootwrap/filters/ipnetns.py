"""IpNetnsExecFilter: another allowed command, in a network namespace."""

import os
from dataclasses import dataclass
from typing import ClassVar, Final

from privmigrate.examples import Allow, Deny
from privmigrate.rootwrap.command import Allowed, Denied
from privmigrate.rootwrap.filters.base import ChainFilter

_NETNS: Final = ("net", "netn", "netns")
_EXEC: Final = ("e", "ex", "exe", "exec")
_PREFIX: Final = 4


@dataclass(frozen=True, slots=True)
class IpNetnsExecFilter(ChainFilter):
    """Allow `ip netns exec NAMESPACE COMMAND...` where the command has a filter of its own.

    Values: the executable, the user, which has to be root. The command has to be allowed for the
    same user, and not by a chain. It is checked as it will run: oslo.rootwrap takes the folder off
    its name first, and then lets ip run the unchecked path. The namespace is a name, not a path
    that leads to any namespace file.
    """

    EXAMPLES: ClassVar[tuple[Allow | Deny, ...]] = (
        Allow(
            "a command in a namespace",
            "n: IpNetnsExecFilter, ip, root",
            ("ip", "netns", "exec", "blue", "ping", "-c1", "::1"),
            ("ip", "netns", "exec", "blue", "ping", "-c1", "::1"),
        ),
        Deny(
            "no command",
            "n: IpNetnsExecFilter, ip, root",
            ("ip", "netns", "exec", "blue"),
            "only 'ip netns exec NAMESPACE COMMAND' is allowed",
        ),
        Deny(
            "no exec",
            "n: IpNetnsExecFilter, ip, root",
            ("ip", "netns", "delete", "blue", "red"),
            "only 'ip netns exec NAMESPACE COMMAND' is allowed",
        ),
        Deny(
            "a path as namespace",
            "n: IpNetnsExecFilter, ip, root",
            ("ip", "netns", "exec", "../../proc/1/ns/net", "ping"),
            "'../../proc/1/ns/net' is not the name of a namespace",
        ),
        Deny(
            "another user",
            "n: IpNetnsExecFilter, ip, nova",
            ("ip", "netns", "exec", "blue", "ping"),
            "namespaces need root, and the rule says nova",
        ),
        Deny(
            "a rule for another executable",
            "n: IpNetnsExecFilter, ncat, root",
            ("ip", "netns", "exec", "blue", "ping"),
            "the rule would run ncat as ip",
        ),
    )

    def _decide(self, argv: tuple[str, ...]) -> Allowed | Denied:
        if len(argv) <= _PREFIX or not (argv[0] == "ip" and argv[1] in _NETNS and argv[2] in _EXEC):
            return Denied("only 'ip netns exec NAMESPACE COMMAND' is allowed")
        if self.run_as != "root":
            return Denied(f"namespaces need root, and the rule says {self.run_as}")
        if os.path.basename(self.exec_path) != "ip":  # noqa: PTH119 - of words
            return Denied(f"the rule would run {self.exec_path} as ip")
        if not _is_name(argv[3]):
            return Denied(f"{argv[3]!r} is not the name of a namespace")
        return self._allow(argv[1:])

    def chained(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """What stands behind the namespace."""
        return argv[_PREFIX:]


def _is_name(namespace: str) -> bool:
    return namespace not in {"", ".", ".."} and "/" not in namespace and namespace[0] != "-"
