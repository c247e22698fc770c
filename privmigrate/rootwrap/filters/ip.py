"""IpFilter: ip, unless it runs other commands."""

import os
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Final

from privmigrate.examples import Allow, Deny
from privmigrate.rootwrap.command import Allowed, Denied
from privmigrate.rootwrap.filters.base import Filter

# ip(8) takes any beginning of these words for them; both objects have `exec`.
_OBJECTS: Final = ("netns", "vrf")


@dataclass(frozen=True, slots=True)
class IpFilter(Filter):
    """Allow ip with any arguments, but for those that run a command or a file of commands.

    Values: the executable, the user. Refused are `ip netns exec` and `ip vrf exec` in all their
    abbreviations, wherever they stand, and `-batch`; oslo.rootwrap refuses only the first. A rule
    for another executable than ip allows nothing.
    """

    EXAMPLES: ClassVar[tuple[Allow | Deny, ...]] = (
        Allow(
            "a link",
            "i: IpFilter, /sbin/ip, root",
            ("ip", "link", "set", "eth0", "up"),
            ("/sbin/ip", "link", "set", "eth0", "up"),
        ),
        Allow(
            "namespaces", "i: IpFilter, ip, root", ("ip", "netns", "list"), ("ip", "netns", "list")
        ),
        Deny(
            "exec in a namespace",
            "i: IpFilter, ip, root",
            ("ip", "netn", "ex", "blue", "sh"),
            "'netn ex' runs another command",
        ),
        Deny(
            "exec in a VRF",
            "i: IpFilter, ip, root",
            ("ip", "vrf", "exec", "red", "sh"),
            "'vrf exec' runs another command",
        ),
        Deny(
            "a file of commands",
            "i: IpFilter, ip, root",
            ("ip", "--bat", "/srv/commands"),
            "'--bat' reads commands from a file",
        ),
        Deny(
            "by its path", "i: IpFilter, /sbin/ip, root", ("/sbin/ip", "link"), "/sbin/ip is not ip"
        ),
        Deny(
            "a rule for another executable",
            "i: IpFilter, ncat, root",
            ("ip", "link"),
            "the rule would run ncat as ip",
        ),
    )

    def _decide(self, argv: tuple[str, ...]) -> Allowed | Denied:
        if argv[0] != "ip":
            return Denied(f"{argv[0]} is not ip")
        if os.path.basename(self.exec_path) != "ip":  # noqa: PTH119 - of words
            return Denied(f"the rule would run {self.exec_path} as ip")
        for word, following in pairwise(argv[1:]):
            if _begins(word, *_OBJECTS) and _begins(following, "exec"):
                return Denied(f"'{word} {following}' runs another command")
        for word in argv[1:]:
            if word.startswith("-") and _begins(word.removeprefix("-").removeprefix("-"), "batch"):
                return Denied(f"'{word}' reads commands from a file")
        return self._allow(argv[1:])


def _begins(word: str, *wholes: str) -> bool:
    return word != "" and any(whole.startswith(word) for whole in wholes)
