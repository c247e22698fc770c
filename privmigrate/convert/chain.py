"""Which entrypoints may run behind which prefix, as oslo.rootwrap's chains allow it.

A chain is allowed where the rest of the command line, its first word reduced to the base name, is
allowed by a filter of the same user that is no chain itself. ``ip netns exec`` is offered to fewer
commands than that: those that work on files, filesystems and storage see no network, and offering
it to them would put CAP_SYS_ADMIN into the contexts of all of them.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from privmigrate.convert.operation import Op, Prefix
from privmigrate.privsep import knowledge

_SEE_NO_NETWORK: Final = frozenset(("files", "filesystems", "storage"))


def attach(ops: Sequence[Op], prefixes: Sequence[Prefix]) -> tuple[Op, ...]:
    """Give every operation the names of the prefixes that may stand in front of it."""
    return tuple(
        replace(
            op,
            prefixes=tuple(sorted({prefix.name for prefix in prefixes if is_offered(prefix, op)})),
        )
        for op in ops
    )


def is_offered(prefix: Prefix, op: Op) -> bool:
    """Whether the prefix may stand in front, and it makes a difference there."""
    return may_stand_in_front(prefix, op) and not (
        prefix.namespace and knowledge.family(op.command) in _SEE_NO_NETWORK
    )


def may_stand_in_front(prefix: Prefix, op: Op) -> bool:
    """Whether the filters allow the prefix in front of the operation."""
    return op.chainable and op.run_as == prefix.run_as
