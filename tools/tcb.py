"""Write docs/tcb.txt: the modules that run as root, with their lines of code.

Usage: python -m tools.tcb [--check]. With --check, write nothing and exit with 1 where the file
is out of date. A reviewer reads this list first; it is only ever explained upwards.
"""

import sys
from collections.abc import Iterable
from typing import Final

from tools.modules import PROJECT, load_modules, matches

TARGET: Final = PROJECT / "docs" / "tcb.txt"
MEASURED: Final = PROJECT / "tests" / "golden" / "daemon_modules.txt"
ENTRANCES: Final = (
    "privmigrate.privsep.daemon.main",
    "privmigrate.privsep.priv_context",
    "privmigrate.privsep.natives",
    "privmigrate.privsep.netlink",
    "privmigrate.privsep.types",
)
# The installed command is one file; what its index cannot answer goes to the first of the others.
SHIM_CLIENT: Final = ("privmigrate.shim.client",)
SHIM: Final = (
    "privmigrate.shim.rootwrap_main",
    "privmigrate.shim.rootwrap_daemon_main",
    "privmigrate.shim.oneshot_main",
)
# Reached by calls that a service makes, and never by a daemon.
CLIENT: Final = ("privmigrate.privsep.client", "privmigrate.privsep.client.*")
HEAD: Final = """\
What runs as root, with lines of code (without blank lines, comments and docstrings). Written by
python -m tools.tcb; the first list is the one that tests/e2e compares with a daemon that serves.
"""


def reachable(entrances: Iterable[str]) -> set[str]:
    """Our modules that whatever starts there may import, late imports included."""
    modules = {module.name: module for module in load_modules()}
    found: set[str] = set()
    todo = list(entrances)
    while todo:
        name = todo.pop()
        if name in found or name not in modules or matches(name, CLIENT):
            continue
        found.add(name)
        todo.append(name.rpartition(".")[0])
        todo += [each.name for each in modules[name].imports() if each.executed]
    return found


def section(title: str, names: Iterable[str]) -> str:
    """A list of modules with their sizes, and the sum."""
    sizes = {module.name: module.code_lines for module in load_modules()}
    rows = [f"{sizes[name]:5}  {name}\n" for name in sorted(names) if sizes[name]]
    total = sum(sizes[name] for name in names)
    return f"\n{title}\n{''.join(rows)}{total:5}  in all\n"


def render() -> str:
    """The whole file."""
    measured = {name for name in MEASURED.read_text().split() if name.startswith("privmigrate")}
    always = measured & {module.name for module in load_modules()}
    return (
        HEAD
        + section("Imported by every daemon that runs commands:", always)
        + section(
            "Imported by a daemon that needs it (patterns, configuration files, oslo.privsep's\n"
            "client, eventlet):",
            reachable(ENTRANCES) - always,
        )
        + section("The shim's command, alone in its file:", SHIM_CLIENT)
        + section(
            "Imported by the shim beyond what stands above, where the command makes an index, in\n"
            "strict mode, while it learns, and by its daemons:",
            reachable(SHIM) - reachable(ENTRANCES) - always - set(SHIM_CLIENT),
        )
    )


def main(arguments: list[str]) -> int:
    """Write or check the list."""
    text = render()
    sums = [line.split()[0] for line in text.splitlines() if line.endswith("  in all")]
    print("lines of code that run as root:", " and ".join(sums), file=sys.stderr)
    current = TARGET.read_text() if TARGET.exists() else ""
    if text == current:
        return 0
    if "--check" in arguments:
        print("docs/tcb.txt is out of date: run python -m tools.tcb and review it", file=sys.stderr)
        return 1
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
