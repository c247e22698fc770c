"""The types of parameters that generated commands have, and what may stand in front of them."""

from typing import Annotated, Final, Literal, NamedTuple

from privmigrate.argv.spec import (
    AbsolutePath,
    Any,
    Choice,
    Data,
    Int,
    Key,
    Matches,
    PathWithin,
)
from privmigrate.linux.capabilities import Capability
from privmigrate.privsep.execute import Executable, Prefix

__all__ = [
    "AbsolutePath",
    "Any",
    "Argument",
    "Choice",
    "Data",
    "Digits",
    "EnvValue",
    "Int",
    "Key",
    "Matches",
    "Netns",
    "Operand",
    "PathWithin",
    "Pid",
    "Prefix",
    "Stdin",
    "Word",
]

Argument = Annotated[str | int, Any()]
"""Any word: of a command that the filter left as wide as this."""

Operand = Annotated[str | int, Any(operand=True, newline=False)]
"""A word that no tool takes for an option."""

Word = Annotated[str | int, Any(operand=True, empty=False, newline=False)]
"""An operand that is not empty."""

Digits = Annotated[int | str, Int()]
"""A number without sign, given as one or as its ASCII digits."""

EnvValue = Annotated[str | int, Any()]
"""The value of an environment variable."""

Pid = Annotated[int | str, Int(minimum=1, maximum=2**22)]
"""A process: never 0 or negative, which kill(2) takes for groups. PID_MAX_LIMIT is 2**22."""

Stdin = Annotated[str | bytes | None, Data()]
"""What a command reads from its standard input; no word, so anything goes."""

_IP: Final = Executable("ip", dirs=("/sbin", "/usr/sbin", "/bin", "/usr/bin"))


class Netns(NamedTuple):
    """Execute in a network namespace, by ``ip netns exec NAME``.

    The name is one of a file below /run/netns, so it holds no slash and begins with no dot.
    """

    name: Annotated[str, Matches(r"[^/\s.-][^/\s]*")]
    prefix: Literal["Netns"] = "Netns"

    def words(self) -> tuple[str, ...]:
        """The words in front of the command."""
        return (_IP.resolve(), "netns", "exec", self.name)

    def needs(self) -> tuple[int, ...]:
        """To enter the namespace, and to mount its /sys."""
        return (Capability.CAP_NET_ADMIN, Capability.CAP_SYS_ADMIN)
