"""Everything that a rule may look at, gathered once; rules read nothing themselves."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from privmigrate.audit.modules import Module
from privmigrate.audit.runnable import Runnable
from privmigrate.audit.sudoers import Default, Grant
from privmigrate.audit.tree import Node, Tree, Walk
from privmigrate.diagnostics import Diagnostic, Span
from privmigrate.privsep.knowledge.declared import NOTHING_DECLARED, Declared
from privmigrate.rootwrap.config import RootwrapConfig
from privmigrate.rootwrap.filters import Filter
from privmigrate.rootwrap.parse import Parsed
from privmigrate.rootwrap.rule import Rule, Status
from privmigrate.rootwrap.settings import Settings


@dataclass(frozen=True, slots=True)
class Entry:
    """One filter definition with the filter that strict mode makes of it, if it can."""

    rule: Rule
    bound: Filter | Diagnostic

    @property
    def span(self) -> Span:
        """Where it stands."""
        return self.rule.span

    @property
    def name(self) -> str:
        """As it was written."""
        return self.rule.raw_name

    @property
    def run_as(self) -> str:
        """The user of the command, as far as the entry names one."""
        if isinstance(self.bound, Filter):
            return self.bound.run_as
        return self.rule.texts[1] if len(self.rule.texts) > 1 else ""


@dataclass(frozen=True, slots=True)
class FilterFile:
    """One ``.filters`` file."""

    path: str
    parsed: Parsed
    entries: tuple[Entry, ...]

    @property
    def live(self) -> tuple[Entry, ...]:
        """The entries that rootwrap uses."""
        return tuple(entry for entry in self.entries if entry.rule.status is Status.LIVE)


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """The files that one rootwrap reads together; without `config` those of one folder.

    `settings` is what the shim reads of the rootwrap.conf, None where it has no section for that,
    and `declared` what its file of what was learned says.
    """

    files: tuple[FilterFile, ...]
    config: RootwrapConfig | None = None
    text: str = ""
    problems: tuple[Diagnostic, ...] = ()
    settings: Settings | None = None
    declared: Declared = NOTHING_DECLARED

    @property
    def live(self) -> tuple[Entry, ...]:
        """The entries that rootwrap uses, in the order of sorted file names."""
        return tuple(entry for file in self.files for entry in file.live)


class Role(Enum):
    """What a path is to the chain of trust."""

    CONFIG = "rootwrap.conf"
    FILTERS = "filters"
    EXEC_DIR = "exec_dirs"
    EXECUTABLE = "executable"
    SUDOERS = "sudoers"
    COMMAND = "command of sudoers"
    PYTHON = "Python of the wrapper"
    SERVICE_CONFIG = "configuration of the privsep helper"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A path that only root may be able to change, and what it is for."""

    role: Role
    walk: Walk
    purpose: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was gathered.

    Attributes:
        tree: whose users and groups own what was found.
        unread: what could not be looked at, and why: never passed over.
        runnables: filters and entrypoints alike, as commands that somebody can have run.
        texts: the lines of every text file that was read, for ignores.
    """

    tree: Tree
    policies: tuple[PolicyFiles, ...] = ()
    grants: tuple[Grant, ...] = ()
    defaults: tuple[Default, ...] = ()
    guarded: tuple[Guarded, ...] = ()
    modules: tuple[Module, ...] = ()
    runnables: tuple[Runnable, ...] = ()
    unread: tuple[Diagnostic, ...] = ()
    texts: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def files(self) -> Iterator[FilterFile]:
        """Every filters file."""
        return (file for policy in self.policies for file in policy.files)

    @property
    def entries(self) -> Iterator[Entry]:
        """Every filter definition, live or not."""
        return (entry for file in self.files for entry in file.entries)

    @property
    def live(self) -> Iterator[Entry]:
        """Every filter definition that a rootwrap uses."""
        return (entry for policy in self.policies for entry in policy.live)

    def of_class(self, *names: str) -> Iterator[Entry]:
        """The live entries of some filter classes."""
        return (entry for entry in self.live if entry.rule.filter_class in names)

    def weak_steps(self, role: Role) -> Iterator[tuple[Guarded, Node, str]]:
        """Every step to a path of this role that others than root can change, and who can.

        A step is given once for each role, with the first path that it is on the way to.
        """
        seen: set[str] = set()
        for guarded in self.guarded:
            if guarded.role is not role:
                continue
            for node in guarded.walk.steps:
                who = self.who_can_change(node)
                if who and node.path not in seen:
                    seen.add(node.path)
                    yield guarded, node, who

    def who_can_change(self, node: Node) -> str:
        """Who besides root can replace or write this step; "" if nobody."""
        if node.uid != 0:
            return f"belongs to {self.tree.user(node.uid)}"
        if node.kind.value == "link":
            return ""
        if node.mode & 0o002:
            sticky = " (sticky: whoever comes first makes the file)" if node.mode & 0o1000 else ""
            return f"is writable by everyone{sticky}"
        if node.mode & 0o020 and node.gid != 0:
            return f"is writable by group {self.tree.group(node.gid)}"
        return ""


def names_in(node: ast.AST) -> frozenset[str]:
    """Every name that an expression mentions."""
    return frozenset(part.id for part in ast.walk(node) if isinstance(part, ast.Name))
