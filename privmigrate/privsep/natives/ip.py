"""``ip netns add NAME``, ``ip netns delete NAME``: names of network namespaces."""

from dataclasses import dataclass
from typing import ClassVar, Final, Self

from privmigrate.examples import Kept, Same
from privmigrate.linux.capabilities import Capability
from privmigrate.linux.netns import create, delete, is_name
from privmigrate.privsep.natives.base import DONE, LeftToTool
from privmigrate.privsep.running import ExecResult

_CALLS: Final = {"add": create, "del": delete, "delete": delete}
_WORDS: Final = 4


@dataclass(frozen=True, slots=True)
class Ip:
    """Make a namespace, or take its name away.

    The first of a machine is made by the tool, which also prepares the folder of the names. Errors
    are the tool's own. ``ip netns exec`` executes something and so it stays a prefix.
    """

    CAPABILITIES: ClassVar[tuple[Capability, ...]] = (
        Capability.CAP_DAC_OVERRIDE,
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
        Kept("inside", ("ip", "netns", "exec", "x", "true"), "executes"),
        Kept("which there are", ("ip", "netns", "list"), "prints"),
        Kept("all", ("ip", "-all", "netns", "delete"), "nobody means this"),
        Kept("one of a process", ("ip", "netns", "attach", "x", "1"), "seldom seen"),
        Kept("no name", ("ip", "netns", "add", "a/b"), "the tool says what is wrong"),
        Kept("abbreviated", ("ip", "net", "a", "x"), "differs between versions"),
    )
    SILENT: ClassVar[bool] = True

    action: str
    name: str
    within: None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """None of its words is one."""
        return ()

    @classmethod
    def recognise(cls, argv: tuple[str, ...]) -> Self | None:
        """A name to make or to take away."""
        if len(argv) != _WORDS or argv[1] != "netns" or argv[2] not in _CALLS:
            return None
        if not is_name(argv[3]) or argv[3].startswith("-"):
            return None
        return cls(argv[2], argv[3])

    def perform(self) -> ExecResult:
        """LeftToTool where it fails: then nothing was changed."""
        try:
            _CALLS[self.action](self.name)
        except OSError as error:
            raise LeftToTool(str(error.strerror)) from None
        return DONE
