"""Take samples: latency inside each thread, CPU time of both processes, placement on processors."""

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PLACEMENTS: Final = ("same", "cross", "none")
"""Client and daemon on one processor, on two, or where the scheduler likes."""
_PROCESSORS: Final = tuple(sorted(os.sched_getaffinity(0)))


@dataclass(frozen=True, slots=True)
class Sample:
    """One variant doing one thing for a while.

    Attributes:
        rate: calls per second of all threads together.
        p50: the median call, in microseconds.
        p99: as it says.
        worst: the slowest call.
        cpu: processor time of client and daemon together per call, in microseconds.
    """

    rate: float
    p50: float
    p99: float
    worst: float
    cpu: float


def read_cpu(pid: int) -> int:
    """Nanoseconds that all threads of a process, ended ones included, have run (schedstat)."""
    # clock_getcpuclockid(3): the number of another process's clock is made of its pid
    return time.clock_gettime_ns((~pid << 3) | 2)


def place(placement: str, daemons: Iterable[int]) -> None:
    """Pin every thread of this process and of the daemons."""
    first, last = {_PROCESSORS[0]}, {_PROCESSORS[-1]}
    everywhere = set(_PROCESSORS)
    client, daemon = {
        "same": (first, first),
        "cross": (first, last),
        "none": (everywhere, everywhere),
    }[placement]
    _pin(os.getpid(), client)
    for pid in daemons:
        _pin(pid, daemon)


def _pin(pid: int, processors: set[int]) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(task.name), processors)


def sample(call: Callable[[], object], pid: int, threads: int, seconds: float) -> Sample:
    """Call for so long from so many threads; the first calls of each thread do not count."""
    latencies: list[list[int]] = [[] for _ in range(threads)]
    spans: list[tuple[int, int]] = []
    barrier = threading.Barrier(threads + 1)

    def work(mine: list[int]) -> None:
        clock = time.perf_counter_ns
        call()
        barrier.wait()  # warm
        barrier.wait()  # the caller has read the clocks
        start = before = clock()
        end = start + int(seconds * 1e9)
        while before < end:
            call()
            after = clock()
            mine.append(after - before)
            before = after
        spans.append((start, before))
        barrier.wait()

    workers = [threading.Thread(target=work, args=(mine,)) for mine in latencies]
    for worker in workers:
        worker.start()
    barrier.wait()
    cpu = read_cpu(os.getpid()) + read_cpu(pid)
    barrier.wait()
    barrier.wait()
    cpu = read_cpu(os.getpid()) + read_cpu(pid) - cpu
    for worker in workers:
        worker.join()
    every = sorted(latency for mine in latencies for latency in mine)
    span = max(end for _, end in spans) - min(start for start, _ in spans)
    return Sample(
        rate=len(every) / (span / 1e9),
        p50=statistics.median(every) / 1e3,
        p99=every[min(len(every) - 1, len(every) * 99 // 100)] / 1e3,
        worst=every[-1] / 1e3,
        cpu=cpu / 1e3 / len(every),
    )


def read_private(pid: int) -> float:
    """Megabytes of memory that a process shares with no other."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kilobytes = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    return kilobytes / 1024
