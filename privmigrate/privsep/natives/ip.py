"""``ip netns add NAME``, ``ip link set NAME up``: namespaces, links, addresses and routes."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.linux.netns import create, delete, is_name
from privmigrate.privsep.natives.base import DONE, LeftToTool
from privmigrate.privsep.running import ExecResult

if TYPE_CHECKING:
    from privmigrate.privsep.netlink import Request

_NETLINK: Final = "privmigrate.privsep.netlink"
_CALLS: Final = {"add": create, "del": delete, "delete": delete}
_WORDS: Final = 4


@dataclass(frozen=True, slots=True)
class Ip:
    """Make a namespace, or take its name away; change links, addresses and routes by netlink.

    The first namespace of a machine is made by the tool, which also prepares the folder of the
    names. `ip netns exec` executes something and so it stays a prefix.

    Links, addresses and routes are done where a module of the context imports
    `privmigrate.privsep.netlink` and pyroute2 is installed (`privmigrate[netlink]`), also inside a
    network namespace. Errors are the tool's own.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (
        Capability.CAP_DAC_OVERRIDE,
        Capability.CAP_NET_ADMIN,
        Capability.CAP_SYS_ADMIN,
    )
    EXAMPLES: ClassVar[tuple[Same | Kept, ...]] = (
        Same(
            "a new one",
            "ip netns add pm-first",
            ("ip", "netns", "add", "pm-example"),
            undo="ip netns exec pm-example true; ip netns del pm-example; ip netns del pm-first",
        ),
        Same(
            "a name less",
            "ip netns add pm-example",
            ("ip", "netns", "del", "pm-example"),
            undo="! test -e /run/netns/pm-example",
        ),
        Same("in long", "ip netns add pm-example", ("ip", "netns", "delete", "pm-example")),
        Same("a link that is up", "", ("ip", "link", "set", "lo", "up")),
        Same("an interface by dev", "", ("ip", "link", "set", "dev", "lo", "mtu", "65536")),
        Kept("several things of a link", ("ip", "link", "set", "lo", "mtu", "9", "up"), "in order"),
        Kept(
            "an address with more",
            ("ip", "addr", "add", "10.0.0.1/8", "brd", "+", "dev", "lo"),
            "seldom seen",
        ),
        Kept("addresses", ("ip", "addr", "show"), "prints"),
        Kept("inside another", ("ip", "-n", "x", "link", "set", "lo", "up"), "seldom seen"),
        Kept(
            "a route of a table",
            ("ip", "route", "add", "default", "dev", "lo", "table", "9"),
            "seldom seen",
        ),
        Kept("inside", ("ip", "netns", "exec", "x", "true"), "executes"),
        Kept("which there are", ("ip", "netns", "list"), "prints"),
        Kept("all", ("ip", "-all", "netns", "delete"), "nobody means this"),
        Kept("one of a process", ("ip", "netns", "attach", "x", "1"), "seldom seen"),
        Kept("no name", ("ip", "netns", "add", "a/b"), "the tool says what is wrong"),
        Kept("abbreviated", ("ip", "net", "a", "x"), "differs between versions"),
    )

    action: str
    name: str = ""
    request: "Request | None" = None
    within: None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """None of its words is one."""
        return ()

    @property
    def NAMESPACED(self) -> bool:  # noqa: N802 - of others it is a constant
        """Names of namespaces are the machine's; all else is a namespace's own."""
        return self.request is not None

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """A name to make or to take away, or a request of netlink."""
        if argv[1:2] != ("netns",):
            return cls._recognise_request(argv[1:])
        if len(argv) != _WORDS or argv[2] not in _CALLS:
            return None
        if not is_name(argv[3]) or argv[3].startswith("-"):
            return None
        return cls(argv[2], argv[3])

    @classmethod
    def _recognise_request(cls, words: tuple[str, ...]) -> Self | None:
        if _NETLINK not in sys.modules:
            return None  # no module of this context asks for it
        from privmigrate.privsep import netlink

        request = netlink.parse(words) if netlink.is_there() else None
        return None if request is None else cls("", "", request)

    def perform(self) -> ExecResult:
        """LeftToTool where it fails: then nothing was changed."""
        if self.request is not None:
            from privmigrate.privsep import netlink

            netlink.perform(self.request)
            return DONE
        try:
            _CALLS[self.action](self.name)
        except OSError as error:
            raise LeftToTool(str(error.strerror)) from None
        return DONE
