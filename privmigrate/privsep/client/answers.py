"""What comes back: values, exceptions by their class, log records at the context's logger."""

import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from privmigrate.errors import PrivmigrateError
from privmigrate.privsep.messages import (
    ERROR,
    LOG,
    NAMES,
    Message,
    ProtocolError,
)
from privmigrate.privsep.sendable import explain_unsendable

if TYPE_CHECKING:
    from privmigrate.privsep.entrypoint import Entrypoint


class RemoteError(PrivmigrateError, RuntimeError):
    """An entrypoint raised what cannot be raised here; the message names the class and its text.

    That is a class which this process has not imported, one that was defined inside a function,
    or one that would end the process, such as SystemExit.
    """


class Listener:
    """Takes what is no answer: records, and the tracebacks that an administrator asked for."""

    __slots__ = ("_log", "tracebacks")

    def __init__(self, logger_name: str, *, tracebacks: bool) -> None:
        self._log = logging.getLogger(logger_name)
        self.tracebacks = tracebacks

    @property
    def level(self) -> int:
        """From which level on records are wanted."""
        return self._log.getEffectiveLevel()

    def hear(self, message: Message) -> None:
        """Log a record that the daemon sent, as what it is."""
        if message[0] != LOG:
            raise ProtocolError(f"{NAMES.get(cast('int', message[0]))} in place of an answer")
        fields = cast("dict[object, object]", message[2])
        # a field must not take the place of one of a record's methods
        known = {k: v for k, v in fields.items() if isinstance(k, str) and not hasattr(_RECORD, k)}
        record = logging.makeLogRecord({**known, "args": (), "exc_info": None})
        if self._log.isEnabledFor(record.levelno):
            self._log.handle(record)

    def read_answer(self, message: Message) -> object:
        """Give the value of a RESULT, or raise the exception of an ERROR."""
        if message[0] != ERROR:
            return message[2]
        _, _, module, name, args, state, text = cast("_Error", message)
        if self.tracebacks and text:
            self._log.warning("Privsep daemon traceback: %s", text)
        raise rebuild(module, name, args, state)


_RECORD: Final = logging.LogRecord
_Error = tuple[int, int, str, str, tuple[object, ...], dict[str, object], str]


def rebuild(
    module: str, name: str, args: tuple[object, ...], state: dict[str, object]
) -> BaseException:
    """Make the exception that was raised in the daemon.

    Only classes are looked up, in modules that this process has imported, and only those that
    are exceptions are called: a name from the other side makes nothing else happen.
    """
    found: object = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    text = f"{module}.{name}: {', '.join(map(str, args))}"
    if not isinstance(found, type) or not issubclass(found, Exception):
        return RemoteError(text)
    try:
        made = found(*args)
    except Exception:  # noqa: BLE001 - its constructor wants something else
        try:
            made = found.__new__(found, *args)
            made.args = args
        except Exception:  # noqa: BLE001 - as above
            return RemoteError(text)
    with suppress(TypeError, AttributeError):  # a class without room for attributes
        vars(made).update(state)
    return made


def explain_arguments(
    entrypoint: "Entrypoint[..., object]", args: tuple[object, ...], kwargs: dict[str, object]
) -> str | None:
    """Say which argument cannot be sent, by the name of its parameter."""
    import inspect

    where = entrypoint.name.replace(":", ".")
    try:
        bound = inspect.signature(entrypoint.function).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        bound = {**{f"#{i}": arg for i, arg in enumerate(args, 1)}, **kwargs}
    for name, value in bound.items():
        why = explain_unsendable(value, f"argument {name} of {where}")
        if why is not None:
            return why
    return None
