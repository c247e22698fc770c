"""CALL: look the entrypoint up in the sealed table, run it, send RESULT or ERROR.

Nothing that an entrypoint does may end a worker, and every call that was begun is answered.
"""

import traceback
from typing import TYPE_CHECKING, Final, cast

from privmigrate.privsep.daemon.connection import Connection
from privmigrate.privsep.messages import (
    ERROR,
    RESULT,
    Message,
    explain_unsendable,
    is_bulky,
)

if TYPE_CHECKING:
    from privmigrate.privsep.daemon.serve import Server


class Call:
    """A call that a worker is busy with.

    Attributes:
        cancelled: nobody waits for it any more. INV-3: such a call is not begun.
    """

    __slots__ = ("cancelled", "connection", "number")

    def __init__(self, connection: Connection, number: int) -> None:
        self.connection = connection
        self.number = number
        self.cancelled = False


def answer_call(
    server: "Server", connection: Connection, message: Message, _fds: tuple[int, ...]
) -> None:
    """Run one entrypoint and answer."""
    number, name, args, kwargs = cast("_Fields", message[1:])
    call = Call(connection, number)
    server.begin(call)
    try:
        # one that gave up before we began: never execute what nobody waits for
        if connection.closed or call.cancelled:
            return
        try:
            value = server.entrypoints.find(name)(args, kwargs)
        except BaseException as error:  # noqa: BLE001 - sys.exit() is an answer like any other
            answer = describe_error(error, number, tracebacks=server.sends_tracebacks)
            server.answer(connection, answer)
            return
        bulky = is_bulky(value if type(value) is tuple else (value,))
        try:
            server.answer(connection, (RESULT, number, value), bulky=bulky)
        except (TypeError, ValueError, OverflowError) as error:
            why = explain_unsendable(value, f"the result of {name}") or str(error)
            server.answer(connection, describe_error(TypeError(why), number, tracebacks=False))
    finally:
        server.end(call)


_Fields = tuple[int, str, tuple[object, ...], dict[str, object]]


def describe_error(error: BaseException, number: int, *, tracebacks: bool) -> Message:
    """Make an ERROR of any exception, also of one that holds what cannot be sent."""
    kind = type(error)
    args: tuple[object, ...] = error.args
    if isinstance(error, OSError) and error.filename is not None and len(args) == _ERRNO_TEXT:
        args = (*args, error.filename)  # OSError keeps it out of args, and takes it from there
    state = {
        str(name): value
        for name, value in vars(error).items()
        if not name.startswith("__") and explain_unsendable(value, "") is None
    }
    text = "".join(traceback.format_exception(error)) if tracebacks else ""
    return (
        ERROR,
        number,
        kind.__module__,
        kind.__qualname__,
        tuple(_sendable(arg) for arg in args),
        state,
        text,
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
