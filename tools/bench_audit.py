"""Measure audits: of a thousand filters, and of every ``.filters`` file that is at hand.

Usage: python -m tools.bench_audit [FOLDER...]. Prints wall and CPU seconds of whole processes, best
of five, and fails where a thousand filters take more than two seconds.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tools.modules import PROJECT

LIMIT: Final = 2.0
ROUNDS: Final = 5
# What real files hold: more than half CommandFilters, patterns, variables.
KINDS: Final = (
    "a{n}: CommandFilter, tool{n}, root",
    "b{n}: CommandFilter, chown, root",
    "c{n}: RegExpFilter, find, root, find, ^[/]*([^/\\0]+(/+)?)*$, -maxdepth, \\d+, -inum, \\d+",
    "d{n}: EnvFilter, env, root, LC_ALL=C, LVM_SYSTEM_DIR=, lvs",
    "e{n}: RegExpFilter, tc, root, tc, qdisc, del, dev, .+, (root|ingress)",
    "f{n}: KillFilter, root, /usr/sbin/dnsmasq, -9, -HUP",
    "g{n}: PathFilter, chown, root, nova, /var/lib/nova{n}",
    "h{n}: CommandFilter, mount, root",
)


def audit(*words: str) -> float:
    """Wall seconds of one run, interpreter included."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "privmigrate", "audit", "--profile", "migrate", *words],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode not in {0, 1, 2}:
        raise SystemExit(f"privmigrate audit ended with {done.returncode}")
    return time.perf_counter() - begin


def main(folders: list[str]) -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        entries = [KINDS[n % len(KINDS)].format(n=n) for n in range(1000)]
        (Path(folder) / "a.filters").write_text("[Filters]\n" + "\n".join(entries) + "\n")
        best = min(audit(folder) for _ in range(ROUNDS))
    print(f"a thousand filters: {best:.2f} s (limit {LIMIT} s)")
    for name in folders:
        print(f"{name}: {audit(name):.2f} s")
    return int(best > LIMIT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
