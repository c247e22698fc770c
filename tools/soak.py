"""Call for long, from many threads, and kill the daemon meanwhile; then count.

Usage: python -m tools.soak [--calls N] [--threads T] [--kill-every S] [--method fork|helper]

Every call carries a number. The daemon marks the number in a file when it executes the call; the
caller checks that the answer is the one to its number. So in the end it is known that nothing was
lost, executed twice or answered to another caller: a call ends with its answer, with its own error,
or, where the daemon was killed, with the one error that says whether it may have run, and the
marks tell whether that was true. The last quarter runs without kills: memory and descriptors of
both processes must stay where they are.
"""

import argparse
import asyncio
import faulthandler
import itertools
import logging
import mmap
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from oslo_config import cfg

from privmigrate.errors import ChannelClosed
from privmigrate.privsep.comm import PrivsepTimeout
from privmigrate.privsep.priv_context import Method
from tools.bench import soaked
from tools.modules import PROJECT

BULK: Final = os.urandom(200_000)
TASKS: Final = 8
"""Calls at a time of the one thread that runs an event loop."""
QUIET: Final = 0.75
"""After this share of the calls nobody is killed any more."""
HANG_SECONDS: Final = 60.0
GROWTH_MB: Final = 12.0
GROWTH_FDS: Final = 8
SLEEP_SECONDS: Final = str(86_400 + os.getpid())
"""Marks the commands of this run in the list of processes."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process holds."""

    megabytes: float
    descriptors: int

    def __str__(self) -> str:
        return f"{self.megabytes:.1f} MB, {self.descriptors} fds"


def read_usage(pid: int) -> Usage:
    """Resident memory and open descriptors."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Usage(pages * mmap.PAGESIZE / 2**20, len([*Path(f"/proc/{pid}/fd").iterdir()]))


@dataclass(slots=True)
class Soak:
    """One run.

    Attributes:
        counts: how calls ended, by name.
        faults: what should not have happened, with an example each.
        progress: calls that ended, by thread.
        pid: the daemon that answered last.
    """

    path: Path
    calls: int
    threads: int
    kill_every: float
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    counts: Counter[str] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)
    progress: dict[int, int] = field(default_factory=dict)
    may_have_run: set[int] = field(default_factory=set)
    pid: int = 0
    records: int = 0

    def fault(self, what: str, example: object) -> None:
        """Note what went wrong."""
        self.counts[f"FAULT {what}"] += 1
        self.faults.setdefault(what, repr(example)[:200])

    # -- callers

    def call_in_thread(self, thread: int) -> None:
        """Make calls until all numbers are used."""
        while (number := next(self.numbers)) < self.calls:
            try:
                self.call(number)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it must be counted
                self.judge(number, error)
            self.progress[thread] += 1

    def call(self, number: int) -> None:
        """One call, mostly a small one, and check what comes back."""
        path = str(self.path)
        if number % 20_011 == 1:
            self.call_too_long(number)
        elif number % 997 == 1:
            self.expect_failure(number)
        elif number % 1009 == 1:
            self.check(number, soaked.log(path, number), None)
        else:
            value = BULK if number % 1013 == 1 else None
            self.check(number, soaked.echo(path, number, value), value)

    def check(self, number: int, answer: tuple[int, int, object], value: object) -> None:
        """Compare an answer with what was asked."""
        if answer[0] != number or answer[2] != value:
            self.fault("answer to another call", (number, answer))
            return
        self.pid = answer[1]
        self.counts["answered"] += 1

    def expect_failure(self, number: int) -> None:
        """A call that raises what only it can have raised."""
        try:
            soaked.fail(str(self.path), number)
        except ValueError as error:
            if error.args != (number,):
                self.fault("error of another call", (number, error))
            self.counts["raised"] += 1
        else:
            self.fault("no error", number)

    def call_too_long(self, number: int) -> None:
        """A command that is given up, and must be gone then."""
        try:
            soaked.sleep(SLEEP_SECONDS)
        except PrivsepTimeout:
            self.counts["timed out"] += 1
        else:
            self.fault("no time-out", number)

    def judge(self, number: int, error: BaseException) -> None:
        """Count what the caller of a killed daemon got."""
        if isinstance(error, ChannelClosed):
            if error.may_have_run:
                self.may_have_run.add(number)
                self.counts["interrupted"] += 1
            else:
                self.counts["not begun"] += 1
        else:
            self.fault(type(error).__name__, (number, error))

    def call_in_loop(self, thread: int) -> None:
        """The same from asyncio."""

        async def work() -> None:
            while (number := next(self.numbers)) < self.calls:
                try:
                    answer = await soaked.context.call_async(
                        soaked.echo, str(self.path), number, None
                    )
                    self.check(number, answer, None)
                except BaseException as error:  # noqa: BLE001 - as above
                    self.judge(number, error)
                self.progress[thread] += 1

        async def work_together() -> None:
            await asyncio.gather(*(work() for _ in range(TASKS)))

        asyncio.run(work_together())

    # -- the run

    def run(self) -> str:
        """Call and kill; give the summary."""
        bodies = [self.call_in_loop, *[self.call_in_thread] * (self.threads - 1)]
        workers = []
        for thread, body in enumerate(bodies):
            self.progress[thread] = 0
            workers.append(threading.Thread(target=body, args=(thread,), daemon=True))
        start = time.monotonic()
        for worker in workers:
            worker.start()
        usage = self.watch(workers)
        seconds = time.monotonic() - start
        self.compare_usage(*usage)
        self.compare_marks()
        self.look_for_commands()
        done = sum(self.progress.values())
        counted = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        total = f"{done} calls from {self.threads} threads in {seconds:.0f} s"
        lines = [
            f"{total}: {counted}; {self.records} records",
            f"client {usage[0]} -> {usage[2]}; daemon {usage[1]} -> {usage[3]}",
            *(f"FAULT {what}: {example}" for what, example in self.faults.items()),
        ]
        return "\n".join(lines)

    def watch(self, workers: list[threading.Thread]) -> tuple[Usage, Usage, Usage, Usage]:
        """Kill the daemon now and then, end the run if a call hangs, and measure."""
        seen = dict(self.progress)
        seen_at = dict.fromkeys(self.progress, time.monotonic())
        last_kill = time.monotonic()
        killed = 0
        before: tuple[Usage, Usage] | None = None
        after: tuple[Usage, Usage] | None = None
        while any(worker.is_alive() for worker in workers):
            time.sleep(0.1)
            now = time.monotonic()
            done = sum(self.progress.values())
            if done < self.calls * QUIET:
                if now - last_kill >= self.kill_every and self.pid not in {0, killed}:
                    time.sleep(random.random() / 50)
                    killed, last_kill = self.pid, now
                    with suppress(ProcessLookupError):
                        os.kill(killed, 9)
                        self.counts["kills"] += 1
            elif before is None:
                if done > self.calls * (QUIET + 0.05):
                    before = read_usage(os.getpid()), read_usage(self.pid)
            else:
                after = read_usage(os.getpid()), read_usage(self.pid)
            for thread, count in self.progress.items():
                if count != seen[thread]:
                    seen[thread], seen_at[thread] = count, now
                elif workers[thread].is_alive() and now - seen_at[thread] > HANG_SECONDS:
                    faulthandler.dump_traceback(all_threads=True)
                    raise SystemExit(f"thread {thread} hangs after {count} calls")
        if before is None or after is None:
            raise SystemExit("too few calls to measure anything")
        return *before, *after

    def compare_usage(self, client: Usage, daemon: Usage, client_2: Usage, daemon_2: Usage) -> None:
        """Memory and descriptors stay where they are."""
        for name, first, last in (("client", client, client_2), ("daemon", daemon, daemon_2)):
            if last.megabytes - first.megabytes > GROWTH_MB:
                self.fault(f"{name} grew", (str(first), str(last)))
            if last.descriptors - first.descriptors > GROWTH_FDS:
                self.fault(f"{name} leaks descriptors", (str(first), str(last)))

    def compare_marks(self) -> None:
        """What was answered was executed once; what was interrupted, at most once."""
        marks = self.path.read_bytes()
        for number in range(self.calls):
            if marks[number] == 1 or number % 20_011 == 1:
                continue
            if marks[number] > 1:
                self.fault("executed more than once", (number, marks[number]))
            elif number not in self.may_have_run:
                self.counts["never executed"] += 1
        if self.counts["never executed"] > self.counts["not begun"]:
            self.fault("answered without being executed", self.counts["never executed"])

    def look_for_commands(self) -> None:
        """No command that was given up is left; but a killed daemon kills nothing any more."""
        end = time.monotonic() + 5
        while [pid for pid, parent in find_commands() if parent == self.pid]:
            if time.monotonic() > end:
                self.fault("commands left behind", find_commands())
                break
            time.sleep(0.1)
        for pid, _parent in find_commands():
            self.counts["orphans of killed daemons"] += 1
            os.kill(pid, 9)


def find_commands() -> list[tuple[int, int]]:
    """Processes that execute this run's sleep, and their parents."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if SLEEP_SECONDS.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                found.append((int(folder.name), int(parent)))
    return found


class Records(logging.Handler):
    """Counts what the daemon logs."""

    def __init__(self, soak: Soak) -> None:
        super().__init__()
        self.soak = soak

    def emit(self, record: logging.LogRecord) -> None:
        """One more."""
        if record.name == "soaked":
            self.soak.records += 1


def main(argv: list[str] | None = None) -> int:
    """Run and report; 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=32)
    parser.add_argument("--kill-every", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument("--method", choices=["fork", "helper"], default="helper")
    arguments = parser.parse_args(argv)
    os.environ["PYTHONPATH"] = str(PROJECT)
    with tempfile.NamedTemporaryFile(prefix="privmigrate-soak-") as marks:
        marks.truncate(arguments.calls)
        soak = Soak(Path(marks.name), arguments.calls, arguments.threads, arguments.kill_every)
        logger = logging.getLogger("soak.daemon")
        logger.propagate = False
        logger.addHandler(Records(soak))
        logging.getLogger("privmigrate").setLevel(logging.ERROR)
        helper = f"{sys.executable} -m privmigrate.privsep.daemon.main"
        cfg.CONF([], project="soak", default_config_files=[], default_config_dirs=[])
        soaked.context.conf  # noqa: B018 - registers the section's options
        cfg.CONF.set_override("helper_command", helper, group=soaked.context.cfg_section)
        soaked.context.start(Method.FORK if arguments.method == "fork" else Method.ROOTWRAP)
        print(soak.run())
        soaked.context.stop()
    return 1 if soak.faults else 0


if __name__ == "__main__":
    sys.exit(main())
