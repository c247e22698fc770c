"""A worker that collects connections which call again soon: nobody is kept waiting for it."""

import os
import socket
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from privmigrate.privsep.daemon import serve, worker
from privmigrate.privsep.daemon.answer_call import Turn
from privmigrate.privsep.daemon.collection import Collection
from privmigrate.privsep.daemon.connection import NOW, SOON, Connection
from privmigrate.privsep.daemon.load import Entrypoints
from privmigrate.privsep.daemon.logs import ChannelHandler
from privmigrate.privsep.marks import Evidence
from privmigrate.privsep.messages import CALL, RESULT, Encoder, decode
from privmigrate.privsep.priv_context import Method, PrivContext
from privmigrate.privsep.running import Cancellation
from tests.privsep import service
from tests.privsep.conftest import wait_until
from tests.privsep.service import calls


class Caller:
    """A connection of the server, and its client's end."""

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

    def noop(self) -> None:
        self.call(calls.noop.name)
        assert self.is_answered()


class Staying(Caller):
    """A server in this process, workers of it, and a connection.

    Attributes:
        waits: set once a worker waits for the connection's next request, and for nothing else.
        goes_on: that worker has a processor again.
        gate: the file for which calls wait in tests that have them take long.
    """

    def __init__(self, gate: Path) -> None:
        self.gate = gate
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
        self._running: list[tuple[worker.Worker, Future[None]]] = []

    def _read(self, buffer: bytearray, size: int, flags: int) -> int:
        if flags == SOON:
            self.waits.set()
            assert self.goes_on.wait(20)
        return self.receive(buffer, size, flags)

    def work(self, pool: ThreadPoolExecutor) -> worker.Worker:
        """Have one more worker serve until the end."""
        own = worker.Worker(self.server)
        self._running.append((own, pool.submit(own.run)))
        wait_until(lambda: hasattr(own, "turn"))
        return own

    def end(self) -> None:
        """End each worker with its next call."""

        def end_all(key: int, turn: Turn) -> None:
            self.server.running.pop(key, None)
            turn.is_last = True

        self.goes_on.set()
        self.gate.touch()  # also where a test has failed before it did
        self.server.end = end_all  # type: ignore[method-assign]
        enders = [Caller(self.server, 99) for _, done in self._running if not done.done()]
        for ender in enders:
            ender.call("no.such:name")
        for _, done in self._running:
            assert done.exception(20) is None

    def ready(self) -> list[int]:
        """What workers would find in the set that are not there yet."""
        return [fd for fd, _ in self.server.requests.poll(0)]

    def collected(self) -> int:
        """How many connections one worker serves."""
        collector = self.server.collector
        return 0 if collector is None else len(collector.connections)


@pytest.fixture
def staying(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[Staying]:
    class NoForks:
        """For a daemon that is no process: what tests fork later is no child of it."""

        def __init__(self, *_: object) -> None:
            self.in_child = False

    monkeypatch.setattr(serve, "Forks", NoForks)
    monkeypatch.setattr(worker, "SHORT", 20.0)  # whatever else the machine does
    monkeypatch.setattr(worker, "_LONG", 20.0)
    monkeypatch.setattr(worker, "_IDLE", 20.0)
    yield Staying(tmp_path / "end")
    service.context.seal(sealed=False)


@pytest.fixture
def one(staying: Staying) -> Generator[worker.Worker]:
    """The only worker that serves."""
    with ThreadPoolExecutor(1) as pool:
        try:
            yield staying.work(pool)
        finally:
            staying.end()


@pytest.mark.usefixtures("one")
def test_the_next_request_is_executed_where_it_is_waited_for(
    staying: Staying, tmp_path: Path
) -> None:
    staying.noop()
    assert staying.waits.wait(20)
    staying.ask(tmp_path / "out")
    assert staying.ready() == []
    staying.goes_on.set()
    assert staying.is_answered()
    assert (tmp_path / "out").read_text() == "x"
    wait_until(lambda: staying.collected() == 1)
    assert staying.connection.misses == 1
    staying.ask(tmp_path / "out")
    assert staying.is_answered()


def test_what_nobody_waits_for_any_more_is_not_executed(
    staying: Staying, one: worker.Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon was stopped while it waited; the client asked meanwhile, and gave up."""
    monkeypatch.setattr(worker, "_LONG", 0.01)
    staying.noop()
    assert staying.waits.wait(20)
    staying.ask(tmp_path / "out")
    staying.client.close()
    threading.Event().wait(0.02)
    staying.goes_on.set()
    wait_until(lambda: staying.connection.closed)
    assert not (tmp_path / "out").exists()
    assert one.turn.collection.connections == {}


def test_who_dies_while_it_waits_has_begun_nothing(staying: Staying, tmp_path: Path) -> None:
    """A process that is being killed comes as far as the end of the system call it waits in."""
    # INV-15
    own = worker.Worker(staying.server)
    own.turn = Turn(Cancellation(), own._collection)

    def die_after_it(buffer: bytearray, size: int, flags: int) -> int:
        assert staying.receive(buffer, size, flags)
        raise KeyboardInterrupt

    staying.call(calls.noop.name)
    assert own._serve(staying.connection, NOW)
    assert not staying.evidence.shows_that_it_did_not_begin(staying.key, 1)
    staying.connection.read = die_after_it  # type: ignore[assignment]
    staying.ask(tmp_path / "out", number=2)
    with pytest.raises(KeyboardInterrupt):
        own._serve(staying.connection, NOW)
    assert staying.evidence.shows_that_it_did_not_begin(staying.key, 2)


@pytest.mark.usefixtures("one")
def test_nobody_waits_where_nobody_else_does(staying: Staying) -> None:
    """The last free worker is everybody's."""
    staying.server.workers = 1
    for _ in range(3):
        staying.noop()
    assert not staying.waits.is_set()


@pytest.mark.usefixtures("one")
def test_who_waits_in_vain_soon_waits_no_more(staying: Staying) -> None:
    staying.goes_on.set()
    for misses in range(1, 5):
        staying.waits.clear()
        staying.noop()
        assert staying.waits.wait(20)
        wait_until(lambda misses=misses: staying.connection.misses == misses)  # type: ignore[misc]
        wait_until(lambda: staying.collected() == 1)
    staying.waits.clear()
    for _ in range(10):
        staying.noop()
    assert not staying.waits.is_set()


@pytest.mark.usefixtures("one")
def test_one_worker_serves_all_who_call_in_a_row(staying: Staying) -> None:
    """Also who comes new, where nobody else looks."""
    staying.goes_on.set()
    others = [Caller(staying.server, key) for key in range(2, 6)]
    for _ in range(3):
        for caller in (staying, *others):
            caller.call(calls.noop.name)
        for caller in (staying, *others):
            assert caller.is_answered()
    wait_until(lambda: staying.collected() == 5)
    assert staying.ready() == []


def test_whoever_serves_a_new_one_leaves_it_to_who_collects(staying: Staying) -> None:
    staying.goes_on.set()
    callers = [Caller(staying.server, key) for key in range(2, 12)]
    with ThreadPoolExecutor(2) as pool:
        try:
            workers = [staying.work(pool), staying.work(pool)]
            for _ in range(2):
                for caller in callers:
                    caller.noop()
            wait_until(lambda: staying.collected() == len(callers))
            assert sum(len(own.turn.collection.connections) for own in workers) == len(callers)
        finally:
            staying.end()


def test_what_is_not_known_to_be_short_keeps_nobody_waiting(
    staying: Staying, one: worker.Worker, tmp_path: Path
) -> None:
    other = collect_two(staying)
    staying.call(calls.wait_for.name, str(staying.gate))
    wait_until(lambda: bool(staying.server.running))
    other.call(calls.noop.name)
    assert staying.ready() == [other.connection.fd]
    assert not one.turn.collection.is_open
    staying.gate.touch()


def collect_two(staying: Staying) -> Caller:
    """Have the worker collect the connection and another, which is given."""
    staying.goes_on.set()
    other = Caller(staying.server, 2)
    for caller in (staying, other):
        caller.noop()
    wait_until(lambda: staying.collected() == 2)
    return other


@pytest.mark.usefixtures("one")
def test_what_has_nothing_to_do_is_given_back(
    staying: Staying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_IDLE", 0.05)
    other = collect_two(staying)
    wait_until(lambda: staying.collected() == 0)
    for caller in (staying, other):
        caller.noop()


@pytest.mark.usefixtures("one")
def test_what_takes_long_against_expectation_keeps_nobody_waiting(
    staying: Staying, tmp_path: Path
) -> None:
    """The main thread finds the same call running twice."""
    staying.server.short.add(calls.wait_for.name)
    other = collect_two(staying)
    staying.call(calls.wait_for.name, str(staying.gate))
    wait_until(lambda: bool(staying.server.running))
    assert staying.server.asked
    other.call(calls.noop.name)
    assert staying.ready() == []
    staying.server._wanted = 0  # start none
    staying.server._look_after_workers()
    assert staying.ready() == []
    threading.Event().wait(2 * serve.STUCK_SECONDS)
    staying.server._look_after_workers()
    assert staying.ready() == [other.connection.fd]
    staying.gate.touch()


def test_the_main_thread_looks_for_as_long_as_there_are_calls(
    staying: Staying, one: worker.Worker
) -> None:
    """No call that follows another pays for asking it to."""
    server = staying.server
    server._wanted = 0
    other = collect_two(staying)
    staying.noop()
    assert server.asked
    for _ in range(3):
        threading.Event().wait(2 * serve.STUCK_SECONDS)
        server._look_after_workers()
        assert server.asked
        staying.noop()
        wait_until(lambda: staying.collected() == 2)
    server._look_after_workers()
    for _ in range(2):
        threading.Event().wait(2 * serve.STUCK_SECONDS)
        server._look_after_workers()
    assert not server.asked
    assert one.turn.collection.is_open
    other.noop()
    assert server.asked


@pytest.mark.usefixtures("one")
def test_there_are_more_workers_where_all_are_stuck(
    staying: Staying, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    monkeypatch.setattr(serve, "start_new_thread", lambda run, _: started.append(run))
    server = staying.server
    server.workers = server._wanted = 1
    staying.call(calls.wait_for.name, str(staying.gate))
    wait_until(lambda: bool(server.running))
    for _ in range(1 + serve._LOOKS):
        assert not started
        assert server.asked
        threading.Event().wait(2 * serve.STUCK_SECONDS)
        server._look_after_workers()
    assert len(started) == 1
    assert server.workers == 2
    staying.gate.touch()


def test_fewer_workers_serve_where_no_more_can_be_had(
    staying: Staying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mock, because no limit of threads binds root."""

    def start(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(serve, "start_new_thread", start)
    staying.server._wanted = 5
    staying.server._add_workers()
    staying.server._add_workers()
    assert staying.server.workers == 2
    staying.server.workers = 0
    staying.server._wanted = 1
    with pytest.raises(RuntimeError, match="thread"):
        staying.server._add_workers()


def test_what_is_given_up_keeps_nobody_waiting(
    staying: Staying, one: worker.Worker, tmp_path: Path
) -> None:
    staying.server.short.add(calls.wait_for.name)
    other = collect_two(staying)
    staying.call(calls.wait_for.name, str(staying.gate))
    wait_until(lambda: bool(staying.server.running))
    other.call(calls.noop.name)
    staying.server.hang_up(staying.connection)
    assert staying.ready() == [other.connection.fd]
    staying.gate.touch()
    wait_until(lambda: one.turn.is_last)


@pytest.mark.usefixtures("one")
def test_only_entrypoints_are_remembered(staying: Staying) -> None:
    """A client may name what it likes, as often as it likes."""
    staying.goes_on.set()
    other = Caller(staying.server, 2)
    for number in range(5):
        for caller in (staying, other):
            caller.call(f"no.such:name{number}")
            assert not caller.is_answered()
    assert staying.server.short == set()


def test_what_comes_late_into_a_collection_is_given_back(staying: Staying) -> None:
    """Another worker was about to add it when all was given back."""
    own = Collection(staying.server.requests)
    staying.server.requests.modify(staying.connection.fd, 0)
    own.give_back(staying.server.arm)
    own.add(staying.connection, staying.server.arm)
    assert own.connections == {}
    assert staying.connection.collection is None
    staying.call(calls.noop.name)
    assert staying.ready() == [staying.connection.fd]


def test_nothing_is_lost_where_all_is_given_back_all_the_time(
    staying: Staying,
) -> None:
    """Workers that collect, hand over and are disturbed: each call is answered, and once."""
    staying.goes_on.set()
    over = threading.Event()

    def disturb() -> None:
        while not over.wait(0.0002):
            for turn in tuple(staying.server._turns):
                staying.server.give_back(turn)
            staying.server.short.clear()

    def call_on(caller: Caller) -> None:
        for number in range(300):
            caller.call(calls.noop.name, number=number)
            assert decode(caller.client.recv(1000))[:2] == (RESULT, number)

    callers = [staying, *(Caller(staying.server, key) for key in range(2, 9))]
    with ThreadPoolExecutor(4 + len(callers) + 1) as pool:
        for _ in range(4):
            staying.work(pool)
        staying.server.workers = 4
        disturbing = pool.submit(disturb)
        calling = [pool.submit(call_on, caller) for caller in callers]
        errors = [done.exception() for done in calling]
        over.set()
        staying.end()
        assert disturbing.exception() is None
    assert errors == [None] * len(callers)
    for caller in callers:
        caller.client.setblocking(False)
        with pytest.raises(BlockingIOError):
            caller.client.recv(1000)


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
