"""Which operations the daemon does itself: those that a native recognises, whatever their values.

`natives.do` looks again at every call and executes the tool where it does not recognise the words,
so that a wrong forecast costs nothing but a needless attempt.
"""

from dataclasses import replace

from privmigrate.argv.spec import PathWithin
from privmigrate.convert.forms import command_lines
from privmigrate.convert.operation import Op
from privmigrate.privsep.forecast import is_done_natively


def natively(op: Op) -> Op:
    """Mark what a native does, with the folder that its path is checked to lie in."""
    if not op.calls or op.native or op.rest or op.commands or op.run_as != "root":
        return op
    lines = command_lines(op)
    if not lines or not all(is_done_natively(op.command, line) for line in lines):
        return op
    return replace(op, natively=True, within=_within(op))


def _within(op: Op) -> str:
    bases = [param.spec.base for param in op.params if isinstance(param.spec, PathWithin)]
    others = [param for param in op.params if not isinstance(param.spec, PathWithin)]
    return bases[0] if len(set(bases)) == 1 and not others else ""
