"""The daemon dies at each boundary of a request and of an answer: what the caller is told.

The daemon is played by this process: it takes the control connection's other end, and closes
everything at a chosen moment, as a process that is killed does.
"""

import array
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import cast

import pytest

from privmigrate.errors import ChannelClosed
from privmigrate.privsep.client.answers import Listener, RemoteError, rebuild
from privmigrate.privsep.client.channel import Channel
from privmigrate.privsep.comm import PrivsepTimeout
from privmigrate.privsep.messages import (
    ANSWER,
    CALL,
    ERROR,
    FRAGMENT,
    LOG,
    RESULT,
    Encoder,
    Message,
    ProtocolError,
    decode,
    encode_parts,
)
from tests.privsep.service import calls

LARGE = b"x" * (FRAGMENT * 3 + 5)


class Actor:
    """Plays the daemon for one call, and dies when its script ends."""

    def __init__(self, script: Callable[["Actor"], None]) -> None:
        self.control, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel = Channel(ours, Listener("x", tracebacks=False))
        self.sock: socket.socket | None = None
        self.key = 0
        self._thread = threading.Thread(target=self._play, args=(script,))
        self._thread.start()

    def _play(self, script: Callable[["Actor"], None]) -> None:
        attach, ancillary, _, _ = self.control.recvmsg(1000, socket.CMSG_SPACE(16))
        self.key = cast("int", decode(attach)[1])
        fds = array.array("i", ancillary[0][2][:4])
        self.sock = socket.socket(fileno=fds[0])
        script(self)
        # as the kernel closes them: in the order of their numbers
        self.control.close()
        self.sock.close()

    def read(self, datagrams: int) -> None:
        assert self.sock is not None
        for _ in range(datagrams):
            self.sock.recv(FRAGMENT)

    def send(self, *datagrams: bytes) -> None:
        assert self.sock is not None
        for datagram in datagrams:
            self.sock.send(datagram)

    def call(self, *args: object, timeout: float | None = 20) -> object:
        try:
            return self.channel.call(calls.echo, args, {}, timeout)
        finally:
            self._thread.join()


def packed(message: Message) -> bytes:
    return Encoder().encode(message)


def in_pieces(message: Message) -> list[bytes]:
    head, *parts = encode_parts(message, ANSWER)
    pieces = [head]
    for part in parts:
        pieces += [part[i : i + FRAGMENT] for i in range(0, len(part), FRAGMENT)]
    return pieces


REQUEST_PIECES = len(in_pieces((CALL, 0, calls.echo.name, (LARGE,), {})))
ANSWER_PIECES = in_pieces((RESULT, 0, LARGE))


def died(actor: Actor, *args: object) -> ChannelClosed:
    with pytest.raises(ChannelClosed) as closed:
        actor.call(*args)
    assert not actor.channel.running
    return closed.value


def test_before_the_request_is_read() -> None:
    assert not died(Actor(lambda _: None), 1).may_have_run


def test_before_the_request_is_read_while_another_thread_finds_the_daemon_dead() -> None:
    """Whoever restarts hangs up on nobody: each caller learns from the kernel what happened."""
    # INV-15

    def script(actor: Actor) -> None:
        assert actor.sock is not None
        select.select([actor.sock], [], [], 20)
        actor.control.close()
        actor.channel.bury()

    assert not died(Actor(script), 1).may_have_run


def test_asking_whether_the_daemon_lives_never_asks_about_another() -> None:
    """The number of a dead daemon's control connection is not given to its successor's."""
    actor = Actor(lambda _: None)
    number = actor.channel._control.fileno()
    died(actor, 1)
    actor.channel.bury()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert number not in {ours.fileno(), theirs.fileno()}


@pytest.mark.parametrize("read", range(REQUEST_PIECES))
def test_in_the_middle_of_a_large_request(read: int) -> None:
    """Execution begins when the last piece was read: until then it certainly did not."""
    assert not died(Actor(lambda actor: actor.read(read)), LARGE).may_have_run


def test_after_the_request_was_read() -> None:
    assert died(Actor(lambda actor: actor.read(1)), 1).may_have_run
    assert died(Actor(lambda actor: actor.read(REQUEST_PIECES)), LARGE).may_have_run


def test_after_a_log_record() -> None:
    def script(actor: Actor) -> None:
        actor.read(1)
        actor.send(packed((LOG, 0, {"msg": "x", "levelno": 10})))

    assert died(Actor(script), 1).may_have_run


@pytest.mark.parametrize("sent", range(1, len(ANSWER_PIECES)))
def test_in_the_middle_of_a_large_answer(sent: int) -> None:
    def script(actor: Actor) -> None:
        actor.read(1)
        actor.send(*ANSWER_PIECES[:sent])

    assert died(Actor(script), 1).may_have_run


def test_after_the_answer_nothing_is_lost() -> None:
    def script(actor: Actor) -> None:
        actor.read(1)
        actor.send(*ANSWER_PIECES)

    actor = Actor(script)
    assert actor.call(1) == LARGE
    with pytest.raises(ChannelClosed) as closed:
        actor.channel.call(calls.echo, (1,), {}, None)
    assert not closed.value.may_have_run


@pytest.mark.parametrize(
    "answer",
    [b"\xc1", packed((1, 1, 20, False)), packed((RESULT, 0, None)) + b"x", b"x" * 70_000],
    ids=["no msgpack", "no answer", "trailing", "too large"],
)
def test_an_answer_that_is_none_ends_the_connection(answer: bytes) -> None:
    def script(actor: Actor) -> None:
        actor.read(1)
        actor.send(answer)

    with pytest.raises(ProtocolError):
        Actor(script).call(1)


def test_one_connection_may_end_and_the_daemon_live() -> None:
    gate = threading.Event()

    def script(actor: Actor) -> None:
        actor.read(1)
        assert actor.sock is not None
        actor.sock.shutdown(socket.SHUT_RDWR)
        gate.wait(20)

    actor = Actor(script)
    with pytest.raises(ChannelClosed) as closed:
        actor.channel.call(calls.echo, (1,), {}, 20)
    running = actor.channel.running
    gate.set()
    assert closed.value.may_have_run
    assert running


@pytest.mark.timeout(20)
def test_records_do_not_prolong_a_timeout() -> None:
    """Trap: a timeout that begins anew with every datagram never comes."""
    stop = threading.Event()

    def script(actor: Actor) -> None:
        actor.read(1)
        with suppress(BrokenPipeError):
            while not stop.wait(0.02):
                actor.send(packed((LOG, 0, {"msg": "x", "levelno": 1})))

    actor = Actor(script)
    with pytest.raises(PrivsepTimeout):
        actor.channel.call(calls.echo, (1,), {}, 0.2)
    stop.set()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "print"),
        ("builtins", "SystemExit"),
        ("builtins", "KeyboardInterrupt"),
        ("builtins", "dict"),
        ("subprocess", "Popen"),
        ("not.imported.anywhere", "Error"),
        ("tests.privsep.service.calls", "context.entrypoint"),
        ("builtins", "ValueError.__subclasses__"),
        ("", ""),
    ],
)
def test_only_exception_classes_are_made_of_names(module: str, name: str) -> None:
    """Trap: oslo.privsep imports and calls whatever the other side names."""
    made = rebuild(module, name, ("touch /tmp/never",), {})
    assert type(made) is RemoteError
    assert str(made) == f"{module}.{name}: touch /tmp/never"


def test_an_error_of_any_shape_is_an_error() -> None:
    message = (ERROR, 0, "builtins", "UnicodeDecodeError", ("only one",), {"note": 1}, "")
    with pytest.raises(UnicodeDecodeError) as odd:
        Listener("x", tracebacks=False).read_answer(message)
    assert odd.value.args == ("only one",)
    assert vars(odd.value) == {"note": 1}
