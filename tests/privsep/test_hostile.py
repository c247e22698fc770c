"""The client is the attacker: raw sockets against a real daemon, which serves others meanwhile."""

import array
import itertools
import os
import signal
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path

import msgpack
import pytest

from privmigrate.privsep import settings
from privmigrate.privsep.daemon import main, serve
from privmigrate.privsep.daemon.connection import State
from privmigrate.privsep.daemon.load import Entrypoints
from privmigrate.privsep.daemon.requests import REQUESTS, ROWS
from privmigrate.privsep.messages import (
    ATTACH,
    CALL,
    CANCEL,
    DATAGRAM,
    ERROR,
    FIELDS,
    FRAGMENT,
    HELLO,
    LOG,
    NAMES,
    PARTS,
    REQUEST,
    RESULT,
    VERSION,
    WELCOME,
    Message,
    decode,
)
from tests.privsep import service
from tests.privsep.conftest import is_running, wait_until

PREFIX = "tests.privsep.service"
GETPID: Message = (CALL, 1, f"{PREFIX}.calls:getpid", (), {})


class Raw:
    """A client that sends what it likes."""

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        own = settings.read(service.context)._replace(thread_pool_size=4)
        self.pid = os.fork()
        if self.pid == 0:
            self.control.close()
            before()
            main.serve_forked(theirs, service.context, own)
        theirs.close()
        self.control.settimeout(20)

    def greet(self) -> Message:
        self.control.send(packed((HELLO, VERSION, 30, False)))
        return answer(self.control)

    def attach(self, *, shared: bool = False) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.send_with_fds((ATTACH, 1, shared), theirs.fileno())
        ours.settimeout(20)
        return ours

    def send_with_fds(self, message: Message, *fds: int) -> None:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))
        self.control.sendmsg([packed(message)], [rights])

    def still_serves(self) -> bool:
        with self.attach() as sock:
            sock.send(packed(GETPID))
            return answer(sock) == (RESULT, 1, self.pid)

    def has_ended(self) -> bool:
        return not is_running(self.pid)

    def close(self) -> None:
        self.control.close()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def packed(message: object) -> bytes:
    data = msgpack.packb(message, use_bin_type=True)
    assert isinstance(data, bytes)
    return data


def answer(sock: socket.socket) -> Message:
    while (message := decode(sock.recv(DATAGRAM)))[0] == LOG:
        pass
    return message


def hangs_up(sock: socket.socket) -> bool:
    try:
        return sock.recv(DATAGRAM) == b""
    except ConnectionResetError:
        return True


@pytest.fixture
def raw() -> Generator[Raw]:
    client = Raw()
    yield client
    client.close()


@pytest.fixture
def greeted(raw: Raw) -> Raw:
    assert raw.greet()[0] == WELCOME
    return raw


EXAMPLES: dict[int, Message] = {
    HELLO: (HELLO, VERSION, 30, False),
    WELCOME: (WELCOME, VERSION, "x", 0, 0, 0),
    CALL: GETPID,
    RESULT: (RESULT, 1, None),
    ERROR: (ERROR, 1, "builtins", "ValueError", (), {}, ""),
    LOG: (LOG, 0, {}),
    ATTACH: (ATTACH, 1, False),
    CANCEL: (CANCEL, 1, 1),
    PARTS: (PARTS, (1,)),
}


def test_every_kind_has_an_example() -> None:
    assert set(EXAMPLES) == set(NAMES) == set(FIELDS)


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        pytest.param(kind, state, id=f"{NAMES[kind]} while {state.value}")
        for kind, state in itertools.product(NAMES, State)
        if kind not in ROWS[state]
    ],
)
def test_what_has_no_row_ends_its_connection(raw: Raw, kind: int, state: State) -> None:
    """On a connection that serves, nothing else ends; on the control connection, all does."""
    if state is State.GREETING:
        sock = raw.control
    else:
        raw.greet()
        sock = raw.control if state is State.CONTROL else raw.attach()
    sock.send(packed(EXAMPLES[kind]))
    if kind == PARTS:
        with suppress(BrokenPipeError):
            sock.send(b"x")
    assert hangs_up(sock)
    if state is State.SERVING:
        assert raw.still_serves()
    else:
        wait_until(raw.has_ended)


def test_the_table_is_what_the_documentation_says() -> None:
    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    for row in REQUESTS:
        cells = (NAMES[row.kind], row.state.value, f"`{row.handler.__name__}`", row.next.value)
        assert f"| {' | '.join(cells)} | {row.descriptors} |\n" in text
    assert text.count("| `answer_") == len(REQUESTS)


@pytest.mark.parametrize("message", [
    (ATTACH, 1, False),
    (CANCEL, 99, 99),
], ids=lambda message: NAMES[message[0]])  # fmt: skip
def test_what_means_nothing_now_is_survived(greeted: Raw, message: Message) -> None:
    if message[0] == ATTACH:
        greeted.attach().close()
    else:
        greeted.control.send(packed(message))
    assert greeted.still_serves()


def test_attach_without_a_descriptor_ends_the_daemon(greeted: Raw) -> None:
    greeted.control.send(packed((ATTACH, 1, False)))
    wait_until(greeted.has_ended)


@pytest.mark.parametrize("count", [2, 4, 5, 200])
def test_attach_with_more_descriptors_ends_the_daemon(greeted: Raw, count: int) -> None:
    with Path(os.devnull).open() as file:
        greeted.send_with_fds((ATTACH, 1, False), *(file.fileno(),) * count)
    wait_until(greeted.has_ended)


@pytest.mark.parametrize("kind", ["file", "pipe", "stream", "udp", "listener", "unconnected"])
def test_attach_takes_only_what_our_client_makes(greeted: Raw, kind: str) -> None:
    makers: dict[str, Callable[[], int]] = {
        "file": lambda: os.open(os.devnull, os.O_RDWR),
        "pipe": lambda: os.pipe()[0],
        "stream": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).detach(),
        "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach(),
        "listener": _listener,
        "unconnected": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).detach(),
    }
    made = makers[kind]()
    greeted.send_with_fds((ATTACH, 1, False), made)
    if kind in {"listener", "unconnected"}:
        assert greeted.still_serves()
    else:
        wait_until(greeted.has_ended)
    os.close(made)


def _listener() -> int:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.bind("")
    sock.listen()
    return sock.detach()


def test_a_nonblocking_descriptor_is_no_way_to_drop_answers(greeted: Raw) -> None:
    """The flag belongs to what both sides share: the client may set it, and loses its answer."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setblocking(False)
    with theirs:
        greeted.send_with_fds((ATTACH, 1, False), theirs.fileno())
        theirs.setblocking(False)
        ours.send(packed((CALL, 1, f"{PREFIX}.calls:repeat", (b"x", 2**21), {})))
        ours.settimeout(20)
        assert greeted.still_serves()


@pytest.mark.parametrize("message", [
    b"\xc1", b"\x91" * 1000, packed((CALL, 1, "a:b", (msgpack.ExtType(1, b"\0\0"),), {})),
    packed((CALL, 1, "a:b", (msgpack.Timestamp(1),), {})), packed(GETPID) + b"\x00",
    packed((CALL, 1, "a:b", (), [])), b"x" * (DATAGRAM + 1), b"x" * 200_000,
    packed((PARTS, (REQUEST.packed + 1,))), packed((PARTS, ())), packed((PARTS, (1, -5))),
    packed((PARTS, (5, REQUEST.total))),
], ids=range(12))  # fmt: skip
def test_garbage_ends_that_connection_only(greeted: Raw, message: bytes) -> None:
    with greeted.attach() as other, greeted.attach() as sock:
        sock.send(message)
        assert hangs_up(sock)
        other.send(packed(GETPID))
        assert answer(other) == (RESULT, 1, greeted.pid)
    assert greeted.still_serves()


def test_a_part_that_is_longer_than_was_said(greeted: Raw) -> None:
    with greeted.attach() as sock:
        sock.send(packed((PARTS, (10,))))
        sock.send(b"x" * 11)
        assert hangs_up(sock)
    assert greeted.still_serves()


def test_messages_that_stop_in_the_middle_cost_one_worker_each(greeted: Raw) -> None:
    """There are two workers at first, and up to four when these are busy."""
    socks = [greeted.attach() for _ in range(3)]
    for sock in socks:
        sock.send(packed((PARTS, (FRAGMENT * 2,))))
        sock.send(b"x" * FRAGMENT)
    assert greeted.still_serves()
    for sock in socks:
        sock.close()
    assert greeted.still_serves()


def resident(pid: int) -> int:
    """Memory of a process in KiB; that of a forked daemon begins as large as the tests'."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


@pytest.mark.parametrize("shared", [False, True])
def test_what_comes_in_parts_and_is_no_call_ends_its_connection_only(
    greeted: Raw, *, shared: bool
) -> None:
    inner = packed((PARTS, (1,)))
    with greeted.attach(shared=shared) as sock:
        sock.send(packed((PARTS, (len(inner),))))
        sock.send(inner)
        assert hangs_up(sock)
    assert greeted.still_serves()


def test_announced_memory_is_not_used_before_it_arrives(greeted: Raw) -> None:
    with greeted.attach() as sock:
        before = resident(greeted.pid)
        sock.send(packed((PARTS, (10, REQUEST.total - 10))))
        assert greeted.still_serves()
        assert resident(greeted.pid) - before < 60_000


def test_a_client_that_does_not_read_costs_bounded_memory(greeted: Raw) -> None:
    """Requests wait in the socket, whose buffer the kernel bounds, and not in the daemon."""
    with greeted.attach(shared=True) as sock:
        before = resident(greeted.pid)
        sock.setblocking(False)
        sent = 0
        with suppress(BlockingIOError):
            for sent in range(100_000):
                sock.send(packed((CALL, sent, f"{PREFIX}.calls:repeat", (b"x", 50_000), {})))
        assert 0 < sent < 10_000
        assert resident(greeted.pid) - before < 60_000


def test_more_connections_than_the_limit_are_hung_up(greeted: Raw) -> None:
    socks = [greeted.attach() for _ in range(serve.CONNECTIONS + 1)]
    assert hangs_up(socks[-1])
    socks[0].send(packed(GETPID))
    assert answer(socks[0]) == (RESULT, 1, greeted.pid)
    for sock in socks:
        sock.close()
    if os.geteuid() == 0:  # nobody else sees them: the daemon is not dumpable
        wait_until(lambda: len(list(Path(f"/proc/{greeted.pid}/fd").iterdir())) < 50)


NAMES_OF_NOTHING = [
    "",
    ":",
    "getpid",
    f"{PREFIX}.calls",
    f"{PREFIX}.calls:",
    f"{PREFIX}.calls:undecorated",
    f"{PREFIX}.calls:os",
    f"{PREFIX}.calls:os.getpid",
    f"{PREFIX}.calls:getpid.function",
    f"{PREFIX}.calls.getpid",
    f"{PREFIX}:context",
    f"{PREFIX}:PrivContext",
    f"{PREFIX}.none:x",
    f"{PREFIX}..calls:getpid",
    f"{PREFIX}/calls:getpid",
    f"{PREFIX}x.calls:getpid",
    "tests.privsep.servicex:getpid",
    "tests.privsep:getpid",
    "os:getpid",
    "os:system",
    "builtins:eval",
    "antigravity:geohash",
    "../../etc:x",
    "\udc80:x",
    "a" * 60_000,
]


@pytest.mark.parametrize("name", NAMES_OF_NOTHING, ids=lambda name: ascii(name[:40]))
def test_only_registered_entrypoints_are_called(greeted: Raw, name: str) -> None:
    data = msgpack.packb((CALL, 1, name, (), {}), unicode_errors="surrogateescape")
    with greeted.attach() as sock:
        sock.send(data)
        got = answer(sock)
    assert got[:4] == (ERROR, 1, "builtins", "NameError")
    assert greeted.still_serves()


class Watched:
    """A package with traps: modules that say when they are executed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log = folder / "log"
        package = folder / "watchedservice"
        (package / "deep").mkdir(parents=True)
        (folder / "watchedservicex").mkdir()
        say = f"open({str(self.log)!r}, 'a').write(__name__ + '\\n')\n"
        use = "from watchedservice import context\n"
        make = (
            "from privmigrate.privsep.priv_context import PrivContext\n"
            "context = PrivContext('watchedservice', pypath='watchedservice.context',"
            " capabilities=[])\n"
        )
        for name, text in {
            "watchedservice/__init__.py": make + say,
            "watchedservice/good.py": use + "@context.entrypoint\ndef f(): return 1\n" + say,
            "watchedservice/bad.py": "def f(): return 1\n" + say,
            "watchedservice/deep/__init__.py": say,
            "watchedservice/deep/good.py": use + "@context.entrypoint\ndef f(): return 2\n" + say,
            "watchedservice/deep/bad.py": "f = 1\n" + say,
            "watchedservice/broken.py": "entrypoint = f = (\n" + say,
            "watchedservicex/__init__.py": say,
            "watchedservicex/good.py": use + "@context.entrypoint\ndef f(): return 1\n" + say,
        }.items():
            (folder / name).write_text(text)
        monkeypatch.syspath_prepend(folder)

    def executed(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []


def test_nothing_that_a_message_names_is_executed_before_it_was_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap: oslo.privsep imports any dotted name, as root, and looks at it afterwards."""
    # INV-10
    watched = Watched(tmp_path, monkeypatch)
    import watchedservice  # type: ignore[import-not-found]

    try:
        entrypoints = Entrypoints(watchedservice.context)
        for name in (
            "watchedservice.bad:f", "watchedservice.deep.bad:f", "watchedservice.broken:f",
            "watchedservicex.good:f", "watchedservicex:f", "watchedservice.good:other",
            "watchedservice.good:", "watchedservice.deep:f", "wave:open", "this:s",
        ):  # fmt: skip
            with pytest.raises(NameError, match="not exported"):
                entrypoints.find(name)
        assert watched.executed() == ["watchedservice"]
        assert "wave" not in sys.modules
        assert entrypoints.find("watchedservice.deep.good:f")() is not None
        assert watched.executed()[1:] == ["watchedservice.deep", "watchedservice.deep.good"]
        assert entrypoints.find("watchedservice.good:f")() is not None
    finally:
        for name in [name for name in sys.modules if name.startswith("watchedservice")]:
            del sys.modules[name]


def test_the_table_is_sealed_while_entrypoints_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is decorated later, by whatever code, is no entrypoint for clients."""
    Watched(tmp_path, monkeypatch)
    import watchedservice

    try:
        entrypoints = Entrypoints(watchedservice.context)

        def late() -> None:
            """Decorated by something that a client made the daemon do."""

        late.__module__ = "watchedservice"
        late.__qualname__ = "late"
        made = watchedservice.context.entrypoint(late)
        assert watchedservice.context.is_entrypoint(made)
        with pytest.raises(NameError):
            entrypoints.find("watchedservice:late")
    finally:
        for name in [name for name in sys.modules if name.startswith("watchedservice")]:
            del sys.modules[name]


def test_without_hello_nothing_is_served(raw: Raw) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, ours:
        raw.send_with_fds((ATTACH, 1, False), theirs.fileno())
    wait_until(raw.has_ended)


def test_another_version_is_told_ours_and_refused(raw: Raw) -> None:
    raw.control.send(packed((HELLO, VERSION + 1, 30, False)))
    assert answer(raw.control)[:2] == (WELCOME, VERSION)
    wait_until(raw.has_ended)


def _ignore_and_block() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def test_signals_that_its_starter_ignores_or_blocks_reach_the_daemon() -> None:
    """With SIGCHLD ignored it would kill the group of a pid that is another's meanwhile."""
    raw = Raw(_ignore_and_block)
    try:
        raw.greet()
        with raw.attach() as sock:
            sock.send(packed((CALL, 1, f"{PREFIX}.commands:cat", ("/proc/self/status",), {})))
            kind, _, result = answer(sock)
        assert (kind, result[0]) == (RESULT, 0)  # type: ignore[index]
        os.kill(raw.pid, signal.SIGTERM)
        wait_until(raw.has_ended)
    finally:
        raw.close()


def test_nothing_about_privilege_can_be_said(raw: Raw) -> None:
    """HELLO carries a version and two wishes about logging: there is no field for more."""
    assert FIELDS[HELLO] == [int, int, int, bool]
    welcome = raw.greet()
    assert welcome[2:5] == ("PrivContext(cfg_section=privsep_service)", os.getuid(), os.getgid())
    assert welcome[5] == 0
