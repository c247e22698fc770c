"""Write docs/tcb.txt: every module that may run as root, with its lines of code.

Usage: python -m tools.tcb [--check]. With --check, write nothing and exit with 1 where the file
is out of date. A reviewer reads this list first; it is only ever explained upwards.
"""

import sys
from typing import Final

from tools.modules import PROJECT, load_modules

TARGET: Final = PROJECT / "docs" / "tcb.txt"
HEAD: Final = """\
Modules that may run as root, and their lines of code (without blank lines, comments and
docstrings). Written by tools/tcb.py from the patterns in tools/modules.py.

"""


def is_native(name: str) -> bool:
    """Whether a module is one of the native commands, which are counted apart."""
    return name.startswith("privmigrate.privsep.natives.")


def render() -> str:
    """The whole file."""
    trusted = [module for module in load_modules() if module.trusted]
    rows = [f"{module.code_lines:5}  {module.name}\n" for module in trusted]
    natives = sum(module.code_lines for module in trusted if is_native(module.name))
    rest = sum(module.code_lines for module in trusted) - natives
    return HEAD + "".join(rows) + f"\n{rest:5}  in all, and {natives} in native commands\n"


def main(arguments: list[str]) -> int:
    """Write or check the list."""
    text = render()
    print("lines that may run as root:", text.splitlines()[-1].strip(), file=sys.stderr)
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
