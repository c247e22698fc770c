"""A worker that stays on a connection which calls again soon: nobody is kept waiting for it."""

import socket
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from privmigrate.privsep.daemon import serve
from privmigrate.privsep.daemon.answer_call import Turn
from privmigrate.privsep.daemon.connection import Connection, State
from privmigrate.privsep.daemon.load import Entrypoints
from privmigrate.privsep.daemon.logs import ChannelHandler
from privmigrate.privsep.daemon.requests import ROWS
from privmigrate.privsep.messages import CALL, RESULT, Decoder, Encoder, decode
from privmigrate.privsep.priv_context import Method, PrivContext
from privmigrate.privsep.running import Cancellation
from tests.privsep import service
from tests.privsep.conftest import wait_until
from tests.privsep.service import calls


class Staying:
    """A server in this process, a worker of which stays on a connection.

    Attributes:
        waits: set once the worker waits for the next request.
        goes_on: the worker has a processor again.
    """

    def __init__(self) -> None:
        control, self._control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs, self.client = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        handler, entrypoints = ChannelHandler("x"), Entrypoints(service.context)
        self.server = serve.Server(
            control, entrypoints, handler, name="x", size=8, follows_level=False
        )
        self.server._workers = 2
        self.connection = Connection(theirs, 1)
        self.connection.enter(State.SERVING, ROWS[State.SERVING])
        self.waits, self.goes_on = threading.Event(), threading.Event()
        self._receive: Callable[..., int] = self.connection._read
        self.connection._read = self._read  # type: ignore[assignment]

    def _read(self, *arguments: object) -> int:
        self.waits.set()
        assert self.goes_on.wait(20)
        return self._receive(*arguments)

    def stay(self) -> None:
        with Cancellation() as cancellation:
            self.server._stay(self.connection, Decoder(), Turn(cancellation))

    def ask(self, path: Path) -> None:
        self.client.send(Encoder().encode((CALL, 1, calls.append.name, (str(path), "x"), {})))


@pytest.fixture
def staying(monkeypatch: pytest.MonkeyPatch) -> Generator[Staying]:
    class NoForks:
        """For a daemon that is no process: what tests fork later is no child of it."""

        def __init__(self, *_: object) -> None:
            self.in_child = False

    monkeypatch.setattr(serve, "Forks", NoForks)
    yield Staying()
    service.context.seal(sealed=False)


def test_the_next_request_is_executed_where_it_is_waited_for(
    staying: Staying, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(staying.stay)
        assert staying.waits.wait(20)
        assert staying.connection in staying.server._staying
        staying.ask(tmp_path / "out")
        staying.goes_on.set()
        assert decode(staying.client.recv(1000))[0] == RESULT
        assert done.exception() is None
    assert (tmp_path / "out").read_text() == "x"
    assert not staying.server._staying
    assert staying.connection.misses == 1


def test_what_nobody_waits_for_any_more_is_not_executed(staying: Staying, tmp_path: Path) -> None:
    """The daemon was stopped while it waited; the client asked meanwhile, and gave up."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(staying.stay)
        assert staying.waits.wait(20)
        staying.ask(tmp_path / "out")
        staying.client.close()
        threading.Event().wait(0.02)
        staying.goes_on.set()
        assert isinstance(done.exception(), EOFError)
    assert not (tmp_path / "out").exists()


def test_who_dies_while_it_waits_has_taken_nothing(staying: Staying, tmp_path: Path) -> None:
    """A process that is being killed comes as far as the end of the system call it waits in."""
    # INV-15

    def die_after_it(*arguments: object) -> int:
        staying._receive(*arguments)
        raise KeyboardInterrupt

    staying.connection._read = die_after_it  # type: ignore[assignment]
    staying.ask(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        staying.stay()
    staying.connection.sock.close()
    with pytest.raises(ConnectionResetError):  # which says that it was not read
        staying.client.recv(1)


def test_nobody_stays_where_nobody_else_waits(staying: Staying) -> None:
    """The last free worker is everybody's."""
    staying.server._workers = 1
    staying.stay()
    assert not staying.waits.is_set()


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
