"""What the daemon logs reaches the client: on the caller's own connection, before the answer.

A record of another thread waits for the next answer. Nothing here blocks for longer than a send
may, and nothing here raises: logging must not change what an entrypoint does.
"""

import logging
from collections import deque
from typing import TYPE_CHECKING, Final

from privmigrate.privsep.sendable import encodable

if TYPE_CHECKING:
    from collections.abc import Callable

_FIELDS: Final = (
    *("name", "levelno", "levelname", "pathname", "filename", "module", "lineno", "funcName"),
    *("created", "msecs", "relativeCreated", "thread", "threadName", "process", "taskName"),
)
_OWN: Final = frozenset(
    (*_FIELDS, "msg", "args", "exc_info", "exc_text", "stack_info", "processName")
)
_PLAIN: Final = (str, int, float, bool, type(None))
_LONGEST_EXTRA: Final = 1000
_WAITING: Final = 1000

Record = dict[str, object]


class ChannelHandler(logging.Handler):
    """Gives every record to `deliver`, or keeps it for the next answer where that says no.

    Attributes:
        pending: there is something to do before the next answer.
        dropped: how many records there was no room for.
    """

    def __init__(self, process_name: str) -> None:
        super().__init__()
        self.deliver: Callable[[Record], bool] = keep
        self.pending = False
        self.dropped = 0
        self.waiting: deque[Record] = deque()
        self._process_name = process_name

    def createLock(self) -> None:  # noqa: N802 - logging's name
        """No lock: one slow connection must not hold up what other threads log."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record now, or keep it."""
        try:
            packed = pack_record(record, self._process_name)
            if self.deliver(packed):
                return
            if len(self.waiting) < _WAITING:
                self.waiting.append(packed)
            else:
                self.dropped += 1
        except Exception:  # noqa: BLE001 - whatever is in the record, the caller goes on
            self.dropped += 1
        self.pending = True

    def take(self) -> list[Record]:
        """The records that wait, oldest first; a last one says how many were lost."""
        records: list[Record] = []
        self.pending = False
        while self.waiting:
            records.append(self.waiting.popleft())
        if self.dropped:
            lost, self.dropped = self.dropped, 0
            text = f"{lost} log records of the privsep daemon were lost"
            warning = logging.LogRecord(__name__, logging.WARNING, __file__, 0, text, (), None)
            records.append(pack_record(warning, self._process_name))
        return records


def pack_record(record: logging.LogRecord, process_name: str) -> Record:
    """Make plain values of a record; its text is formatted here, where its arguments are."""
    packed: Record = {name: getattr(record, name, None) for name in _FIELDS}
    try:
        packed["msg"] = record.getMessage()
    except Exception as error:  # noqa: BLE001 - the arguments are anybody's objects
        packed["msg"] = f"{record.msg!s} (its arguments cannot be formatted: {error!r})"
    packed["processName"] = process_name
    packed["stack_info"] = record.stack_info
    packed["exc_text"] = record.exc_text
    if record.exc_info and not record.exc_text:
        packed["exc_text"] = logging.Formatter().formatException(record.exc_info)
    for name, value in vars(record).items():
        if name not in _OWN:
            plain = value if type(value) in _PLAIN else repr(value)
            packed[encodable(name)] = plain[:_LONGEST_EXTRA] if isinstance(plain, str) else plain
    for name, value in packed.items():
        if isinstance(value, str):
            packed[name] = encodable(value)
    return packed


def install(handler: logging.Handler) -> None:
    """Make this the only handler of the root logger: the client's were for the client."""
    root = logging.getLogger()
    for other in tuple(root.handlers):
        root.removeHandler(other)
    root.addHandler(handler)


def keep(_record: Record) -> bool:
    """Deliver to nobody: there is no client yet, or this is no daemon."""
    return False
