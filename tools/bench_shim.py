"""What a command costs through rootwrap and through the shim: one run, interleaved, as root.

    python -m tools.bench_shim [--runs 60] [--sudo] [--check]

One command: wall and CPU time of the bare interpreter (the floor), ours in its ways, oslo-rootwrap,
with neutron's filters and with 10,000. In-process: oslo.rootwrap's daemon and ours, with its client
and ours, and subprocess.run; then 1, 8 and 32 threads. `--check` ends with 1 where a ratio is worse
than promised.
"""

# ruff: noqa: D102 - tables and a program

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from oslo_rootwrap.client import Client as OsloClient

from privmigrate.shim import client
from privmigrate.shim.client_api import Client
from privmigrate.shim.script import render_client

PROJECT = Path(__file__).resolve().parent.parent
INTERPRETER = os.path.realpath(sys.executable)
PROGRAM = """#!{python}
import sys
sys.path.insert(0, {project!r})
from privmigrate.shim.{module} import main
sys.exit(main())
"""
# What has to hold in one run: name of the ratio, at most. One command: medians of CPU time. Calls:
# the fastest, because a wait for a processor is nobody's cost. /bin/true alone takes a quarter of
# what oslo's client and daemon take together, so no daemon could be 4 times as fast as those.
PROMISES = {
    "one command / bare interpreter": 1.35,
    "one command / oslo-rootwrap": 1 / 6,
    "one command with 10,000 filters / with neutron's": 1.15,
    "our client / subprocess.run": 1.5,
    "oslo's client of our daemon / of oslo's": 1 / 2.5,
    "our client / oslo's client of oslo's daemon": 1 / 2.5,
}


class Stage:
    """Configurations and wrappers below a folder of root's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o755)
        slow = self.program("slow", "rootwrap_main")
        self.daemon = self.program("daemon", "rootwrap_daemon_main")
        self.ours = folder / "x-rootwrap"
        words = [sys.executable, str(slow), "--as"]
        self.ours.write_text(render_client(INTERPRETER, words, "for a benchmark"))
        self.ours.chmod(0o755)
        self.theirs = Path(sys.executable).parent / "oslo-rootwrap"

    def program(self, name: str, module: str) -> Path:
        path = self.folder / name
        text = PROGRAM.format(python=sys.executable, project=str(PROJECT), module=module)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def configuration(self, name: str, number: int, options: str = "") -> Path:
        folder = self.folder / f"{name}.d"
        folder.mkdir()
        real = sorted((PROJECT / ".cache" / "filters").glob("neutron-*/**/*.filters"))
        for path in real:
            if not (folder / path.name).exists():
                shutil.copy(path, folder / path.name)
        lines = [f"n{i}: RegExpFilter, cmd{i}, root, cmd{i}, [a-z]+, \\d+" for i in range(number)]
        lines += [
            "echo: CommandFilter, echo, root",
            "true: CommandFilter, true, root",
            "chown: CommandFilter, chown, root",
        ]
        (folder / "zz.filters").write_text("[Filters]\n" + "\n".join(lines) + "\n")
        config = self.folder / f"{name}.conf"
        config.write_text(
            f"[DEFAULT]\nfilters_path={folder}\nexec_dirs=/sbin,/usr/sbin,/bin,/usr/bin\n{options}\n"
        )
        return config


def once(words: Sequence[str]) -> tuple[float, float]:
    """Wall and CPU milliseconds of a process and what it waited for."""
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in range(3)]
    begin = time.perf_counter()
    pid = os.posix_spawn(words[0], tuple(words), os.environ, file_actions=actions, setsid=True)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - begin
    os.close(null)
    if status:
        raise SystemExit(f"{' '.join(words)}: status {status}")
    return wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def interleaved(rows: dict[str, list[str]], runs: int) -> dict[str, float]:
    """Run all in turns and print; give the median CPU time of each."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    for words in rows.values():
        once(words)
    for _ in range(runs):
        for name, words in rows.items():
            found[name].append(once(words))
    medians = {}
    print(f"{'one command, ms':44} {'wall min':>9} {'median':>8} {'CPU min':>9} {'median':>8}")
    for name, values in found.items():
        walls, cpus = zip(*values, strict=True)
        medians[name] = statistics.median(cpus)
        print(f"{name:44} {min(walls):9.2f} {statistics.median(walls):8.2f}"
              f" {min(cpus):9.2f} {medians[name]:8.2f}")  # fmt: skip
    return medians


def in_process(rows: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """The same for calls in this process; give the shortest wall time of each."""
    found: dict[str, list[float]] = {name: [] for name in rows}
    for call in rows.values():
        call()
    for _ in range(runs):
        for name, call in rows.items():
            begin = time.perf_counter()
            call()
            found[name].append((time.perf_counter() - begin) * 1000)
    print(f"\n{'in-process, ms':44} {'wall min':>9} {'median':>8}")
    for name, values in found.items():
        print(f"{name:44} {min(values):9.2f} {statistics.median(values):8.2f}")
    return {name: min(values) for name, values in found.items()}


def per_second(call: Callable[[], object], threads: int, seconds: float = 1.5) -> float:
    """Calls per second of so many threads."""
    stop = time.perf_counter() + seconds
    counts = [0] * threads

    def work(number: int) -> None:
        while time.perf_counter() < stop:
            call()
            counts[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / seconds


def main() -> int:
    """Measure, print, compare with what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--sudo", action="store_true", help="everything behind sudo")
    parser.add_argument("--check", action="store_true", help="fail where a promise is not kept")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="privmigrate-bench-", dir="/opt"))
    try:
        ratios = measure(Stage(folder), arguments.runs, sudo=arguments.sudo)
    finally:
        shutil.rmtree(folder)
    print()
    kept = True
    for name, most in PROMISES.items():
        good = ratios[name] <= most
        kept = kept and good
        print(f"{name:52} {ratios[name]:6.3f} (at most {most:.3f}){'' if good else '  NOT KEPT'}")
    return 0 if kept or not arguments.check else 1


def measure(stage: Stage, runs: int, *, sudo: bool) -> dict[str, float]:
    """Everything, as ratios."""
    few = str(stage.configuration("neutron", 0))
    many = str(stage.configuration("many", 10_000))
    served = str(stage.configuration("served", 0, "[privmigrate]\nexecution = daemon"))
    replaced = str(stage.configuration("replaced", 0, "[privmigrate]\nexecution = exec"))
    ours, theirs = str(stage.ours), str(stage.theirs)
    front = [shutil.which("sudo") or "sudo"] if sudo else []
    for config in (few, many, served, replaced):
        # an index is kept of files that have settled
        while not Path(client.index_path(config)).exists():
            once([ours, config, "echo"])
    while not Path(client.socket_path(served)).exists():
        once([ours, served, "echo"])
    rows = {
        "python -I -S -c pass": [INTERPRETER, "-I", "-S", "-c", "pass"],
        "echo alone": ["/bin/echo", "x"],
        "ours, neutron's filters": [ours, few, "echo", "x"],
        "ours, confined": [ours, few, "chown", "--version"],
        "ours, 10,000 filters": [ours, many, "echo", "x"],
        "ours, execution = exec": [ours, replaced, "echo", "x"],
        "ours, execution = daemon": [ours, served, "echo", "x"],
        "oslo-rootwrap, neutron's filters": [theirs, few, "echo", "x"],
    }
    cpu = interleaved({name: [*front, *words] for name, words in rows.items()}, runs)
    once_many = once([*front, theirs, many, "echo", "x"])
    print(f"{'oslo-rootwrap, 10,000 filters (once)':44} {once_many[0]:9.2f}")
    oslo = OsloClient([str(Path(sys.executable).parent / "oslo-rootwrap-daemon"), few])
    mixed = OsloClient([str(stage.daemon), few])
    own = Client([str(stage.daemon), few])
    calls: dict[str, Callable[[], object]] = {
        "subprocess.run": lambda: subprocess.run(["/bin/true"], capture_output=True, check=True),
        "oslo's client, oslo's daemon": lambda: oslo.execute(["true"]),
        "oslo's client, our daemon": lambda: mixed.execute(["true"]),
        "our client, our daemon": lambda: own.execute(["true"]),
    }
    wall = in_process(calls, runs * 3)
    print(f"\n{'calls per second of 1, 8, 32 threads':44}")
    for name, call in calls.items():
        rates = "".join(f"{per_second(call, threads):9.0f}" for threads in (1, 8, 32))
        print(f"{name:44} {rates}")
    own.close()
    base = cpu["ours, neutron's filters"]
    return {
        "one command / bare interpreter": base / cpu["python -I -S -c pass"],
        "one command / oslo-rootwrap": base / cpu["oslo-rootwrap, neutron's filters"],
        "one command with 10,000 filters / with neutron's": cpu["ours, 10,000 filters"] / base,
        "our client / subprocess.run": wall["our client, our daemon"] / wall["subprocess.run"],
        "oslo's client of our daemon / of oslo's": wall["oslo's client, our daemon"]
        / wall["oslo's client, oslo's daemon"],
        "our client / oslo's client of oslo's daemon": wall["our client, our daemon"]
        / wall["oslo's client, oslo's daemon"],
    }


if __name__ == "__main__":
    sys.exit(main())
