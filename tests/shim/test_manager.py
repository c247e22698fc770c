"""The handshake of newer Pythons, as CPython 3.14.8 computed it."""

import os
import socket

import pytest

from privmigrate.shim import manager

KEY = bytes(range(32))
PAYLOAD = bytes(range(40))
# message, and what multiprocessing.connection._create_response(KEY, message) gave there
VECTORS = [
    (
        b"{sha256}" + PAYLOAD,
        b"{sha256}",
        "0988643d19a1da3f98648ba4eec9b8b09b61d95da64bc38ba809c6b7e7bcaf3c",
    ),
    (
        b"{sha384}" + PAYLOAD,
        b"{sha384}",
        (
            "258efc885620a24ad71c5d7dd232b7064c369203e7960dfa8c2a5588d69d6ded"
            "3fc5e41c4e861722b0e415c8f7852874"
        ),
    ),
    (b"{md5}" + PAYLOAD, b"{md5}", "071a06d752d2e7b767cf0b345775467f"),
    (PAYLOAD[:20], b"", "7e57151ba744ee63c52e1497fbef19d0"),
    # 20 bytes have no name, whatever they look like
    (b"{sha256}" + PAYLOAD[:12], b"", "fd56b02c5c9f7638b2ef780355d94a42"),
]


@pytest.mark.parametrize(("message", "prefix", "mac"), VECTORS)
def test_a_challenge_is_answered_as_by_python_3_14(message: bytes, prefix: bytes, mac: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        manager.send_bytes(theirs, manager.CHALLENGE + message)
        manager.send_bytes(theirs, manager.WELCOME)
        manager.answer_challenge(ours, KEY)
        assert manager.receive_bytes(theirs) == prefix + bytes.fromhex(mac)


@pytest.mark.parametrize(("message", "prefix", "mac"), VECTORS[:1])
def test_the_answer_of_python_3_14_is_accepted(
    monkeypatch: pytest.MonkeyPatch, message: bytes, prefix: bytes, mac: str
) -> None:
    monkeypatch.setattr(os, "urandom", lambda size: PAYLOAD[:size])
    ours, theirs = socket.socketpair()
    with ours, theirs:
        manager.send_bytes(theirs, prefix + bytes.fromhex(mac))
        manager.challenge(ours, KEY)
        assert manager.receive_bytes(theirs) == manager.CHALLENGE + message
        assert manager.receive_bytes(theirs) == manager.WELCOME
