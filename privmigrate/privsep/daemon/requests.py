"""REQUESTS: what a client may ask, in which state, who answers, and what state follows.

This is the whole of what the unprivileged side can make the daemon do. A message that has no row
for the state of its connection ends that connection.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from privmigrate.privsep.daemon.answer_call import Turn, answer_call
from privmigrate.privsep.daemon.answer_control import answer_attach, answer_cancel, answer_hello
from privmigrate.privsep.daemon.connection import Connection, State
from privmigrate.privsep.messages import ATTACH, CALL, CANCEL, HELLO, Message

if TYPE_CHECKING:
    from privmigrate.privsep.daemon.serve import Server

Handler = Callable[["Server", Connection, Message, Turn], None]


class Row(NamedTuple):
    """One line of the table; `descriptors` is how many must come with the message."""

    kind: int
    state: State
    handler: Handler
    next: State
    descriptors: int = 0


REQUESTS: Final = (
    # the first message on the control connection: who are you, what should I log
    Row(HELLO, State.GREETING, answer_hello, State.CONTROL),
    # another connection, whose other end comes with it
    Row(ATTACH, State.CONTROL, answer_attach, State.CONTROL, descriptors=1),
    # give up a call on a connection that carries several
    Row(CANCEL, State.CONTROL, answer_cancel, State.CONTROL),
    # run an entrypoint of this daemon's context
    Row(CALL, State.SERVING, answer_call, State.SERVING),
)

ROWS: Final[Mapping[State, Mapping[object, Row]]] = {
    state: {row.kind: row for row in REQUESTS if row.state is state} for state in State
}
