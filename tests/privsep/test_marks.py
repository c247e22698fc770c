"""What the client of a dead daemon can know of its call, and what it can do with that memory."""

import mmap
import os
import socket
import threading
from pathlib import Path

import pytest

from privmigrate.privsep import marks, settings
from privmigrate.privsep.client import launch
from privmigrate.privsep.comm import FailedToDropPrivileges
from privmigrate.privsep.daemon.answer_call import Turn, answer_call
from privmigrate.privsep.daemon.collection import Collection
from privmigrate.privsep.daemon.connection import Connection
from privmigrate.privsep.marks import SLOTS, Evidence, Marks
from privmigrate.privsep.messages import (
    CALL,
    DATAGRAM,
    HELLO,
    VERSION,
    WELCOME,
    Encoder,
    Message,
    decode,
)
from privmigrate.privsep.running import Cancellation
from tests.privsep import service
from tests.privsep.service import calls
from tests.privsep.test_death import LARGE, REQUEST_PIECES, Actor, died
from tests.privsep.test_hostile import Raw, answer, packed
from tests.privsep.test_staying import Staying, staying

__all__ = ["staying"]


@pytest.fixture
def made() -> Marks:
    return Marks()


@pytest.fixture
def evidence(made: Marks) -> Evidence:
    return Evidence(os.dup(made.fd))


@pytest.mark.parametrize("number", [1, 255, 256, 257, 2**40])
def test_a_mark_is_of_one_call(made: Marks, evidence: Evidence, number: int) -> None:
    byte = made.take(7, 42).byte
    byte[0] = (number - 1) % marks.NUMBERS
    assert evidence.shows_that_it_did_not_begin(42, number)
    byte[0] = number % marks.NUMBERS
    assert not evidence.shows_that_it_did_not_begin(42, number)


@pytest.mark.parametrize("key", [0, -1, 2**63, 2**64 - 1, -(2**63)])
def test_a_client_may_name_its_connection_as_it_likes(
    made: Marks, evidence: Evidence, key: int
) -> None:
    made.take(0, key)
    made.take(SLOTS - 1, key + 1)
    assert evidence.shows_that_it_did_not_begin(key, 1)


def test_of_what_is_not_known_nothing_is_said(made: Marks, evidence: Evidence) -> None:
    made.take(7, 42)
    made.take(8, 43).byte[0] = 1
    made.take(7, 44)  # the number of a connection that has ended
    made.take(SLOTS, 45)
    for key in (41, 42, 43, 45):
        assert not evidence.shows_that_it_did_not_begin(key, 1)


def test_of_calls_that_share_a_connection_the_first_that_was_not_read(
    made: Marks, evidence: Evidence
) -> None:
    mark = made.take(7, 42)
    made.take(8, 43).next[0] = 9
    assert evidence.first_that_did_not_begin(42) == 1
    mark.next[0] = 5
    assert evidence.first_that_did_not_begin(42) == 5
    mark.next[0] = 0  # too many calls
    assert evidence.first_that_did_not_begin(42) is None
    made.take(7, 44)
    assert evidence.first_that_did_not_begin(42) is None
    assert evidence.first_that_did_not_begin(44) == 1


def test_a_key_is_found_in_its_place_only(made: Marks, evidence: Evidence) -> None:
    """Bytes in the middle of slots that look like a key are none."""
    key = int.from_bytes(b"\1" * 4 + b"\0" * 4, "little")
    made.take(5, int.from_bytes(b"\0" * 4 + b"\1" * 4, "little"))
    assert not evidence.shows_that_it_did_not_begin(key, 1)


def test_another_s_mark_is_never_taken_for_one_s_own(
    made: Marks, evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon lives, and gives the slot away while we look."""
    made.take(7, 42).byte[0] = 1
    read = os.pread

    def give_away_meanwhile(fd: int, size: int, place: int) -> bytes:
        if size == 1:
            made.take(7, 43)
        return read(fd, size, place)

    monkeypatch.setattr(os, "pread", give_away_meanwhile)
    assert not evidence.shows_that_it_did_not_begin(42, 1)


def test_keys_differ_also_after_a_fork() -> None:
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(theirs, str(marks.new_key()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert len({marks.new_key(), marks.new_key(), int(os.read(ours, 100))}) == 3
    os.close(ours)
    os.close(theirs)


def test_the_client_can_read_and_nothing_else() -> None:
    """With the descriptor that the daemon really sends, and with one opened anew from it."""
    raw = Raw()
    raw.control.send(packed((HELLO, VERSION, 30, False)))
    _, (fd,), _, _ = socket.recv_fds(raw.control, DATAGRAM, 4)
    again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
    for each in (fd, again):
        with pytest.raises(PermissionError):
            os.ftruncate(each, 0)
        with pytest.raises(PermissionError):
            os.ftruncate(each, 2**20)
        with pytest.raises(PermissionError):
            os.pwrite(each, b"x", 0)
        with pytest.raises(PermissionError):
            mmap.mmap(each, marks.SIZE)
        assert os.pread(each, 8, 0) == bytes(8)
        os.close(each)
    assert raw.still_serves()
    raw.close()


def test_the_daemon_marks_what_it_executes() -> None:
    raw = Raw()
    raw.control.send(packed((HELLO, VERSION, 30, False)))
    _, (fd,), _, _ = socket.recv_fds(raw.control, DATAGRAM, 4)
    found = Evidence(fd)
    with raw.attach() as sock:
        for number in (1, 2, -1, 2**64 - 1):
            sock.send(packed((CALL, number, calls.getpid.name, (), {})))
            assert answer(sock)[2] == raw.pid
            assert not found.shows_that_it_did_not_begin(1, number)
            assert found.shows_that_it_did_not_begin(1, number + 1)
    raw.close()


@pytest.mark.parametrize(
    ("number", "following"), [(1, 2), (2**32 - 2, 2**32 - 1), (2**32 - 1, None), (-1, None)]
)
def test_the_daemon_marks_what_it_reads_of_calls_that_share_a_connection(
    number: int, following: int | None
) -> None:
    raw = Raw()
    raw.control.send(packed((HELLO, VERSION, 30, False)))
    _, (fd,), _, _ = socket.recv_fds(raw.control, DATAGRAM, 4)
    found = Evidence(fd)
    with raw.attach(shared=True) as sock:
        sock.send(packed((CALL, number, calls.getpid.name, (), {})))
        assert answer(sock)[2] == raw.pid
        assert found.first_that_did_not_begin(1) == following
    raw.close()


def test_who_hangs_up_before_the_mark_is_seen(staying: Staying, tmp_path: Path) -> None:
    """And so a call of which no mark was found then is not executed later."""
    # INV-15

    class HangUp:
        """A hang-up that comes at the last moment at which no mark is there."""

        def __init__(self, connection: Connection) -> None:
            self.connection = connection

        def __setitem__(self, place: int, number: int) -> None:
            self.connection.closed = True

    staying.connection.mark = HangUp(staying.connection)  # type: ignore[assignment]
    message: Message = (CALL, 1, calls.append.name, (str(tmp_path / "out"), "x"), {})
    answer_call(
        staying.server,
        staying.connection,
        message,
        Turn(Cancellation(), Collection(staying.server.requests)),
    )
    assert not (tmp_path / "out").exists()


class Marking:
    """Plays a daemon that takes a request and dies before or after its mark."""

    def __init__(self, *, marked: bool) -> None:
        self.made = Marks()
        self.marked = marked

    def __call__(self, actor: Actor) -> None:
        byte = self.made.take(5, actor.key).byte
        actor.read(1)
        byte[0] = self.marked

    def play(self) -> Actor:
        actor = Actor(self)
        actor.channel.evidence = Evidence(os.dup(self.made.fd))
        return actor


def test_a_request_that_was_taken_and_not_marked_did_not_run() -> None:
    # INV-15
    assert not died(Marking(marked=False).play(), 1).may_have_run


def test_a_request_that_was_marked_may_have_run() -> None:
    assert died(Marking(marked=True).play(), 1).may_have_run


@pytest.mark.parametrize("read", range(REQUEST_PIECES + 1))
def test_a_large_request_that_was_not_marked_did_not_run(read: int) -> None:
    made = Marks()

    def script(actor: Actor) -> None:
        made.take(5, actor.key)
        actor.read(read)

    actor = Actor(script)
    actor.channel.evidence = Evidence(os.dup(made.fd))
    assert not died(actor, LARGE).may_have_run


def test_where_the_daemon_never_knew_the_connection_the_kernel_tells() -> None:
    made = Marks()
    for script, may_have_run in ((lambda _: None, False), (lambda actor: actor.read(1), True)):
        actor = Actor(script)
        actor.channel.evidence = Evidence(os.dup(made.fd))
        assert died(actor, 1).may_have_run is may_have_run


def test_a_daemon_that_does_not_say_what_begins_is_not_used() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def welcome() -> None:
        assert decode(theirs.recv(1000))[0] == HELLO
        theirs.send(Encoder().encode((WELCOME, VERSION, str(service.context), 0, 0, 0)))
        theirs.recv(1)
        theirs.close()

    thread = threading.Thread(target=welcome)
    thread.start()
    with pytest.raises(FailedToDropPrivileges, match="does not say which calls begin"):
        launch._greet(service.context, settings.read(service.context), ours, None)
    thread.join()
