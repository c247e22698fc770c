"""CommandFilter: one executable, any arguments."""

from dataclasses import dataclass
from typing import ClassVar

from privmigrate.examples import Allow, Deny
from privmigrate.rootwrap.command import Allowed, Denied
from privmigrate.rootwrap.filters.base import Filter


@dataclass(frozen=True, slots=True)
class CommandFilter(Filter):
    """Allow one executable, called by its path or by its base name, with any arguments.

    Values: the executable, the user. Further values have no effect. What runs is always the
    executable of the rule; a bare name is looked up in exec_dirs. As the arguments are free, a
    rule for a tool that can write files or run programs is as good as a root shell.
    """

    EXAMPLES: ClassVar[tuple[Allow | Deny, ...]] = (
        Allow(
            "by base name",
            "k: CommandFilter, /sbin/kpartx, root",
            ("kpartx", "-a", "/dev/x"),
            ("/sbin/kpartx", "-a", "/dev/x"),
        ),
        Allow(
            "by path", "k: CommandFilter, /sbin/kpartx, root", ("/sbin/kpartx",), ("/sbin/kpartx",)
        ),
        Allow(
            "further values have no effect",
            "d: CommandFilter, drv_cfg, root, --query_guid",
            ("drv_cfg", "--rescan"),
            ("drv_cfg", "--rescan"),
        ),
        Deny(
            "the same name elsewhere",
            "k: CommandFilter, /sbin/kpartx, root",
            ("/srv/kpartx",),
            "/srv/kpartx is not /sbin/kpartx",
        ),
        Deny("no command", "k: CommandFilter, /sbin/kpartx, root", (), "no command was given"),
        Deny(
            "a folder as executable has an empty base name",
            "k: CommandFilter, /sbin/, root",
            ("",),
            "no command was given",
        ),
        Deny(
            "NUL in a word",
            "k: CommandFilter, kpartx, root",
            ("kpartx", "a\0b"),
            "a word contains NUL, which no command line can",
        ),
    )

    def _decide(self, argv: tuple[str, ...]) -> Allowed | Denied:
        return self._other_command(argv[0]) or self._allow(argv[1:])
