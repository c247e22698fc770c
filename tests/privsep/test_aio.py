"""Calls from asyncio: one connection, many calls, and cancellation that reaches the daemon."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from privmigrate.errors import ChannelClosed
from privmigrate.privsep.comm import PrivsepTimeout
from privmigrate.privsep.entrypoint import Entrypoint
from privmigrate.privsep.execute import PrivilegeDenied, ProcessExecutionError
from privmigrate.privsep.priv_context import PrivContext
from tests.privsep.conftest import count_descriptors, wait_for_end, wait_until
from tests.privsep.service import calls, commands, context

call = context.call_async


async def comes_true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - it becomes true in another process
            await asyncio.sleep(0.005)


def test_many_calls_share_one_connection(daemon: PrivContext) -> None:
    async def main() -> None:
        assert await call(calls.getpid) == calls.getpid()
        before = len(await call(calls.open_descriptors))
        found = await asyncio.gather(*(call(calls.echo, number) for number in range(1000)))
        assert found == list(range(1000))
        assert len(await call(calls.open_descriptors)) <= before + 1

    asyncio.run(main())


def test_large_values_pass_both_ways_at_once(daemon: PrivContext) -> None:
    async def main() -> None:
        large = os.urandom(300_000) * 10
        found = await asyncio.gather(*(call(calls.echo, (number, large)) for number in range(8)))
        assert found == [(number, large) for number in range(8)]
        assert await call(calls.echo, "é" * 100_000) == "é" * 100_000

    asyncio.run(main())


def test_errors_and_values_that_cannot_be_sent(daemon: PrivContext) -> None:
    async def main() -> None:
        with pytest.raises(calls.OddError):
            await call(calls.fail, "odd")
        with pytest.raises(TypeError, match="argument value of"):
            await call(calls.echo, {1})
        assert await call(calls.echo, 1) == 1

    asyncio.run(main())


def test_commands_are_judged_here(daemon: PrivContext, tmp_path: Path) -> None:
    async def main() -> None:
        assert (await call(commands.cat, "/etc/hostname")).stdout
        with pytest.raises(ProcessExecutionError):
            await call(commands.cat, str(tmp_path / "none"))
        with pytest.raises(PrivilegeDenied):
            await call(commands.cat, "etc/passwd")

    asyncio.run(main())


def test_a_cancelled_task_cancels_the_call(daemon: PrivContext, tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    async def main() -> None:
        task = asyncio.create_task(call(commands.announce_and_sleep, str(pids)))
        await comes_true(pids.exists)
        other = asyncio.create_task(call(calls.wait_for, str(tmp_path / "go")))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        wait_for_end(*map(int, pids.read_text().split()))
        # the other call on the same connection goes on
        (tmp_path / "go").touch()
        assert await other

    asyncio.run(main())


def test_a_timeout_cancels_the_call(daemon: PrivContext, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    impatient = Entrypoint(context, commands.announce_and_sleep.function, 0.5)

    async def main() -> None:
        with pytest.raises(PrivsepTimeout):
            await call(impatient, str(pids))
        wait_for_end(*map(int, pids.read_text().split()))
        assert await call(calls.echo, 1) == 1

    asyncio.run(main())


def test_every_loop_has_its_own_connection(daemon: PrivContext) -> None:
    async def main() -> object:
        return await call(calls.echo, threading.get_ident())

    for _ in range(3):
        assert asyncio.run(main()) == threading.get_ident()
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(asyncio.run(main()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, found)) == sorted(str(thread.ident) for thread in threads)


def test_death_fails_all_calls_on_the_way_and_the_next_starts_a_daemon(
    daemon: PrivContext, tmp_path: Path
) -> None:
    started = tmp_path / "started"

    async def main() -> None:
        waiting = [
            asyncio.create_task(call(calls.wait_for, str(tmp_path / "never"))),
            asyncio.create_task(call(calls.start_and_wait, str(started), str(tmp_path / "never"))),
        ]
        await comes_true(started.exists)
        pid = int(started.read_text())
        os.kill(pid, signal.SIGKILL)
        for task in waiting:
            with pytest.raises(ChannelClosed) as closed:
                await task
            assert closed.value.may_have_run
        assert await call(calls.getpid) != pid

    asyncio.run(main())


def test_what_the_dead_daemon_had_not_read_is_asked_again(
    daemon: PrivContext, tmp_path: Path
) -> None:
    # INV-15
    end = tmp_path / "end"
    started = [tmp_path / str(number) for number in range(100)]

    async def main() -> None:
        waiting = [
            asyncio.create_task(call(calls.start_and_wait, str(path), str(end))) for path in started
        ]
        await comes_true(started[0].exists)
        pid = int(started[0].read_text())
        os.kill(pid, signal.SIGSTOP)
        begun = [path.exists() for path in started]
        os.kill(pid, signal.SIGKILL)
        end.touch()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert True in begun
        for path, did_begin, result in zip(started, begun, found, strict=True):
            if isinstance(result, ChannelClosed):
                assert result.may_have_run
            else:
                assert result == str(end)
                assert not did_begin
                assert int(path.read_text()) != pid
        assert str(end) in found

    asyncio.run(main())


def test_nothing_is_kept_of_a_dead_daemon(daemon: PrivContext) -> None:
    """Not even until the next collection of garbage."""
    found: list[int] = []

    async def main() -> None:
        for _ in range(4):
            pid = await call(calls.getpid)
            waiting = [asyncio.create_task(call(calls.getpid)) for _ in range(4)]
            os.kill(pid, signal.SIGKILL)
            await asyncio.gather(*waiting, return_exceptions=True)
            del waiting
            await call(calls.getpid)
            found.append(count_descriptors())

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()
    assert found[-1] == found[0]


def test_stopping_the_context_ends_what_is_awaited(daemon: PrivContext, tmp_path: Path) -> None:
    started = tmp_path / "started"

    async def main() -> None:
        task = asyncio.create_task(
            call(calls.start_and_wait, str(started), str(tmp_path / "never"))
        )
        await comes_true(started.exists)
        (tmp_path / "never").touch()
        await asyncio.get_running_loop().run_in_executor(None, daemon.stop)
        with pytest.raises(ChannelClosed):
            await task

    asyncio.run(main())


def test_outside_client_mode_it_runs_here(daemon: PrivContext) -> None:
    daemon.set_client_mode(False)
    try:
        assert asyncio.run(call(calls.getpid)) == os.getpid()
    finally:
        daemon.set_client_mode(True)


def test_the_first_call_starts_the_daemon(daemon: PrivContext) -> None:
    daemon.stop()
    assert asyncio.run(call(calls.getpid)) != os.getpid()
    wait_until(lambda: daemon.channel is not None)
