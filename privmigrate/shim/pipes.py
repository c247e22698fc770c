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
            ends.extend(os.pipe())
        stdin, feed, out, stdout, err, stderr = ends
        wait = start(stdin, stdout, stderr)
        for theirs in (stdin, stdout, stderr):
            os.close(theirs)
            ends.remove(theirs)
        found: dict[int, list[bytes]] = {out: [], err: []}
        _exchange(feed, memoryview(data), found, ends)
        return wait(), b"".join(found[out]), b"".join(found[err])
    finally:
        for end in ends:
            os.close(end)


def _exchange(feed: int, data: memoryview, found: dict[int, list[bytes]], ends: list[int]) -> None:
    """Write and read until nobody is left to write to or to read from; close what is done."""
    poller = select.poll()

    def done(end: int) -> None:
        ends.remove(end)
        os.close(end)

    if data:
        os.set_blocking(feed, False)
        poller.register(feed, select.POLLOUT)
    else:
        done(feed)
    for end in found:
        poller.register(end, select.POLLIN)
    left = len(found) + bool(data)
    while left:
        for end, _event in poller.poll():
            if end == feed:
                data = _feed(feed, data)
                if data:
                    continue
            elif chunk := os.read(end, _CHUNK):
                found[end].append(chunk)
                continue
            poller.unregister(end)
            done(end)
            left -= 1


def _feed(feed: int, data: memoryview) -> memoryview:
    """Write what the pipe takes; nothing is left for a command that does not read."""
    try:
        return data[os.write(feed, data[:_CHUNK]) :]
    except BlockingIOError:
        return data
    except BrokenPipeError:
        return memoryview(b"")
