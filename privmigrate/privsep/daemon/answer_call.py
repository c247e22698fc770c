"""CALL: look the entrypoint up in the sealed table, run it, send RESULT or ERROR.

Nothing that an entrypoint does may end a worker, and every call that was begun is answered.
"""

import time
import traceback
from _thread import get_ident
from typing import TYPE_CHECKING, Final

from privmigrate.privsep.daemon.connection import Connection
from privmigrate.privsep.marks import NUMBERS
from privmigrate.privsep.messages import (
    ERROR,
    RESULT,
    Message,
    is_bulky,
)
from privmigrate.privsep.running import Cancellation
from privmigrate.privsep.sendable import encodable, explain_unsendable

if TYPE_CHECKING:
    from privmigrate.privsep.daemon.collection import Collection
    from privmigrate.privsep.daemon.serve import Server


class Turn:
    """What came with a message, and in whose hands it is.

    Attributes:
        cancellation: ends what the thread executes.
        fds: descriptors that came with the message; whoever handles it owns them.
        ended: when the thread's last call came back from its entrypoint (time.monotonic).
        collection: the connections that the thread serves one after the other.
        thread: the thread's identifier.
        is_last: the thread was replaced by another, and ends.
    """

    __slots__ = ("cancellation", "collection", "ended", "fds", "is_last", "thread")

    def __init__(self, cancellation: Cancellation, collection: "Collection") -> None:
        self.cancellation = cancellation
        self.collection = collection
        self.fds: tuple[int, ...] = ()
        self.ended = 0.0
        self.thread = get_ident()
        self.is_last = False


Call = tuple[Connection, int, Turn]
"""A call that is being executed: for whom, under which number, and by whom."""


def answer_call(server: "Server", connection: Connection, message: Message, turn: Turn) -> None:
    """Run one entrypoint and answer."""
    fields: _Fields = message  # type: ignore[assignment]
    _, number, name, args, kwargs = fields
    key = next(server.keys)
    server.running[key] = (connection, number, turn)
    if not server.asked:
        server.ask_if_needed(turn)
    try:
        # INV-15: before the look, so that whoever hung up and found no mark knows that we shall see
        # it; and before anything is executed
        connection.mark[0] = number % NUMBERS
        # one that gave up before we began: never execute what nobody waits for
        if connection.closed:
            return
        try:
            value = server.entrypoints.find(name)(*args, **kwargs)
            turn.ended = _clock()
        except BaseException as error:  # noqa: BLE001 - sys.exit() is an answer like any other
            turn.ended = _clock()
            _answer_error(server, connection, message, error)
            return
        kind = type(value)
        send = server.answer
        if kind in _LARGE and is_bulky(value if kind is tuple else (value,)):  # type: ignore[arg-type]
            send = server.answer_large
        try:
            send(connection, (RESULT, number, value))
        except (TypeError, ValueError, OverflowError) as error:
            why = explain_unsendable(value, f"the result of {name}") or str(error)
            server.answer(connection, describe_error(TypeError(why), number, tracebacks=False))
    finally:
        server.end(key, turn)


def _answer_error(
    server: "Server", connection: Connection, message: Message, error: BaseException
) -> None:
    """Say what was raised, or else that it cannot be said: the caller waits for an answer."""
    _, number, name, _, _ = message
    assert isinstance(number, int)  # noqa: S101 - `messages` has checked; this is for the reader
    try:
        answer = describe_error(error, number, tracebacks=server.sends_tracebacks)
        server.answer(connection, answer)
    except (TypeError, ValueError, OverflowError) as reason:
        why = f"what {name} raised, {type(error).__name__!a}, cannot be sent: {reason}"
        server.answer(connection, describe_error(TypeError(why), number, tracebacks=False))


_clock: Final = time.monotonic
_LARGE: Final = frozenset((bytes, str, tuple))
_Fields = tuple[int, int, str, tuple[object, ...], dict[str, object]]


def describe_error(error: BaseException, number: int, *, tracebacks: bool) -> Message:
    """Make an ERROR of any exception, also of one that holds what cannot be sent."""
    kind = type(error)
    args: tuple[object, ...] = error.args
    if isinstance(error, OSError) and error.filename is not None and len(args) == _ERRNO_TEXT:
        args = (*args, error.filename)  # OSError keeps it out of args, and takes it from there
    state = {
        name: value
        for name, value in vars(error).items()
        if not name.startswith("__") and explain_unsendable({name: value}, "") is None
    }
    text = "".join(traceback.format_exception(error)) if tracebacks else ""
    return (
        ERROR,
        number,
        encodable(kind.__module__),
        encodable(kind.__qualname__),
        tuple(_sendable(arg) for arg in args),
        state,
        encodable(text),
    )


_ERRNO_TEXT: Final = 2  # (errno, strerror)
_LONGEST_REPR: Final = 1000


def _sendable(value: object) -> object:
    if explain_unsendable(value, "") is None:
        return value
    try:
        return repr(value)[:_LONGEST_REPR]
    except Exception:  # noqa: BLE001 - a __repr__ is anybody's code
        return f"<{type(value).__qualname__}>"
