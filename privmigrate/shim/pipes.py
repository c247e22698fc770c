"""A command's three streams as pipes: what goes in, what came out."""

import os
import select
from collections.abc import Callable
from typing import Final

_CHUNK: Final = 1 << 16


def communicate(
    start: Callable[[int, int, int], Callable[[], int]], data: bytes
) -> tuple[int, bytes, bytes]:
    """Start a command on three pipes, feed it, and give its status (-n for signal n) and output.

    `start` gets the command's ends, which are closed here when it returns, and gives what waits.
    """
    ends: list[int] = []
    try:
        for _ in range(3):
            ends += os.pipe()
        stdin, feed, out, stdout, err, stderr = ends
        wait = start(stdin, stdout, stderr)
        theirs, ends = (stdin, stdout, stderr), [feed, out, err]
        for end in theirs:
            os.close(end)
        found: tuple[list[bytes], list[bytes]] = ([], [])
        _exchange(ends, memoryview(data), found)
        return wait(), b"".join(found[0]), b"".join(found[1])
    finally:
        for end in ends:
            if end >= 0:
                os.close(end)


def _exchange(ends: list[int], data: memoryview, found: tuple[list[bytes], list[bytes]]) -> None:
    """Write and read until nobody is left to write to or to read from; close what is done."""
    feed, *outputs = ends
    poller = select.poll()
    for end in outputs:
        poller.register(end, select.POLLIN)
    if data:
        os.set_blocking(feed, False)
        poller.register(feed, select.POLLOUT)
    else:
        _close(ends, 0)
    while any(end >= 0 for end in ends):
        for end, event in poller.poll():
            number = ends.index(end)
            if not number:
                data = _feed(feed, data)
                if data:
                    continue
            # whoever hangs up with nothing left to read need not be asked
            elif event != select.POLLHUP and (chunk := os.read(end, _CHUNK)):
                found[number - 1].append(chunk)
                continue
            poller.unregister(end)
            _close(ends, number)


def _close(ends: list[int], number: int) -> None:
    end, ends[number] = ends[number], -1
    os.close(end)


def _feed(feed: int, data: memoryview) -> memoryview:
    """Write what the pipe takes; nothing is left for a command that does not read."""
    try:
        return data[os.write(feed, data[:_CHUNK]) :]
    except BlockingIOError:
        return data
    except BrokenPipeError:
        return memoryview(b"")
