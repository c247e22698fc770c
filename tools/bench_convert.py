"""Measure `privmigrate convert`: growth from 10 to 10,000 filters, all real filters, --help.

Usage: python -m tools.bench_convert [--check]. With --check, exit with 1 where a thousand filters
take more than 3 seconds, where ten thousand take more than 15 times as long as a thousand, or
where --help takes more than twice as long as `python -c pass`.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parent.parent
SIZES: Final = (10, 100, 1000, 10_000)
MOST_SECONDS: Final = 3.0
MOST_GROWTH: Final = 15.0
MOST_HELP: Final = 2.0

# As they are mixed in OpenStack's history: six in ten say nothing of their arguments.
_KINDS: Final = (
    "cmd{n}: CommandFilter, cmd{n}, root",
    "tool{n}: CommandFilter, /usr/sbin/tool{n}, root",
    "plain{n}: CommandFilter, plain{n}, root",
    "find_{n}: RegExpFilter, find, root, find, /srv/{n}/[^/]*, -maxdepth, \\d+, -inum, \\d+",
    "tc_{n}: RegExpFilter, tc, root, tc, qdisc, add, dev, .+, root, handle, {n}:, htb, rate, .+",
    "chown_{n}: PathFilter, chown, root, pass, /var/lib/x{n}",
    "lvs{n}: EnvFilter, env, root, LC_ALL=C, LVM_SYSTEM_DIR=, lvs{n}",
    "lvs{n}_fd: EnvFilter, env, root, LC_ALL=C, LVM_SYSTEM_DIR=, FD=, lvs{n}",
    "kill_x{n}: KillFilter, root, /usr/sbin/x{n}q, -9, -HUP",
    "read_{n}: ReadFileFilter, /etc/x{n}.conf",
)


def filters(count: int) -> str:
    """The text of a file with so many different filters."""
    lines = (_KINDS[n % len(_KINDS)].format(n=n // len(_KINDS)) for n in range(count))
    return "[Filters]\n" + "\n".join(lines) + "\n"


def seconds(words: Sequence[str], folder: Path) -> float:
    """How long a command takes, Python's own start included."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, check=True, capture_output=True
    )
    return time.perf_counter() - start


def best(words: Sequence[str], folder: Path, runs: int) -> float:
    """The quickest of some runs: the machine has other things to do."""
    return min(seconds(words, folder) for _ in range(runs))


def measure_growth(folder: Path) -> dict[int, float]:
    """Seconds for a first conversion of each size."""
    taken = {}
    for size in SIZES:
        place = folder / str(size)
        place.mkdir()
        (place / "many.filters").write_text(filters(size), "utf-8")
        words = ["-m", "privmigrate", "convert", "many.filters"]
        runs = range(1 if size == SIZES[-1] else 2)
        taken[size] = min(seconds([*words, "--output", str(run)], place) for run in runs)
        again = seconds([*words, "--output", "0"], place)
        print(f"{size:6} filters: {taken[size]:7.2f} s, once more: {again:7.2f} s")
    return taken


def measure_real() -> None:
    """Seconds for every file of the real filters that are at hand, each converted by itself."""
    from privmigrate.convert import Options, convert
    from privmigrate.convert.lock import Disk
    from privmigrate.convert.source import read_sources, relabel

    named = os.environ.get("PRIVMIGRATE_CORPUS")
    roots = (
        PROJECT / ".cache" / "filters",
        Path(named) if named else PROJECT.parent / "shared" / "corpus",
    )
    paths = sorted(path for root in roots for path in root.rglob("*.filters"))
    start = time.perf_counter()
    count = size = 0
    for path in paths:
        sources = read_sources([str(path)])
        rules = relabel(sources.rules, sources.labels)
        result = convert(rules, Options(exec_dirs=sources.exec_dirs), Disk(None, {}))
        count += len(rules)
        size += sum(map(len, result.texts.values()))
    taken = time.perf_counter() - start
    print(f"{len(paths)} real files, {count} rules: {taken:.1f} s, {size / 1e6:.1f} MB written")


def main(arguments: list[str]) -> int:
    """Measure, print, and judge with --check."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nothing = best(["-c", "pass"], folder, 20)
        # as the installed command does it
        command = "import sys; from privmigrate.__main__ import main; sys.exit(main(['--help']))"
        help_ = best(["-c", command], folder, 20)
        print(f"--help: {help_ * 1000:.1f} ms, {help_ / nothing:.2f} times `python -c pass`")
        taken = measure_growth(folder)
        growth = taken[10_000] / taken[1000]
        print(f"10,000 filters take {growth:.1f} times as long as 1,000")
        if "--check" not in arguments:
            measure_real()
            return 0
    failed = taken[1000] > MOST_SECONDS or growth > MOST_GROWTH or help_ / nothing > MOST_HELP
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
