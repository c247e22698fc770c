"""Our own client's messages: what cannot be meant is refused, and no descriptor stays open."""

import os
import socket
import struct
from pathlib import Path

import pytest

from privmigrate.errors import InputError, Refused
from privmigrate.shim import frames

NULL = os.open("/dev/null", os.O_RDWR)


def test_words_arrive_as_they_were_sent() -> None:
    for argv in (["true"], ["", ""], [], ["é", os.fsdecode(b"\xff\xfe"), "x" * 300_000]):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            frames.send_request(ours, frames.pack_request(argv), (NULL, NULL, NULL))
            words, streams = frames.receive_request(theirs)
            assert words == argv
            assert len(streams) == 3
            assert not any(os.get_inheritable(stream) for stream in streams)
            for stream in streams:
                os.close(stream)


def test_words_that_no_program_gets_are_not_sent() -> None:
    for word in ("a\0b", "\ud800"):
        with pytest.raises(InputError, match="a command's word"):
            frames.pack_request(["echo", word])


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("!I", 4) + b"echo",  # no end
        struct.pack("!I", 5) + b"echo\0more\0",  # two at once
        struct.pack("!I", 1 << 31),
        b'["echo"]',
    ],
)
def test_other_messages_are_refused(data: bytes) -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    ours, theirs = socket.socketpair()
    with ours, theirs:
        socket.send_fds(ours, [data], [NULL] * 3)
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises((Refused, EOFError)):
            frames.receive_request(theirs)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        socket.send_fds(ours, [frames.pack_request(["echo"])], [NULL] * 2)
        with pytest.raises(Refused, match="three descriptors"):
            frames.receive_request(theirs)
    assert sorted(Path("/proc/self/fd").iterdir()) == before


@pytest.mark.parametrize("cut", range(1, 16))
def test_a_result_arrives_in_any_pieces(cut: int) -> None:
    whole = frames.BEGUN + frames.pack_result(-9, "né")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(whole[:cut])
        begun = frames.receive_begun(theirs)
        ours.sendall(whole[cut:])
        assert frames.receive_result(theirs, begun) == (-9, "né")
