"""Calls through a real daemon that was forked: what arrives, and what does not go wrong.

The tests that name a trap are of oslo.privsep 3.12, where each of them hangs, dies or lies.
"""

import concurrent.futures
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from privmigrate.errors import ChannelClosed
from privmigrate.privsep.client.answers import RemoteError
from privmigrate.privsep.comm import PrivsepTimeout
from privmigrate.privsep.entrypoint import Entrypoint
from privmigrate.privsep.execute import ExecutionTimeout, PrivilegeDenied, ProcessExecutionError
from privmigrate.privsep.priv_context import Method, PrivContext
from tests.privsep import service
from tests.privsep.conftest import count_descriptors, is_running, wait_for_end, wait_until
from tests.privsep.service import calls, commands

MEGABYTE = b"x" * 2**20


@pytest.fixture
def small(daemon: PrivContext) -> PrivContext:
    """A daemon with two workers."""
    daemon.stop()
    daemon.conf  # noqa: B018 - registers the options
    from oslo_config import cfg

    cfg.CONF.set_override("thread_pool_size", 2, group=daemon.cfg_section)
    try:
        daemon.start(Method.FORK)
    finally:
        cfg.CONF.clear_override("thread_pool_size", group=daemon.cfg_section)
    return daemon


def test_an_entrypoint_runs_in_another_process(daemon: PrivContext) -> None:
    assert calls.getpid() != os.getpid()
    assert calls.getpid() == calls.getpid()


def test_local_runs_here(daemon: PrivContext) -> None:
    assert calls.getpid.local() == os.getpid()


def test_outside_client_mode_calls_run_here(daemon: PrivContext) -> None:
    daemon.set_client_mode(False)
    try:
        assert calls.getpid() == os.getpid()
    finally:
        daemon.set_client_mode(True)
    assert calls.getpid() != os.getpid()


def test_calls_within_the_daemon_are_local_to_it(daemon: PrivContext) -> None:
    assert calls.nested(5) == (calls.getpid(), 5)


def test_arguments_by_position_and_by_name(daemon: PrivContext) -> None:
    assert calls.keywords("a", second=3) == ("a", 3)
    assert calls.keywords(first="a") == ("a", 2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'third'"):
        calls.keywords("a", third=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -1, 2**63, -(2**63), 1.5, "", "text", "\udc80 no UTF-8", b"", b"\xff\x00",
        (), (1, ("a", b"b")), {}, {"a": {1: None, (2, 3): b"x"}}, "x" * 70_000, b"y" * 70_000,
        {"k": [b"z" * 70_000, "é" * 70_000]}, tuple(range(30_000)), tuple("ab" * 20_000),
    ],
)  # fmt: skip
def test_values_arrive_as_they_were(daemon: PrivContext, value: object) -> None:
    """Lists become tuples, as with oslo.privsep; everything else stays what it is."""
    expected = (
        {"k": (b"z" * 70_000, "é" * 70_000)} if isinstance(value, dict) and "k" in value else value
    )
    assert calls.echo(value) == expected


@pytest.mark.parametrize("size", [59_999, 60_001, 65_500, 65_536, 131_072, 131_073, 2**20 + 7])
def test_sizes_around_every_boundary(daemon: PrivContext, size: int) -> None:
    assert calls.length(b"x" * size) == size
    assert calls.repeat(b"ab", size) == b"ab" * size
    assert calls.echo("é" * size) == "é" * size


def test_errors_arrive_as_their_own_class(daemon: PrivContext) -> None:
    with pytest.raises(RuntimeError) as plain:
        calls.fail("plain")
    assert plain.value.args == ("no", 42)
    with pytest.raises(FileNotFoundError) as missing:
        calls.fail("missing")
    assert (missing.value.errno, missing.value.filename) == (2, "/nowhere")


def test_trap_errors_with_a_constructor_of_their_own(daemon: PrivContext) -> None:
    with pytest.raises(calls.OddError) as odd:
        calls.fail("odd")
    assert (odd.value.code, odd.value.args) == (7, ("code 7",))


def test_trap_errors_that_hold_what_cannot_be_sent_keep_their_class(daemon: PrivContext) -> None:
    with pytest.raises(ValueError, match="holds") as unsendable:
        calls.fail("unsendable")
    assert unsendable.value.args[:2] == ("holds", "{1}")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("half", r"half of a character: \\ud800"),
        ("halved", r"half\.\\ud800\.Halved: here"),
        ("huge", r"calls:fail raised, 'ValueError', cannot be sent: \d+ bytes"),
    ],
)
def test_errors_that_cannot_be_sent_as_they_are_are_answers_all_the_same(
    daemon: PrivContext, kind: str, said: str
) -> None:
    """More often than there are workers: none of them is lost."""
    pid = calls.getpid()
    for _ in range(service.context.conf.thread_pool_size + 3):
        with pytest.raises((ValueError, TypeError, RemoteError), match=said):
            calls.fail(kind)
    assert calls.getpid() == pid


def test_trap_errors_of_a_local_class_are_named(daemon: PrivContext) -> None:
    with pytest.raises(RemoteError, match=r"calls\.fail\.<locals>\.LocalError: here"):
        calls.fail("local")


@pytest.mark.timeout(20)
def test_trap_sys_exit_in_an_entrypoint_is_an_answer(daemon: PrivContext) -> None:
    pid = calls.getpid()
    for _ in range(3):
        with pytest.raises(RemoteError, match="SystemExit: 3"):
            calls.leave(3)
    with pytest.raises(RemoteError, match="KeyboardInterrupt: pressed"):
        calls.interrupt()
    assert calls.getpid() == pid


def test_an_argument_that_cannot_be_sent_is_named(daemon: PrivContext) -> None:
    with pytest.raises(
        TypeError, match=r"^argument value of .*calls\.echo is of type builtins\.set$"
    ):
        calls.echo({1})
    with pytest.raises(TypeError, match=r"^argument value of .*echo\['a'\]\[1\] is an int of more"):
        calls.echo({"a": [0, 2**64]})
    assert calls.echo(1) == 1


def test_a_result_that_cannot_be_sent_is_named(daemon: PrivContext) -> None:
    with pytest.raises(TypeError, match=r"^the result of .*:give_set is of type builtins\.set$"):
        calls.give_set()
    with pytest.raises(TypeError, match=r"^the result of .*:give_half holds half of a character$"):
        calls.give_half()


def test_a_request_above_the_limit_is_refused_here(daemon: PrivContext) -> None:
    pid = calls.getpid()
    with pytest.raises(TypeError, match="too many: the other side takes"):
        calls.echo(("a" * 800,) * 12_000)
    assert calls.getpid() == pid


def test_trap_what_is_above_100_mb_arrives(daemon: PrivContext) -> None:
    assert calls.length(bytes(120 * 2**20)) == 120 * 2**20


def test_trap_large_requests_and_answers_at_once_do_not_deadlock(daemon: PrivContext) -> None:
    def exchange(number: int) -> int:
        for _ in range(10):
            if number % 2:
                assert calls.length(MEGABYTE) == len(MEGABYTE)
            else:
                assert len(calls.repeat(b"x", len(MEGABYTE))) == len(MEGABYTE)
        return number

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(exchange, range(8))) == list(range(8))


def test_many_threads_each_get_their_own_answer(daemon: PrivContext) -> None:
    def ask(number: int) -> bool:
        return all(calls.echo((number, i)) == (number, i) for i in range(50))

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(ask, range(64)))


def test_more_threads_than_connections_wait_for_each_other(
    daemon: PrivContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("privmigrate.privsep.client.channel.CONNECTIONS", 3)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(calls.echo, range(400))) == list(range(400))


def test_a_slow_call_does_not_delay_others(small: PrivContext, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(calls.wait_for, str(go))
        for _ in range(50):
            calls.noop()
        assert not slow.done()
        go.touch()
        assert slow.result() == str(go)


@pytest.mark.timeout(30)
def test_trap_timeouts_do_not_use_up_the_workers(small: PrivContext, tmp_path: Path) -> None:
    """After more timed-out calls than there are workers, the next call is answered at once."""
    for number in range(5):
        with pytest.raises(PrivsepTimeout, match="took too long"):
            calls.wait_briefly(str(tmp_path / f"never{number}"))
    start = time.monotonic()
    calls.noop()
    assert time.monotonic() - start < 2
    for number in range(5):
        (tmp_path / f"never{number}").touch()
    wait_until(lambda: calls.facts()["threads"] <= 4)  # type: ignore[operator]


def test_trap_queued_requests_whose_caller_gave_up_never_run(
    small: PrivContext, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pid = calls.getpid()
    halt(pid)
    for _ in range(3):
        with pytest.raises(PrivsepTimeout):
            with_timeout(calls.append, 0.05)(str(out), "x")
    os.kill(pid, signal.SIGCONT)
    calls.append(str(out), "y")
    assert out.read_text() == "y"


def test_trap_the_timeout_covers_sending_too(small: PrivContext) -> None:
    """With a daemon that does not read, one large request delays neither itself nor others."""
    pid = calls.getpid()
    halt(pid)
    start = time.monotonic()
    try:
        with ThreadPoolExecutor(4) as pool:
            late = [
                pool.submit(with_timeout(calls.length, 0.3), MEGABYTE),
                *(pool.submit(with_timeout(calls.noop, 0.3)) for _ in range(3)),
            ]
        assert all(isinstance(call.exception(), PrivsepTimeout) for call in late)
        assert time.monotonic() - start < 3
    finally:
        os.kill(pid, signal.SIGCONT)
    assert calls.getpid() == pid


def halt(pid: int) -> None:
    """Stop a process while it waits, and wait until all of its threads have stopped."""
    tasks = Path(f"/proc/{pid}/task")
    # one that was stopped on its way would go that way to its end
    wait_until(lambda: all(_state(task) == "S" for task in tasks.iterdir()))
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: all(_state(task) == "T" for task in tasks.iterdir()))


def _state(task: Path) -> str:
    return (task / "stat").read_text().rpartition(")")[2].split()[0]


def with_timeout(entrypoint: object, seconds: float) -> Callable[..., object]:
    """The same entrypoint for callers with less patience."""
    assert isinstance(entrypoint, Entrypoint)
    return Entrypoint(entrypoint.privsep_entrypoint, entrypoint.function, seconds)


def test_trap_a_forked_child_can_call(daemon: PrivContext) -> None:
    pid = calls.getpid()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, f"{calls.getpid()} {calls.echo('x')}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    assert calls.echo("parent") == "parent"
    with os.fdopen(reader) as pipe:
        assert pipe.read() == f"{pid} x"
    os.waitpid(child, 0)
    assert calls.getpid() == pid


def test_trap_a_forked_child_takes_no_connection_of_its_parent(
    daemon: PrivContext, tmp_path: Path
) -> None:
    """While the child's call runs, the parent's connection is free for the parent's next call."""
    pids = tmp_path / "pids"
    calls.noop()
    child = os.fork()
    if child == 0:
        try:
            commands.announce_and_sleep(str(pids))
        finally:
            os._exit(1)
    try:
        wait_until(pids.exists)
        assert with_timeout(calls.echo, 10)("parent") == "parent"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    wait_for_end(*map(int, pids.read_text().split()))


def test_trap_a_forked_child_does_not_keep_the_parents_calls_alive(
    daemon: PrivContext, tmp_path: Path
) -> None:
    """A timed-out call is cancelled although a child of a fork holds the same descriptors."""
    pids = tmp_path / "pids"
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(with_timeout(commands.announce_and_sleep, 1.0), str(pids))
        wait_until(pids.exists)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)
            os._exit(0)
        os.close(reader)
        assert isinstance(call.exception(), PrivsepTimeout)
    wait_for_end(*map(int, pids.read_text().split()))
    os.close(writer)
    os.waitpid(child, 0)


def test_trap_the_daemon_keeps_none_of_the_clients_descriptors(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w"), socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        service.context.start(Method.FORK)
        try:
            found = calls.open_descriptors()
        finally:
            service.context.stop()
    assert [name for name in found if "secret" in name] == []
    assert len([name for name in found if name.startswith("socket:")]) <= 3


def test_a_timed_out_command_is_killed_with_its_group(daemon: PrivContext, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    with pytest.raises(PrivsepTimeout):
        with_timeout(commands.announce_and_sleep, 0.5)(str(pids))
    wait_for_end(*map(int, pids.read_text().split()))


def test_a_callers_limit_is_kept_in_the_daemon(daemon: PrivContext) -> None:
    """It knows nothing of what that means for the caller, and says what it did."""
    started = time.monotonic()
    with pytest.raises(ExecutionTimeout, match=r"proc \d+ after waiting 0\.3 sec"):
        commands.sleep.policy(timeout=0.3)("600")
    assert commands.nap.policy(timeout=0.3, check_exit_code=False)("600") == ("", "")
    with pytest.raises(ExecutionTimeout):
        commands.nap.policy(timeout=0.3, run_as_root=False)("600")
    assert time.monotonic() - started < 20
    with pytest.raises(PrivilegeDenied, match="limit of its time"):
        commands.sleep.policy(timeout=-1)("600")
    assert commands.cat.policy(timeout=60)("/dev/null").stdout == ""


def test_a_daemon_that_says_nothing_keeps_no_caller(
    daemon: PrivContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller's own clock goes on, and hanging up cancels the call."""
    ask = daemon.call

    def unheard(entrypoint: object, args: object, _named: object, _within: float) -> object:
        return ask(entrypoint, args, {}, 0.3)  # type: ignore[arg-type]

    monkeypatch.setattr(daemon, "call", unheard)
    with pytest.raises(ExecutionTimeout, match="Time out on the daemon after waiting 5 seconds"):
        commands.sleep.policy(timeout=5)("600")


def test_commands_are_checked_in_the_daemon_and_judged_here(
    daemon: PrivContext, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("content")
    assert commands.cat(str(tmp_path / "file")).stdout == "content"
    with pytest.raises(PrivilegeDenied, match="path does not begin with /"):
        commands.cat("etc/passwd")
    with pytest.raises(ProcessExecutionError) as failed:
        commands.cat(str(tmp_path / "none"))
    assert failed.value.exit_code == 1
    assert failed.value.cmd == f"{commands.CAT.resolve()} {tmp_path}/none"
    assert commands.cat.policy(check_exit_code=[0, 1])(str(tmp_path / "none")).stdout == ""
    assert commands.cat.local(str(tmp_path / "file")).stdout == "content"


def test_a_large_output_of_a_command_arrives(daemon: PrivContext, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"0123456789abcdef" * 2**16)
    assert commands.cat(str(tmp_path / "large")).stdout == "0123456789abcdef" * 2**16


def test_the_daemon_has_a_session_a_folder_and_a_umask_of_its_own(daemon: PrivContext) -> None:
    facts = calls.facts()
    assert (facts["cwd"], facts["umask"]) == ("/", 0o022)
    assert facts["session"] == calls.getpid() != os.getsid(0)


def test_stop_ends_the_daemon_and_the_next_call_starts_another(daemon: PrivContext) -> None:
    first = calls.getpid()
    daemon.stop()
    assert not Path(f"/proc/{first}").exists()  # and no zombie is left either
    second = calls.getpid()
    assert second not in {first, os.getpid()}


def test_starting_twice_is_said_and_changes_nothing(
    daemon: PrivContext, caplog: pytest.LogCaptureFixture
) -> None:
    pid = calls.getpid()
    daemon.start(Method.FORK)
    assert "already running" in caplog.text
    assert calls.getpid() == pid


def test_threads_that_find_the_daemon_dead_start_one_daemon(daemon: PrivContext) -> None:
    """Trap: six threads after a death, one restart, by the method it was started with."""
    dead = calls.getpid()
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: not is_running(dead))
    gate = threading.Barrier(6)

    def ask(_: int) -> int:
        gate.wait()
        return calls.getpid()

    with ThreadPoolExecutor(6) as pool:
        pids = set(pool.map(ask, range(6)))
    assert len(pids) == 1
    assert dead not in pids


def test_death_during_a_call_says_that_it_may_have_run(daemon: PrivContext, tmp_path: Path) -> None:
    started = tmp_path / "started"
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(calls.start_and_wait, str(started), str(tmp_path / "never"))
        wait_until(started.exists)
        pid = int(started.read_text())
        os.kill(pid, signal.SIGKILL)
        error = call.exception()
    assert isinstance(error, ChannelClosed)
    assert error.may_have_run
    assert isinstance(error, OSError)  # which is what oslo.privsep's users catch
    assert calls.getpid() != pid


@pytest.mark.parametrize("size", [1, 2**20])
def test_death_with_the_request_unread_is_retried(
    daemon: PrivContext, tmp_path: Path, size: int
) -> None:
    """What certainly did not start runs once, in the next daemon."""
    pid = calls.getpid()
    out = tmp_path / "out"
    halt(pid)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(calls.append, str(out), "x" * size)
        threading.Event().wait(0.1)
        assert not call.done()
        os.kill(pid, signal.SIGKILL)
        assert call.exception() is None
    assert out.read_text() == "x" * size


def test_the_daemon_ends_with_its_client_and_leaves_no_command(tmp_path: Path) -> None:
    """Also when the client is killed: nothing that it waited for goes on."""
    pids, daemon_pid = tmp_path / "pids", tmp_path / "daemon"
    client = os.fork()
    if client == 0:
        try:
            service.context.start(Method.FORK)
            (tmp_path / "new").write_text(str(calls.getpid()))
            (tmp_path / "new").rename(daemon_pid)
            commands.announce_and_sleep(str(pids))
        finally:
            os._exit(1)
    wait_until(pids.exists)
    os.kill(client, signal.SIGKILL)
    os.waitpid(client, 0)
    wait_for_end(int(daemon_pid.read_text()), *map(int, pids.read_text().split()))


def test_a_daemon_that_is_terminated_takes_its_commands_along(
    daemon: PrivContext, tmp_path: Path
) -> None:
    pid, pids = calls.getpid(), tmp_path / "pids"
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(commands.announce_and_sleep, str(pids))
        wait_until(pids.exists)
        os.kill(pid, signal.SIGTERM)
        assert isinstance(call.exception(), ChannelClosed | ProcessExecutionError)
    wait_for_end(pid, *map(int, pids.read_text().split()))


def test_no_descriptors_leak(daemon: PrivContext, tmp_path: Path) -> None:
    """Timeouts, errors, threads and large values leave both sides as they were."""

    def exercise() -> None:
        for _ in range(3):
            with pytest.raises(PrivsepTimeout):
                calls.wait_briefly(str(tmp_path / "never"))
        with pytest.raises(RuntimeError):
            calls.fail("plain")
        calls.echo(MEGABYTE)
        commands.cat("/etc/hostname")

    exercise()
    ours, theirs = count_descriptors(), len(calls.open_descriptors())
    for _ in range(3):
        exercise()
    assert count_descriptors() <= ours
    # a call that was given up keeps its connection until its function ends
    (tmp_path / "never").touch()
    wait_until(lambda: len(calls.open_descriptors()) <= theirs)


def test_calls_that_are_given_up_meet_nobody_elses(daemon: PrivContext, tmp_path: Path) -> None:
    """While some threads give up at every moment of a call, others get what they asked for."""
    # INV-11
    # INV-12
    # INV-13
    stop = threading.Event()
    (tmp_path / "file").write_text("content")

    def give_up(number: int) -> int:
        count = 0
        while not stop.is_set():
            try:
                with_timeout(commands.cat, 0.001 * (number + 1))(str(tmp_path / "file"))
            except (PrivsepTimeout, ProcessExecutionError):
                count += 1
        return count

    def ask(number: int) -> None:
        for i in range(60):
            assert calls.echo((number, i)) == (number, i)
            assert commands.cat(str(tmp_path / "file")).stdout == "content"

    with ThreadPoolExecutor(8) as pool:
        quitters = [pool.submit(give_up, number) for number in range(3)]
        others = [pool.submit(ask, number) for number in range(4)]
        concurrent.futures.wait(others)
        stop.set()
    assert [other.exception() for other in others] == [None] * len(others)
    assert sum(quitter.result() for quitter in quitters) > 10


def test_large_values_are_not_kept(daemon: PrivContext) -> None:
    """Memory returns when a large value is gone, without waiting for a collection."""

    def resident() -> int:
        status = str(calls.facts()["status"])
        return int(status.split("VmRSS:")[1].split(maxsplit=1)[0])

    calls.length(MEGABYTE * 8)
    before = resident()
    for _ in range(30):
        calls.length(MEGABYTE * 8)
    assert resident() - before < 40_000
