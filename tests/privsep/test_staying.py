"""A worker that holds connections which call again soon: nobody is kept waiting for it."""

import os
import socket
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from privmigrate.privsep.daemon import serve, worker
from privmigrate.privsep.daemon.answer_call import Turn
from privmigrate.privsep.daemon.connection import SOON, Connection
from privmigrate.privsep.daemon.load import Entrypoints
from privmigrate.privsep.daemon.logs import ChannelHandler
from privmigrate.privsep.marks import Evidence
from privmigrate.privsep.messages import CALL, RESULT, Encoder, decode
from privmigrate.privsep.priv_context import Method, PrivContext
from privmigrate.privsep.running import Cancellation
from tests.privsep import service
from tests.privsep.conftest import wait_until
from tests.privsep.service import calls


class Held:
    """A connection of a worker, and its client's end."""

    def __init__(self, server: serve.Server, key: int) -> None:
        theirs, self.client = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.client.settimeout(20)
        self.key = key
        self.connection = Connection(theirs, key)
        server.attach(self.connection)

    def ask(self, path: Path, number: int = 1) -> None:
        self.call(calls.append.name, str(path), "x", number=number)

    def call(self, name: str, *args: object, number: int = 1) -> None:
        self.client.send(Encoder().encode((CALL, number, name, args, {})))

    def is_answered(self) -> bool:
        return decode(self.client.recv(1000))[0] == RESULT


class Staying(Held):
    """A server in this process, and a worker that holds a connection, which has asked once.

    Attributes:
        waits: set once the worker waits for the next request.
        goes_on: the worker has a processor again.
    """

    def __init__(self) -> None:
        control, self._control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        handler, entrypoints = ChannelHandler("x"), Entrypoints(service.context)
        self.server = serve.Server(
            control, entrypoints, handler, name="x", size=8, follows_level=False
        )
        self.server.workers = 2
        super().__init__(self.server, 1)
        self.evidence = Evidence(os.dup(self.server.marks.fd))
        self.waits, self.goes_on = threading.Event(), threading.Event()
        self.receive: Callable[..., int] = self.connection.read
        self.connection.read = self._read  # type: ignore[assignment]
        self.turn = Turn(Cancellation())

    def _read(self, buffer: bytearray, size: int, flags: int) -> int:
        if flags == SOON:
            self.waits.set()
            assert self.goes_on.wait(20)
        return self.receive(buffer, size, flags)

    def hold(self, *held: Held) -> None:
        """Serve these as the worker does that has them from the set."""
        own = worker.Worker(self.server)
        own.turn = self.turn
        for other in held:
            self.server.requests.modify(other.connection.fd, 0)
            self.turn.held.append(other.connection)
        self.server.serving[self.turn] = None
        own.serve_held()
        self.server.serving.pop(self.turn, None)

    def stay(self) -> None:
        """Serve a first request, and what follows it."""
        self.call(calls.noop.name)
        self.hold(self)

    def ready(self) -> list[int]:
        """What other workers would find in the set."""
        return [fd for fd, _ in self.server.requests.poll(0)]


@pytest.fixture
def staying(monkeypatch: pytest.MonkeyPatch) -> Generator[Staying]:
    class NoForks:
        """For a daemon that is no process: what tests fork later is no child of it."""

        def __init__(self, *_: object) -> None:
            self.in_child = False

    monkeypatch.setattr(serve, "Forks", NoForks)
    monkeypatch.setattr(worker, "SHORT", 20.0)  # whatever else the machine does
    monkeypatch.setattr(worker, "_LONG", 20.0)
    yield Staying()
    service.context.seal(sealed=False)


def test_the_next_request_is_executed_where_it_is_waited_for(
    staying: Staying, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(staying.stay)
        assert staying.is_answered()
        assert staying.waits.wait(20)
        staying.ask(tmp_path / "out")
        staying.goes_on.set()
        assert staying.is_answered()
        assert done.exception() is None
    assert (tmp_path / "out").read_text() == "x"
    assert not staying.turn.held
    assert staying.connection.misses == 1
    staying.ask(tmp_path / "out")
    assert staying.ready() == [staying.connection.fd]


def test_what_nobody_waits_for_any_more_is_not_executed(
    staying: Staying, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon was stopped while it waited; the client asked meanwhile, and gave up."""
    monkeypatch.setattr(worker, "_LONG", 0.01)
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(staying.stay)
        assert staying.waits.wait(20)
        staying.ask(tmp_path / "out")
        staying.client.close()
        threading.Event().wait(0.02)
        staying.goes_on.set()
        assert done.exception() is None
    assert not (tmp_path / "out").exists()
    assert staying.connection.closed


def test_who_dies_while_it_waits_has_begun_nothing(staying: Staying, tmp_path: Path) -> None:
    """A process that is being killed comes as far as the end of the system call it waits in."""
    # INV-15

    def die_after_it(buffer: bytearray, size: int, flags: int) -> int:
        assert staying.receive(buffer, size, flags)
        raise KeyboardInterrupt

    staying.goes_on.set()
    staying.stay()
    assert not staying.evidence.shows_that_it_did_not_begin(staying.key, 1)
    staying.connection.read = die_after_it  # type: ignore[assignment]
    staying.ask(tmp_path / "out", number=2)
    with pytest.raises(KeyboardInterrupt):
        staying.hold(staying)
    assert staying.evidence.shows_that_it_did_not_begin(staying.key, 2)


def test_nobody_waits_where_nobody_else_does(staying: Staying) -> None:
    """The last free worker is everybody's."""
    staying.server.workers = 1
    staying.stay()
    assert not staying.waits.is_set()
    assert not staying.turn.held


def test_who_waits_in_vain_soon_waits_no_more(staying: Staying) -> None:
    staying.goes_on.set()
    for _ in range(4):
        staying.waits.clear()
        staying.stay()
        assert staying.waits.is_set()
    staying.waits.clear()
    for _ in range(10):
        staying.stay()
    assert not staying.waits.is_set()


def test_several_are_served_in_turn(staying: Staying, tmp_path: Path) -> None:
    """Where nobody else looks, also one that was not held at first."""
    staying.server.workers = 1
    staying.server.short.add(calls.append.name)
    second, third = Held(staying.server, 2), Held(staying.server, 3)
    for _ in range(worker._IN_A_ROW):
        for held in (staying, second):
            held.ask(tmp_path / "of two")
    third.ask(tmp_path / "of one")
    staying.hold(staying, second)
    assert third.is_answered()
    assert (tmp_path / "of two").read_text() == "x" * 2 * worker._IN_A_ROW
    assert not staying.turn.held


def test_what_is_not_known_to_be_short_keeps_nobody_waiting(
    staying: Staying, tmp_path: Path
) -> None:
    other = Held(staying.server, 2)
    with ThreadPoolExecutor(1) as pool:
        staying.call(calls.wait_for.name, str(tmp_path / "end"))
        other.call(calls.noop.name)
        done = pool.submit(staying.hold, staying, other)
        wait_until(lambda: staying.ready() == [other.connection.fd])
        (tmp_path / "end").touch()
        staying.goes_on.set()
        assert done.exception() is None


def test_what_takes_long_against_expectation_keeps_nobody_waiting(
    staying: Staying, tmp_path: Path
) -> None:
    """The main thread finds the same call running twice."""
    staying.server.short.add(calls.wait_for.name)
    other = Held(staying.server, 2)
    with ThreadPoolExecutor(1) as pool:
        staying.call(calls.wait_for.name, str(tmp_path / "end"))
        other.call(calls.noop.name)
        done = pool.submit(staying.hold, staying, other)
        wait_until(lambda: bool(staying.server.running))
        assert staying.server.asked
        assert staying.ready() == []
        staying.server._wanted = 0  # start none
        staying.server._look_after_workers()
        assert staying.ready() == []
        threading.Event().wait(2 * serve.STUCK_SECONDS)
        staying.server._look_after_workers()
        assert staying.ready() == [other.connection.fd]
        (tmp_path / "end").touch()
        staying.goes_on.set()
        assert done.exception() is None


def test_what_is_given_up_keeps_nobody_waiting(staying: Staying, tmp_path: Path) -> None:
    staying.server.short.add(calls.wait_for.name)
    other = Held(staying.server, 2)
    with ThreadPoolExecutor(1) as pool:
        staying.call(calls.wait_for.name, str(tmp_path / "end"))
        other.call(calls.noop.name)
        done = pool.submit(staying.hold, staying, other)
        wait_until(lambda: bool(staying.server.running))
        staying.server.hang_up(staying.connection)
        assert staying.ready() == [other.connection.fd]
        (tmp_path / "end").touch()
        assert done.exception() is None
    assert staying.turn.is_last


def test_only_entrypoints_are_remembered(staying: Staying) -> None:
    """A client may name what it likes, as often as it likes."""
    other = Held(staying.server, 2)
    for number in range(5):
        for held in (staying, other):
            held.call(f"no.such:name{number}")
        staying.goes_on.set()
        staying.hold(staying, other)
    assert staying.server.short == set()


@pytest.mark.parametrize("size", [1, 2, 8])
def test_callers_in_a_series_delay_no_others(
    daemon: PrivContext, tmp_path: Path, size: int
) -> None:
    """A caller now and then gets its turn beside one that calls without a break and one that waits.

    With one worker there is nobody to wait beside.
    """
    daemon.stop()
    daemon.conf  # noqa: B018 - registers the options
    from oslo_config import cfg

    cfg.CONF.set_override("thread_pool_size", size, group=daemon.cfg_section)
    try:
        daemon.start(Method.FORK)
    finally:
        cfg.CONF.clear_override("thread_pool_size", group=daemon.cfg_section)
    over = threading.Event()

    def call_on() -> None:
        while not over.is_set():
            calls.noop()

    with ThreadPoolExecutor(2) as pool:
        series = pool.submit(call_on)
        if size > 1:
            busy = pool.submit(calls.start_and_wait, str(tmp_path / "a"), str(tmp_path / "end"))
            wait_until((tmp_path / "a").exists)
        taken: list[float] = []
        for _ in range(40):
            threading.Event().wait(0.005)
            start = time.monotonic()
            calls.noop()
            taken.append(time.monotonic() - start)
        over.set()
        (tmp_path / "end").touch()
        assert series.exception() is None
        if size > 1:
            assert busy.exception() is None
    assert sorted(taken)[len(taken) // 2] < 0.05
