"""HELLO, ATTACH and CANCEL: what a client may ask on its control connection."""

import logging
import os
import socket
from typing import TYPE_CHECKING, Final

from privmigrate.linux.capabilities import read_sets
from privmigrate.privsep.daemon.answer_call import Turn
from privmigrate.privsep.daemon.connection import Connection
from privmigrate.privsep.messages import VERSION, WELCOME, Message, ProtocolError

if TYPE_CHECKING:
    from privmigrate.privsep.daemon.serve import Server

_HIGHEST_LEVEL: Final = 1000


def answer_hello(server: "Server", connection: Connection, message: Message, _turn: Turn) -> None:
    """Say who we are, and learn what the client wants to hear; it has no say in anything else."""
    _, version, level, tracebacks = message
    assert isinstance(level, int)  # noqa: S101 - `messages` has checked; this is for the reader
    server.sends_tracebacks = bool(tracebacks)
    if server.follows_level:
        logging.getLogger().setLevel(min(max(level, 0), _HIGHEST_LEVEL))
    permitted = read_sets().permitted
    welcome = (WELCOME, VERSION, server.name, os.getuid(), os.getgid(), permitted.mask)
    server.send_records(connection)
    connection.send_with(welcome, server.marks.fd)
    os.close(server.marks.fd)
    if version != VERSION:
        raise ProtocolError(f"a client of version {version}; this is version {VERSION}")


def answer_attach(server: "Server", _connection: Connection, message: Message, turn: Turn) -> None:
    """Serve one more connection; its descriptor must be what our client makes, and is ours now."""
    _, key, shared = message
    assert isinstance(key, int)  # noqa: S101 - as above
    try:
        sock = socket.socket(fileno=turn.fds[0])
    except OSError:
        os.close(turn.fds[0])
        raise ProtocolError("ATTACH with a descriptor that is no socket") from None
    kind = (sock.family, sock.type)
    if kind != (socket.AF_UNIX, socket.SOCK_SEQPACKET):
        sock.close()
        raise ProtocolError("ATTACH with a descriptor that is no SOCK_SEQPACKET socket")
    try:
        sock.getpeername()
    except OSError:
        sock.close()  # gone already, or never connected
        return
    sock.setblocking(True)
    server.attach(Connection(sock, key, shared=bool(shared)))


def answer_cancel(server: "Server", _connection: Connection, message: Message, _turn: Turn) -> None:
    """Give up one call; it may have ended, or not have begun, and then nothing happens."""
    _, key, number = message
    server.cancel(lambda connection, called: connection.key == key and called == number)
