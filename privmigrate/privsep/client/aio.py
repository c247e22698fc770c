"""Calls from asyncio: one connection for each event loop, which carries all of its calls.

No thread is involved: the loop itself reads and writes the socket. Measured, that is four to eight
times the calls per second that a pool of threads reaches.
"""

import asyncio
import functools
import itertools
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from privmigrate.errors import ChannelClosed
from privmigrate.privsep.client.answers import explain_arguments
from privmigrate.privsep.comm import PrivsepTimeout
from privmigrate.privsep.messages import (
    ANSWER,
    ANSWERS,
    CALL,
    DATAGRAM,
    FRAGMENT,
    PARTS,
    REQUEST,
    Decoder,
    Message,
    ProtocolError,
    decode_parts,
    encode_parts,
    is_bulky,
    new_packer,
    read_lengths,
)

if TYPE_CHECKING:
    from privmigrate.privsep.client.channel import Channel
    from privmigrate.privsep.entrypoint import Entrypoint

_AT_ONCE: Final = 64
"""Messages read in one turn of the loop, so that others get theirs."""


class LoopConnection:
    """The connection of one event loop; used by that loop's thread alone."""

    def __init__(self, channel: "Channel", loop: asyncio.AbstractEventLoop) -> None:
        self.closed = False
        self._channel = channel
        self._loop = loop
        self._sock, self._key = channel.attach(None, shared=True)
        self._sock.setblocking(False)
        # bound once, as in `channel`
        self._pack = new_packer()
        self._write = self._sock.send
        self._decoder = Decoder()
        self._numbers = itertools.count(1)
        self._calls: dict[int, asyncio.Future[Message]] = {}
        self._unsent: deque[bytes | memoryview] = deque()
        self._parts: _Parts | None = None
        loop.add_reader(self._sock.fileno(), self._read)

    async def call(
        self,
        entrypoint: "Entrypoint[..., object]",
        args: tuple[object, ...],
        kwargs: dict[str, object],
        timeout: float | None,  # noqa: ASYNC109 - the context's own
    ) -> Callable[[], object]:
        """Send a CALL and await its answer; when cancelled, or too late, cancel the call."""
        number = next(self._numbers)
        try:
            self._send((CALL, number, entrypoint.name, args, kwargs))
        except (TypeError, ValueError, OverflowError) as error:
            raise TypeError(explain_arguments(entrypoint, args, kwargs) or str(error)) from None
        future: asyncio.Future[Message] = self._loop.create_future()
        self._calls[number] = future
        handle = None if timeout is None else self._loop.call_later(timeout, _expire, future)
        try:
            answer = await future
        except (asyncio.CancelledError, PrivsepTimeout):
            self._calls.pop(number, None)
            if not self.closed:
                self._channel.cancel(self._key, number)
            raise
        finally:
            if handle is not None:
                handle.cancel()
            # what it raises knows this frame, which would keep the channel of a dead daemon open
            del future
        return functools.partial(self._channel.listener.read_answer, answer)

    def _send(self, message: Message) -> None:
        data = b"" if is_bulky(message[3]) else self._pack(message)  # type: ignore[arg-type]
        if 0 < len(data) <= DATAGRAM:
            if not self._unsent and self._try_send(data):
                return
            self._unsent.append(data)
        else:
            self._pack = new_packer()
            for part in encode_parts(message, REQUEST):
                view = memoryview(part)
                self._unsent.extend(
                    view[start : start + FRAGMENT] for start in range(0, len(part), FRAGMENT)
                )
        self._flush()
        if self._unsent:
            self._loop.add_writer(self._sock.fileno(), self._flush)

    def _try_send(self, datagram: bytes | memoryview) -> bool:
        try:
            self._write(datagram)
        except BlockingIOError:
            return False
        except OSError:
            self._end(ChannelClosed("the privsep daemon died during the call"))
            raise self._channel.judge(
                ChannelClosed("the privsep daemon is gone", may_have_run=False)
            ) from None
        return True

    def _flush(self) -> None:
        with suppress(ChannelClosed):
            while self._unsent and self._try_send(self._unsent[0]):
                self._unsent.popleft()
        if not self._unsent and not self.closed:
            self._loop.remove_writer(self._sock.fileno())

    def _read(self) -> None:
        try:
            for _ in range(_AT_ONCE):
                message = self._receive()
                if message is not None:
                    self._take(message)
                if self.closed:
                    return
        except BlockingIOError:
            return
        except (EOFError, OSError):
            self._end(ChannelClosed("the privsep daemon died during the call"))
        except ProtocolError as error:
            self._end(error)

    def _receive(self) -> Message | None:
        if self._parts is not None:
            message = self._parts.receive(self._sock)
            if message is not None:
                self._parts = None
            return message
        size = self._sock.recv_into(self._decoder.buffer, 0, socket.MSG_TRUNC)
        message = self._decoder.decode(size)
        if message[0] != PARTS:
            return message
        self._parts = _Parts(read_lengths(message, ANSWER))
        return None

    def _take(self, message: Message) -> None:
        if message[0] not in ANSWERS:
            self._channel.listener.hear(message)
            return
        future = self._calls.pop(message[1], None)  # type: ignore[call-overload]
        if future is not None and not future.done():
            future.set_result(message)

    def _end(self, error: Exception) -> None:
        if self.closed:
            return
        self.closed = True
        fd = self._sock.fileno()
        self._loop.remove_reader(fd)
        self._loop.remove_writer(fd)
        self._unsent.clear()
        self._sock.close()
        if isinstance(error, ChannelClosed):
            self._channel.judge(error)
        first = self._first_that_did_not_begin() if isinstance(error, ChannelClosed) else None
        for number, future in self._calls.items():
            if future.done():
                continue
            if first is None or number < first:
                future.set_exception(error)
            else:
                why = "the privsep daemon died before the call began"
                future.set_exception(ChannelClosed(why, may_have_run=False))
        self._calls.clear()

    def _first_that_did_not_begin(self) -> int | None:
        evidence = self._channel.evidence
        return None if evidence is None else evidence.first_that_did_not_begin(self._key)

    def close_soon(self) -> None:
        """Have the loop's own thread end this."""
        with suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(
                self._end, ChannelClosed("the privsep daemon was stopped")
            )

    def forget(self) -> None:
        """Drop this process's descriptor only; for a child after a fork."""
        self.closed = True
        self._sock.close()


class _Parts:
    """A message in PARTS that is arriving."""

    def __init__(self, lengths: tuple[int, ...]) -> None:
        self._lengths = lengths
        self._done: list[bytes] = []
        self._target = bytearray(lengths[0])
        self._filled = 0

    def receive(self, sock: socket.socket) -> Message | None:
        """Take one datagram; give the message when it was the last."""
        length = self._lengths[len(self._done)]
        if self._filled < length:
            room = min(FRAGMENT, length - self._filled)
            with memoryview(self._target) as view:
                size = sock.recv_into(view[self._filled : self._filled + room], 0, socket.MSG_TRUNC)
            if not size:
                raise EOFError
            if size > room:
                raise ProtocolError("a part that is longer than was said")
            self._filled += size
        while self._filled == self._lengths[len(self._done)]:
            self._done.append(bytes(self._target))
            if len(self._done) == len(self._lengths):
                return decode_parts(self._done, ANSWER)
            self._target = bytearray(self._lengths[len(self._done)])
            self._filled = 0
        return None


def _expire(future: "asyncio.Future[Message]") -> None:
    if not future.done():
        future.set_exception(PrivsepTimeout("the call took too long, and was cancelled"))
