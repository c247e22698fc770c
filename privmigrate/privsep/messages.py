"""Every message of the channel, its fields and its limits.

msgpack is used here and nowhere else. A message is a tuple whose first element says its kind; a
datagram is one message. `docs/protocol.md` says who sends which, and when.

Whatever is read here was written by the other side, and in the daemon the other side is the
attacker: sizes, counts and types are checked before anybody acts on a field.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import msgpack
from msgpack import unpackb

from privmigrate.errors import PrivmigrateError

VERSION: Final = 2

HELLO: Final = 1  # (version, log level, send tracebacks)
WELCOME: Final = 2  # (version, context, uid, gid, bits of the permitted set), with the marks
CALL: Final = 3  # (id, entrypoint, args, kwargs)
RESULT: Final = 4  # (id, value)
ERROR: Final = 5  # (id, module, class, args, attributes, traceback)
LOG: Final = 6  # (id, record)
ATTACH: Final = (
    7  # (key, carries several calls at a time), with the daemon's end of a new connection
)
CANCEL: Final = 8  # (key, id)
PARTS: Final = 9  # (lengths): the next datagrams are one message in pieces

NAMES: Final = {
    HELLO: "HELLO",
    WELCOME: "WELCOME",
    CALL: "CALL",
    RESULT: "RESULT",
    ERROR: "ERROR",
    LOG: "LOG",
    ATTACH: "ATTACH",
    CANCEL: "CANCEL",
    PARTS: "PARTS",
}

ANSWERS: Final = frozenset((RESULT, ERROR))
"""What ends a call."""

Message = tuple[object, ...]

ANYTHING: Final[list[type]] = [int, int, object]
"""The fields of a RESULT, whose value may be anything."""

FIELDS: Final[dict[object, list[type]]] = {
    HELLO: [int, int, int, bool],
    WELCOME: [int, int, str, int, int, int],
    CALL: [int, int, str, tuple, dict],
    ERROR: [int, int, str, str, tuple, dict, str],
    LOG: [int, int, dict],
    ATTACH: [int, int, bool],
    CANCEL: [int, int, int],
    PARTS: [int, tuple],
    RESULT: ANYTHING,
}
"""The exact types of a message's elements, the kind first; lists are what compares fastest."""

_CALL_FIELDS: Final = len(FIELDS[CALL])
_RESULT_FIELDS: Final = len(ANYTHING)

DATAGRAM: Final = 64 * 1024
"""The largest message that travels as one datagram, and the size of every receive buffer."""
BULK: Final = 60_000
"""Texts and bytes above this size travel as datagrams of their own, around msgpack."""
FRAGMENT: Final = 128 * 1024
"""The largest raw datagram: below any kernel's default SO_SNDBUF (unix(7): 212,992 bytes)."""

_BYTES_PART: Final = 1
_TEXT_PART: Final = 2


class ProtocolError(PrivmigrateError):
    """The other side broke the protocol; the connection ends, and nothing else does."""


class Limits(NamedTuple):
    """How much one message in PARTS may be.

    Attributes:
        packed: bytes of msgpack. An empty map of one byte becomes 64 bytes of memory, so this
            bounds what a hostile message can cost.
        total: bytes of msgpack and of everything that travels around it.
        parts: pieces that travel around it.
        containers: arrays and maps in one message.
    """

    packed: int
    total: int
    parts: int
    containers: int


REQUEST: Final = Limits(
    packed=8 * 2**20,
    total=256 * 2**20,
    parts=256,
    containers=200_000,
)
ANSWER: Final = Limits(
    packed=256 * 2**20,
    total=2**30,
    parts=256,
    containers=20_000_000,
)


class Encoder:
    """Packs messages; for one thread at a time, because it keeps its buffer between messages."""

    __slots__ = ("_pack",)

    def __init__(self) -> None:
        self._pack = new_packer()

    def encode(self, message: Message) -> bytes:
        """One datagram; one above DATAGRAM must be sent in PARTS (`encode_parts`).

        Raise TypeError, ValueError or OverflowError for what cannot be sent.
        """
        data = self._pack(message)
        if len(data) > DATAGRAM:
            self._pack = new_packer()
        return data


def new_packer() -> Callable[[object], bytes]:
    """What packs messages for one thread at a time; an `Encoder` where every call counts.

    Replace it after a message above DATAGRAM: its buffer has grown, and would stay so.
    """
    packer = msgpack.Packer(use_bin_type=True, unicode_errors="surrogateescape")
    pack: Callable[[object], bytes] = packer.pack
    return pack


def is_bulky(values: tuple[object, ...]) -> bool:
    """Whether one of these values should travel around msgpack: a hint that saves a packing."""
    for value in values:
        kind = type(value)
        if (kind is bytes or kind is str) and len(value) > BULK:  # type: ignore[arg-type]
            return True
    return False


def encode_parts(message: Message, limits: Limits) -> tuple[bytes, ...]:
    """Split a large message: the PARTS datagram, the packed message, and its large pieces.

    Raise as `Encoder.encode`, and ValueError where a limit of the other side is exceeded.
    """
    pieces: list[bytes] = []
    packed = new_packer()(_take_out(message, pieces, limits.parts - 1))
    lengths = (len(packed), *map(len, pieces))
    if len(packed) > limits.packed or sum(lengths) > limits.total:
        raise ValueError(
            f"{sum(lengths)} bytes, of which {len(packed)} packed, are too many: the other side"
            f" takes {limits.total}, of which {limits.packed} packed"
        )
    return (new_packer()((PARTS, lengths)), packed, *pieces)


def _take_out(value: object, pieces: list[bytes], room: int) -> object:
    """Replace large texts and bytes by references to `pieces`, where they are put."""
    # no nested function: one that calls itself keeps what it sees alive until the next collection
    if isinstance(value, bytes | str):
        if type(value) not in {bytes, str} or len(value) <= BULK or len(pieces) >= room:
            return value
        if isinstance(value, bytes):
            code = _BYTES_PART
            pieces.append(value)
        else:
            code = _TEXT_PART
            pieces.append(value.encode("utf-8", "surrogateescape"))
        return msgpack.ExtType(code, (len(pieces) - 1).to_bytes(2, "big"))
    if isinstance(value, list | tuple):
        return tuple(_take_out(item, pieces, room) for item in value)
    if isinstance(value, dict):
        return {key: _take_out(item, pieces, room) for key, item in value.items()}
    return value


class Decoder:
    """Reads datagrams from one buffer; for one thread at a time.

    Attributes:
        buffer: where the next datagram is to be received.
    """

    __slots__ = ("buffer",)

    def __init__(self) -> None:
        self.buffer = bytearray(DATAGRAM)

    def decode(self, size: int) -> Message:
        """Read the datagram of so many bytes; raise ProtocolError unless it is one message.

        None is the end of the connection, and EOFError.
        """
        if not 0 < size <= DATAGRAM:
            if not size:
                raise EOFError
            raise ProtocolError(f"a datagram of {size} bytes; {DATAGRAM} is the most")
        data = self.buffer[:size]
        try:
            message = unpackb(
                data,
                use_list=False,
                raw=False,
                strict_map_key=False,
                unicode_errors="surrogateescape",
                ext_hook=_refuse_extension,
            )
        except ProtocolError:
            raise
        except Exception as error:  # noqa: BLE001 - msgpack raises many kinds
            raise ProtocolError(f"what is no message: {_reason_of(error)}") from None
        if _TIMESTAMP_BYTE in data:
            _refuse_timestamps(message)
        return _check(message)


def decode(data: bytes) -> Message:
    """Read one datagram that is already here; raise ProtocolError unless it is one message."""
    if not data:
        raise ProtocolError("a message of no bytes")
    decoder = Decoder()
    decoder.buffer[: len(data)] = data
    return decoder.decode(len(data))


def read_lengths(message: Message, limits: Limits) -> tuple[int, ...]:
    """Take the sizes out of a PARTS message, before any memory is used for them."""
    lengths = message[1]
    if not isinstance(lengths, tuple) or not 1 <= len(lengths) <= limits.parts:
        raise ProtocolError("PARTS with a wrong number of parts")
    if not all(type(length) is int and length >= 0 for length in lengths):
        raise ProtocolError("PARTS with a length that is no number")
    if lengths[0] > limits.packed:
        raise ProtocolError(f"a message of {lengths[0]} bytes; {limits.packed} is the most")
    if sum(lengths) > limits.total:
        raise ProtocolError(f"a message of {sum(lengths)} bytes; {limits.total} is the most")
    return lengths


class _Parts:
    """The hooks for one message in PARTS: they put the pieces back, and count."""

    __slots__ = ("containers", "limits", "parts", "used")

    def __init__(self, parts: list[bytes], limits: Limits) -> None:
        self.parts = parts
        self.limits = limits
        self.used = 0
        self.containers = 0

    def insert(self, code: int, data: bytes) -> object:
        self.used += 1
        if self.used >= len(self.parts) or int.from_bytes(data, "big") != self.used - 1:
            raise ProtocolError("a part that was not sent")
        if code == _BYTES_PART:
            return self.parts[self.used]
        if code == _TEXT_PART:
            return self.parts[self.used].decode("utf-8", "surrogateescape")
        raise ProtocolError(f"an extension type: {code}")

    def count(self, container: object) -> object:
        self.containers += 1
        if self.containers > self.limits.containers:
            raise ProtocolError(f"a message of more than {self.limits.containers} arrays and maps")
        return container


def decode_parts(parts: list[bytes], limits: Limits) -> Message:
    """Put a message in PARTS together again; every piece must be used once, and in order."""
    hooks = _Parts(parts, limits)
    try:
        message = unpackb(
            parts[0],
            use_list=False,
            raw=False,
            strict_map_key=False,
            unicode_errors="surrogateescape",
            ext_hook=hooks.insert,
            list_hook=hooks.count,
            object_hook=hooks.count,
        )
    except ProtocolError:
        raise
    except Exception as error:  # noqa: BLE001 - msgpack raises many kinds
        raise ProtocolError(f"a message that is not msgpack: {_reason_of(error)}") from None
    if hooks.used != len(parts) - 1:
        raise ProtocolError("a part that is not used")
    if _TIMESTAMP_BYTE in parts[0]:
        _refuse_timestamps(message)
    return _check(message)


def _check(message: object) -> Message:
    """Compare with the table of fields; raise ProtocolError."""
    # a tuple it must be: bytes and maps can be indexed and counted too
    if type(message) is tuple and message:
        # what the table says of CALL and of RESULT, which every call has, in fewer steps
        if len(message) == _CALL_FIELDS:
            kind, number, name, args, kwargs = message
            if (
                kind == CALL
                and type(kind) is type(number) is int
                and type(name) is str
                and type(args) is tuple
                and type(kwargs) is dict
            ):
                return message
        elif len(message) == _RESULT_FIELDS:
            kind, number, _ = message
            if kind == RESULT and type(kind) is type(number) is int:
                return message
        try:
            fields = FIELDS.get(message[0])
        except TypeError:  # a kind that cannot be hashed
            fields = None
        if fields is not ANYTHING and fields == [*map(type, message)]:
            return message
    raise ProtocolError("a message of the wrong shape")


_TIMESTAMP_BYTE: Final = 0xFF
"""msgpack makes timestamps whatever the hook for extensions says; each contains this byte."""


def _refuse_timestamps(message: object) -> None:
    todo: list[object] = [message]
    while todo:
        value = todo.pop()
        if isinstance(value, tuple):
            todo.extend(value)
        elif isinstance(value, dict):
            todo.extend(value.keys())
            todo.extend(value.values())
        elif isinstance(value, msgpack.Timestamp):
            raise ProtocolError("an extension type: -1")


def _refuse_extension(code: int, _data: bytes) -> object:
    raise ProtocolError(f"an extension type: {code}")


def _reason_of(error: Exception) -> str:
    return str(error)[:100] or type(error).__name__


class StreamDecoder:
    """Reads msgpack objects from a stream of bytes, as oslo.privsep writes them."""

    __slots__ = ("_feed", "_next")

    def __init__(self, limit: int) -> None:
        unpacker = msgpack.Unpacker(
            use_list=False,
            raw=False,
            strict_map_key=False,
            unicode_errors="surrogateescape",
            max_buffer_size=limit,
        )
        self._feed: Callable[[bytes], None] = unpacker.feed
        self._next: Callable[[], object] = unpacker.unpack

    def feed(self, data: bytes) -> None:
        """Add bytes; raise ProtocolError where more than the limit wait for their end."""
        try:
            self._feed(data)
        except Exception as error:  # noqa: BLE001 - msgpack raises many kinds
            raise ProtocolError(f"a message that is too large: {_reason_of(error)}") from None

    def next(self) -> object:
        """Take the next object; raise StopIteration while it has not arrived whole."""
        try:
            return self._next()
        except msgpack.OutOfData:
            raise StopIteration from None
        except Exception as error:  # noqa: BLE001 - msgpack raises many kinds
            raise ProtocolError(f"a message that is not msgpack: {_reason_of(error)}") from None


def encode_stream(value: object) -> bytes:
    """Pack one object of a stream; raise TypeError, ValueError or OverflowError as msgpack does."""
    return new_packer()(value)
