"""Which entrypoints may run behind which prefix, as oslo.rootwrap's chains allow it.

A chain is allowed where the rest of the command line, its first word reduced to the base name, is
allowed by a filter of the same user that is no chain itself.
"""

from collections.abc import Sequence
from dataclasses import replace

from privmigrate.convert.operation import Op, Prefix


def attach(ops: Sequence[Op], prefixes: Sequence[Prefix]) -> tuple[Op, ...]:
    """Give every operation the names of the prefixes that may stand in front of it."""
    by_user: dict[str, tuple[str, ...]] = {}
    for prefix in prefixes:
        names = {*by_user.get(prefix.run_as, ()), prefix.name}
        by_user[prefix.run_as] = tuple(sorted(names))
    return tuple(
        replace(op, prefixes=by_user[op.run_as]) if op.chainable and op.run_as in by_user else op
        for op in ops
    )
