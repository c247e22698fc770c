"""Measure our runtime beside oslo.privsep's and beside the least that a round trip can cost.

Usage: python -m tools.bench_runtime [--quick] [--json] [--check] [--only WORD]

Machines differ and are never idle, so figures of one run say little, and of two runs nothing. What
is reported is ratios of things done within the same seconds: every round does each thing with each
runtime in random order, and the median of the rounds counts. CPU time per call, of client and
daemon together, is what a busy machine disturbs least.

Needs oslo.privsep and root (daemons by fork).
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

from oslo_config import cfg
from oslo_privsep import priv_context as oslo_priv_context

from privmigrate.privsep import priv_context as our_priv_context
from tools.bench import commands, oslo, ours
from tools.bench.floor import Floor, Floors
from tools.bench.installed import make_environment
from tools.bench.measure import PLACEMENTS, Sample, place, read_private, sample
from tools.bench.report import Row, Target, as_table

Calls = dict[str, Callable[[], object]]

POOL: Final = 8
THREADS: Final = (1, 8, 32)
SIZES: Final = (1024, 64 * 1024, 1024**2, 64 * 1024**2)
ASYNC_CALLS: Final = 8
OSLO: Final = "ours against oslo.privsep"
FLOOR: Final = "ours against the raw ping-pong of msgpack"
BOUND: Final = "the raw ping-pong against oslo.privsep: what nothing in Python can beat"
IN_PROCESS: Final = "ours against subprocess.run in the client"
ALONE: Final = "ours beside a sleeper against ours alone"

METHODS: Final[dict[Any, Any]] = {
    ours: our_priv_context.Method.__members__,
    commands: our_priv_context.Method.__members__,
    oslo: oslo_priv_context.Method.__members__,
}
"""The modules with a context to start, and the ways to start it."""

CPU: Final = Target(most=0.35)
RATE: Final = {("same", 1): Target(least=3.5), **{(p, 8): Target(least=2.5) for p in PLACEMENTS}}
PAYLOAD: Final = {1024**2: Target(most=0.3), 64 * 1024**2: Target(most=0.45)}


class Bench:
    """The daemons, and one method for each group of rows."""

    def __init__(self, rounds: int, seconds: float) -> None:
        self.rounds = rounds
        self.seconds = seconds
        self.floor = Floor()
        self.floors = {threads: Floors(threads) for threads in THREADS if 1 < threads <= POOL}
        for module, methods in METHODS.items():
            set_option(module, "thread_pool_size", POOL)
            module.context.start(methods["FORK"])
        self.pids = {
            "ours": ours.getpid(),
            "ours, commands": commands.getpid(),
            OSLO: oslo.getpid(),
            FLOOR: self.floor.pid,
            **{_floors(threads): floors.pid for threads, floors in self.floors.items()},
        }

    def stop(self) -> None:
        """End the daemons."""
        for module in METHODS:
            module.context.stop()
        self.floor.stop()
        for floors in self.floors.values():
            floors.stop()

    def _round(self, calls: Calls, threads: int = 1, seconds: float = 0) -> dict[str, Sample]:
        """One sample of each, in random order."""
        names = random.sample(sorted(calls), len(calls))
        pids = {name: self.pids.get(name, os.getpid()) for name in names}
        return {
            name: sample(calls[name], pids[name], threads, seconds or self.seconds)
            for name in names
        }

    def empty_calls(self) -> Iterator[Row]:
        """CPU, latency and rate of a call that does nothing."""
        for placement in PLACEMENTS:
            for threads in THREADS:
                calls: Calls = {"ours": ours.noop, OSLO: oslo.noop}
                floors = self.floors.get(threads)
                if threads == 1:
                    calls[FLOOR] = self.floor.noop
                elif floors is not None:
                    calls[_floors(threads)] = floors.noop
                label = f"empty, {threads} thr, {placement}: "
                cpu = Row(label + "cpu", "us", OSLO, CPU if threads <= POOL else None)
                rate = Row(label + "rate", "/s", OSLO, RATE.get((placement, threads)))
                p50 = Row(label + "p50", "us", OSLO)
                p99 = Row(label + "p99", "us", OSLO)
                place(placement, self.pids.values())
                for _ in range(self.rounds):
                    if floors is not None:
                        floors.begin()
                    got = self._round(calls, threads)
                    mine, its = got.pop("ours"), got.pop(OSLO)
                    cpu.add(mine.cpu, its.cpu, *(raw.cpu for raw in got.values()))
                    rate.add(mine.rate, its.rate, *(raw.rate for raw in got.values()))
                    p50.add(mine.p50, its.p50)
                    p99.add(mine.p99, its.p99)
                yield from (cpu, rate, p50, p99)
        place("none", self.pids.values())

    def floor_calls(self) -> Iterator[Row]:
        """How far a call is from the least that it could cost, and how far oslo.privsep's is."""
        calls: Calls = {"ours": ours.noop, FLOOR: self.floor.noop, OSLO: oslo.noop}
        bounds: list[Row] = []
        for placement in PLACEMENTS:
            label = f"empty, 1 thr, {placement}: "
            target = Target(most=1.4) if placement == "same" else None
            p50 = Row(label + "p50", "us", FLOOR, target)
            p99 = Row(label + "p99", "us", FLOOR)
            cpu = Row(label + "cpu", "us", FLOOR)
            least_cpu = Row(label + "cpu", "us", BOUND)
            most_rate = Row(label + "rate", "/s", BOUND)
            place(placement, self.pids.values())
            for _ in range(self.rounds):
                got = self._round(calls)
                mine, floor, its = got["ours"], got[FLOOR], got[OSLO]
                p50.add(mine.p50, floor.p50)
                p99.add(mine.p99, floor.p99)
                cpu.add(mine.cpu, floor.cpu)
                least_cpu.add(floor.cpu, its.cpu)
                most_rate.add(floor.rate, its.rate)
            yield from (p50, p99, cpu)
            bounds += [least_cpu, most_rate]
        yield from bounds
        place("none", self.pids.values())

    def payloads(self) -> Iterator[Row]:
        """Bytes there and back."""
        for size in SIZES:
            data = os.urandom(size)
            calls: Calls = {"ours": partial(ours.echo, data), OSLO: partial(oslo.echo, data)}
            name = f"{size // 1024} kB" if size < 1024**2 else f"{size // 1024**2} MB"
            p50 = Row(f"echo {name}: p50", "us", OSLO, PAYLOAD.get(size))
            cpu = Row(f"echo {name}: cpu", "us", OSLO)
            for _ in range(self.rounds):
                got = self._round(calls, seconds=max(self.seconds, size / 1e8))
                p50.add(got["ours"].p50, got[OSLO].p50)
                cpu.add(got["ours"].cpu, got[OSLO].cpu)
            yield from (p50, cpu)

    def commands(self) -> Iterator[Row]:
        """Run a command in the daemon, and in this process."""

        def in_process() -> object:
            return subprocess.run(["/bin/true"], capture_output=True, check=False)

        calls: Calls = {"ours, commands": commands.true, OSLO: oslo.true, IN_PROCESS: in_process}
        direct = Row("/bin/true: p50", "us", IN_PROCESS, Target(most=1.3))
        theirs = Row("/bin/true: p50", "us", OSLO)
        crowd = Row("/bin/true, 8 thr: rate", "/s", OSLO)
        for _ in range(self.rounds):
            got = self._round(calls, seconds=2 * self.seconds)
            direct.add(got["ours, commands"].p50, got[IN_PROCESS].p50)
            theirs.add(got["ours, commands"].p50, got[OSLO].p50)
            del calls[IN_PROCESS]
            got = self._round(calls, POOL)
            crowd.add(got["ours, commands"].rate, got[OSLO].rate)
            calls[IN_PROCESS] = in_process
        yield from (direct, theirs, crowd)

    def event_loop(self) -> Iterator[Row]:
        """Calls from asyncio: ours natively, oslo.privsep's in threads, as it must be."""
        rate = Row(f"asyncio, {ASYNC_CALLS} at a time: rate", "/s", OSLO, Target(least=4))
        with ThreadPoolExecutor(ASYNC_CALLS) as pool:

            async def call_oslo() -> object:
                return await asyncio.get_running_loop().run_in_executor(pool, oslo.noop)

            async def call_ours() -> object:
                return await ours.context.call_async(ours.noop)

            for _ in range(self.rounds):
                got = {
                    call: asyncio.run(_count(call, self.seconds))
                    for call in random.sample([call_ours, call_oslo], 2)
                }
                rate.add(got[call_ours], got[call_oslo])
        yield rate

    def sleeper(self) -> Iterator[Row]:
        """What one call that takes a second does to the others."""
        row = Row("empty beside a 1 s call: worst", "ms", ALONE, Target(most=50), absolute=True)
        for _ in range(self.rounds):
            alone = sample(ours.noop, self.pids["ours"], 1, 0.8)
            sleeping = threading.Thread(target=ours.sleep, args=(1.0,))
            sleeping.start()
            beside = sample(ours.noop, self.pids["ours"], 1, 0.8)
            sleeping.join()
            row.add(beside.worst / 1e3, alone.worst / 1e3)
        yield row

    def starts(self) -> Iterator[Row]:
        """From nothing to the first answer, by fork and by an executed helper; and its memory."""
        forked = Row("first answer, forked daemon", "ms", OSLO)
        helped = Row("first answer, executed helper", "ms", OSLO, Target(most=0.2))
        memory = Row("private memory of the helper", "MB", OSLO, Target(most=8), absolute=True)
        helped_run = Row("first answer, helper that runs commands", "ms", OSLO)
        memory_run = Row("its private memory", "MB", OSLO)
        _start_all("ROOTWRAP")  # which leaves bytecode of every runtime
        for _ in range(self.rounds):
            times, _private = _start_all("FORK")
            forked.add(times[ours], times[oslo])
            times, private = _start_all("ROOTWRAP")
            helped.add(times[ours], times[oslo])
            helped_run.add(times[commands], times[oslo])
            memory.add(private[ours], private[oslo])
            memory_run.add(private[commands], private[oslo])
        yield from (forked, helped, memory, helped_run, memory_run)


def _floors(threads: int) -> str:
    return f"the raw ping-pong of {threads} threads"


def _start_all(method: str) -> tuple[dict[Any, float], dict[Any, float]]:
    """Start every daemon anew: milliseconds to the first answer, and megabytes after it."""
    times: dict[Any, float] = {}
    private: dict[Any, float] = {}
    for module in random.sample([*METHODS], len(METHODS)):
        module.context.stop()
        start = time.perf_counter()
        module.context.start(METHODS[module][method])
        module.noop()
        times[module] = (time.perf_counter() - start) * 1e3
        private[module] = read_private(module.getpid())
    return times, private


async def _count(call: Callable[[], Any], seconds: float) -> float:
    """Calls per second of ASYNC_CALLS tasks."""
    await call()
    end = time.perf_counter() + seconds

    async def work() -> int:
        done = 0
        while time.perf_counter() < end:
            await call()
            done += 1
        return done

    start = time.perf_counter()
    counts = await asyncio.gather(*(work() for _ in range(ASYNC_CALLS)))
    return sum(counts) / (time.perf_counter() - start)


def set_option(module: Any, name: str, value: object) -> None:
    """Set an option of a module's context."""
    cfg.CONF.set_override(name, value, group=module.context.cfg_section)


def execute_helpers_directly(python: Path) -> None:
    """Have all runtimes execute their helpers without sudo, which would cost all the same."""
    for module in METHODS:
        helper = "oslo_privsep.daemon" if module is oslo else "privmigrate.privsep.daemon.main"
        set_option(module, "helper_command", f"{python} -W ignore -m {helper}")


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 where a target is missed and --check was given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", action="store_true", help="every figure of every round")
    parser.add_argument("--check", action="store_true", help="exit 1 if a target is missed")
    parser.add_argument("--only", default="", metavar="WORD", help="groups whose name holds WORD")
    arguments = parser.parse_args(argv)
    cfg.CONF([], project="bench", default_config_files=[], default_config_dirs=[])
    with tempfile.TemporaryDirectory(prefix="privmigrate-bench-") as folder:
        execute_helpers_directly(make_environment(Path(folder)))
        rows = measure(Bench(*((3, 0.1) if arguments.quick else (7, 0.3))), arguments.only)
    if arguments.json:
        print(json.dumps([row.as_json() for row in rows], indent=1))
    else:
        print(as_table(rows))
    missed = [row for row in rows if row.missed]
    print(f"{len(rows)} rows, {len(missed)} targets missed", file=sys.stderr)
    return 1 if arguments.check and missed else 0


def measure(bench: Bench, only: str) -> list[Row]:
    """Run the groups whose names hold a word."""
    groups = (
        bench.empty_calls,
        bench.floor_calls,
        bench.payloads,
        bench.commands,
        bench.event_loop,
        bench.sleeper,
        bench.starts,
    )
    rows: list[Row] = []
    for group in groups:
        if only in group.__name__:
            rows.extend(group())
    bench.stop()
    return rows


if __name__ == "__main__":
    sys.exit(main())
