"""oslo.rootwrap's daemon protocol: multiprocessing's manager protocol with JSON, without it.

A message is 8 bytes of length, big endian, and the payload. Each connection begins with two
challenges, first the server's; which digest answers depends on the Python of the other side: MD5
without a name up to 3.11, a named one since. A request is ``[object, method, [...], {...}]``, an
answer ``[kind, value]``; bytes are ``{"__bytes__": base64}``.
"""

import base64
import hmac
import json
import os
import socket
import struct
from typing import Final

from privmigrate.errors import Refused

CHALLENGE: Final = b"#CHALLENGE#"
WELCOME: Final = b"#WELCOME#"
FAILURE: Final = b"#FAILURE#"
RETURN: Final = "#RETURN"
TRACEBACK: Final = "#TRACEBACK"
UNSERIALIZABLE: Final = "#UNSERIALIZABLE"
KEY_SIZE: Final = 32
MAX_MESSAGE: Final = 1 << 26
_MAX_CHALLENGE: Final = 256
_LENGTH: Final = struct.Struct("!Q")
_UNNAMED_CHALLENGE: Final = 20  # of Python up to 3.11; tested before the name, which it may imitate
_MD5_SIZE: Final = 16
_RANDOM: Final = 40
_DIGESTS: Final = ("sha256", "md5", "sha384", "sha3_256", "sha3_384")


def send_bytes(sock: socket.socket, payload: bytes) -> None:
    """Send one message."""
    sock.sendall(_LENGTH.pack(len(payload)) + payload)


def receive_exactly(sock: socket.socket, size: int) -> bytes:
    """Receive so many bytes; raise EOFError where they end before."""
    whole = sock.recv(min(size, 1 << 20)) if size else b""
    if len(whole) == size:
        return whole
    if not whole:
        raise EOFError
    chunks = [whole]
    left = size - len(whole)
    while left:
        chunk = sock.recv(min(left, 1 << 20))
        if not chunk:
            raise EOFError
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def receive_bytes(sock: socket.socket, most: int = MAX_MESSAGE) -> bytes:
    """Receive one message."""
    (size,) = _LENGTH.unpack(receive_exactly(sock, _LENGTH.size))
    if size > most:
        raise Refused(f"a message of {size} bytes")
    return receive_exactly(sock, size)


def send(sock: socket.socket, value: object) -> None:
    """Send one JSON value."""
    send_bytes(sock, dumps(value))


def dumps(value: object) -> bytes:
    """Write a JSON value."""
    return _ENCODER.encode(value).encode("utf-8")


def receive(sock: socket.socket) -> object:
    """Receive one JSON value; raise Refused if it is none, with the next message still in step."""
    (size,) = _LENGTH.unpack(receive_exactly(sock, _LENGTH.size))
    if size <= MAX_MESSAGE:
        return loads(receive_exactly(sock, size))
    left = size
    while left:
        chunk = sock.recv(min(left, 1 << 20))
        if not chunk:
            raise EOFError
        left -= len(chunk)
    raise Refused(f"a message of {size} bytes")


def loads(payload: bytes) -> object:
    """Read a JSON value, its bytes decoded."""
    try:
        value: object = _DECODER.decode(payload.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Refused(f"not a message: {error}") from None
    return value


def _encode_bytes(value: object) -> object:
    if isinstance(value, bytes):
        return {"__bytes__": base64.b64encode(value).decode("ascii")}
    raise TypeError(f"{type(value).__name__} cannot be sent")


def _decode_bytes(found: dict[str, object]) -> object:
    text = found.get("__bytes__")
    return base64.b64decode(text) if isinstance(text, str) else found


# json.dumps and json.loads make a new one for each message with arguments
_ENCODER: Final = json.JSONEncoder(default=_encode_bytes)
_DECODER: Final = json.JSONDecoder(object_hook=_decode_bytes)


def challenge(sock: socket.socket, key: bytes) -> None:
    """Let the other side prove that it has the key; raise Refused if it cannot."""
    message = b"{sha256}" + os.urandom(_RANDOM)
    send_bytes(sock, CHALLENGE + message)
    answer = receive_bytes(sock, _MAX_CHALLENGE)
    name, mac = ("md5", answer) if len(answer) == _MD5_SIZE else _split(answer)
    if not hmac.compare_digest(_digest(key, message, name), mac):
        send_bytes(sock, FAILURE)
        raise Refused("the other side has another key")
    send_bytes(sock, WELCOME)


def answer_challenge(sock: socket.socket, key: bytes) -> None:
    """Prove that we have the key."""
    message = receive_bytes(sock, _MAX_CHALLENGE)
    if not message.startswith(CHALLENGE):
        raise Refused("no challenge came")
    message = message.removeprefix(CHALLENGE)
    if len(message) == _UNNAMED_CHALLENGE:
        send_bytes(sock, _digest(key, message, "md5"))
    else:
        name, _ = _split(message)
        send_bytes(sock, f"{{{name}}}".encode() + _digest(key, message, name))
    if receive_bytes(sock, _MAX_CHALLENGE) != WELCOME:
        raise Refused("our key was refused")


def _split(message: bytes) -> tuple[str, bytes]:
    head, mark, rest = message[1:].partition(b"}")
    name = head.decode("ascii", "replace")
    if message[:1] != b"{" or not mark or name not in _DIGESTS:
        raise Refused("an unknown digest")
    return name, rest


def _digest(key: bytes, message: bytes, name: str) -> bytes:
    return hmac.new(key, message, name).digest()
