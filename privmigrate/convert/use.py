"""What becomes of a call site: the entrypoint that replaces it, or why it stays.

`Conversion.uses` and `Conversion.unlinked` have every site that was given between them. What is
told here is what a caller has to write; how it is written into a file is the rewriter's business.
"""

from collections.abc import Container
from dataclasses import dataclass
from enum import Enum

from privmigrate.callsites.site import Site
from privmigrate.convert.operation import Op
from privmigrate.diagnostics import Span


class Form(Enum):
    """How the replaced call says what runs."""

    TYPED = "typed"  # an argument for each value
    CHECKED = "checked"  # the command line as a list, which the daemon matches


class Why(Enum):
    """Why a call stays as it is."""

    UNRESOLVED = "unresolved"  # the site has reasons of its own
    WRAPPER = "wrapper"  # it is no call by itself: its callers are
    NO_RULE = "no-rule"  # no filter allows it: it fails today
    NO_RULE_NEEDED = "no-rule-needed"  # no filter allows it, and it says privsep_exec=True
    SEVERAL_COMMANDS = "several-commands"  # its shapes are of commands that differ
    IN_PIECES = "in-pieces"  # values that cannot be moved to the call, and no list of words
    SIGNAL = "signal"  # which signal it sends is known at run time only


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of the replacing call.

    `source` is an expression that gives the value where the call stands; `keyword` says whether
    it is given by name. An argument that the entrypoint need not be given is left out.
    """

    name: str
    source: str
    keyword: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """A call that an entrypoint replaces.

    Attributes:
        op: the entrypoint; `op.module` and `op.name` say where it is.
        arguments: in the order of the entrypoint's parameters; of a CHECKED form the first is the
            whole command line as a list, the command its first word.
        under: an expression for what stands in front of the command, or "".
        stdin: an expression for what is fed to it, or "".
        imports: (module, name) that `under` needs.
        condition: the expression that decides whether it runs as root, or "": where it is false,
            the same arguments go to the entrypoint's `local` twin.
        as_built: the list is the one that the caller has built, with what stands in front of the
            command.
    """

    site: Site
    op: Op
    form: Form
    arguments: tuple[Argument, ...] = ()
    under: str = ""
    stdin: str = ""
    imports: tuple[tuple[str, str], ...] = ()
    condition: str = ""
    as_built: bool = False


def made_by(site: Site) -> int:
    """How many calls of the service a replaced call stands for: a wrapper's own is its callers'."""
    return 1 if site.given is None else len(site.given.callers)


def callers_of(site: Site, left: Container[Span]) -> list[Span]:
    """The calls of a wrapper for which its own call stands, but for those that are left."""
    callers = site.given.callers if site.given is not None else ()
    return [each.route[0] for each in callers if each.route and each.route[0] not in left]


@dataclass(frozen=True, slots=True)
class Unlinked:
    """A call that stays; `text` says why in words for a person."""

    site: Site
    why: Why
    text: str
