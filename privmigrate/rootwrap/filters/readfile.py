"""ReadFileFilter: cat of one file."""

from dataclasses import dataclass
from typing import ClassVar, Self

from privmigrate.diagnostics import Diagnostic
from privmigrate.examples import Allow, Deny
from privmigrate.rootwrap.command import Allowed, Denied
from privmigrate.rootwrap.filters.base import Filter
from privmigrate.rootwrap.rule import Rule


@dataclass(frozen=True, slots=True)
class ReadFileFilter(Filter):
    """Allow `cat FILE` for one file, spelled exactly so.

    Values: the file. It is read by root.
    """

    EXAMPLES: ClassVar[tuple[Allow | Deny, ...]] = (
        Allow(
            "the file",
            "r: ReadFileFilter, /etc/iscsi/initiatorname.iscsi",
            ("cat", "/etc/iscsi/initiatorname.iscsi"),
            ("/bin/cat", "/etc/iscsi/initiatorname.iscsi"),
        ),
        Deny(
            "another spelling",
            "r: ReadFileFilter, /etc/iscsi/initiatorname.iscsi",
            ("cat", "/etc/iscsi//initiatorname.iscsi"),
            "only 'cat /etc/iscsi/initiatorname.iscsi' is allowed",
        ),
        Deny(
            "a second file",
            "r: ReadFileFilter, /etc/hosts",
            ("cat", "/etc/hosts", "/etc/shadow"),
            "only 'cat /etc/hosts' is allowed",
        ),
        Deny(
            "cat by its path",
            "r: ReadFileFilter, /etc/hosts",
            ("/bin/cat", "/etc/hosts"),
            "only 'cat /etc/hosts' is allowed",
        ),
    )

    @classmethod
    def bind(cls, rule: Rule) -> Self | Diagnostic:
        """Take the file first: the command is always cat, the user always root."""
        return cls(rule, "/bin/cat", "root", rule.texts)

    def _decide(self, argv: tuple[str, ...]) -> Allowed | Denied:
        if argv != ("cat", self.args[0]):
            return Denied(f"only 'cat {self.args[0]}' is allowed")
        return self._allow(argv[1:])
