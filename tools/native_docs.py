"""Write docs/natives.md: what the daemon does itself, from the natives' docstrings and examples.

Usage: python -m tools.native_docs [--check]. With --check, write nothing and exit with 1 where the
page is out of date.
"""

import shlex
import sys
from collections.abc import Iterator
from inspect import cleandoc
from typing import Final

from privmigrate.examples import Kept, Same
from privmigrate.privsep.natives import NATIVES, find
from tools.modules import PROJECT

PAGE: Final = "docs/natives.md"
HEAD: Final = """\
# Natives

Commands that a daemon does itself: no process, no PATH, no output to parse. This page is written \
by `tools/native_docs.py` from the natives themselves. Every form that is shown as done was \
compared with the real tool, in two folders that were set up alike: files, modes, owners, output, \
exit code. Every other form is executed, as `run` does.

`natives.do` takes what `run` takes. It acts by system calls where a native recognises the command \
line, and executes the tool where none does, where another user or environment is asked for, where \
the executable is not the one of the distribution, and where something stands in front of it (but \
for a network namespace, which some can be done in). `within` names the folder that the paths were \
checked to lie in: below it no symbolic link is followed, and what a native cannot do there is \
refused.

Common to all, where they differ from the tool:
- They act with at most the capabilities of their entrypoint, as the tool would; but in the \
daemon, as its user. Set-id bits and file capabilities that the tool's own file may have mean \
nothing.
- Messages are in English and, as in locale C, bytes beyond ASCII are shown by their numbers. The \
exit code and the reason at the end of a line are the tool's.
- The wording is that of coreutils 9, util-linux 2.38 and procps 4. Where that differs between \
versions, a native that fails has the tool say it.
- Files of processes (`/proc/self/...`) are left to the tool: `self` would be the daemon.
- New files and folders get the modes of umask 022, or those of the folder's default access list. \
In a process that has a stricter umask (`.local`, in a service) they get no more than that leaves.
- A call that was given up ends between two files, not within a system call.
"""


def pages() -> Iterator[str]:
    """The page of each native."""
    for tool, does in NATIVES.items():
        native = find(tool)
        if native is None:
            raise LookupError(tool)
        yield f"## {tool}"
        yield f"{does[0].upper()}{does[1:]}.\n"
        paragraphs = cleandoc(native.__doc__ or "").split("\n\n")
        yield "\n\n".join(" ".join(each.split()) for each in paragraphs) + "\n"
        needs = ", ".join(sorted(each.name for each in native.CAPABILITIES))
        yield f"Needs at most {needs}.\n"
        yield "| done | for example |\n|---|---|"
        for example in native.EXAMPLES:
            if isinstance(example, Same):
                yield f"| {example.name} | {code(example.argv)} |"
        yield "\n| executed | for example | because |\n|---|---|---|"
        for example in native.EXAMPLES:
            if isinstance(example, Kept):
                yield f"| {example.name} | {code(example.argv)} | {example.why} |"
        yield ""


def code(argv: tuple[str, ...]) -> str:
    """A command line in a cell of a table."""
    words = [word if word.isprintable() else ascii(word)[1:-1] for word in argv]
    text = shlex.join(words).replace("|", "\\|")
    for name, shown in (("'{device}'", "/dev/vda"), ("'{folder}", "'/srv")):
        text = text.replace(name, shown)
    return f"``{text}``" if "`" in text else f"`{text}`"


def main(arguments: list[str]) -> int:
    """Write or check."""
    path = PROJECT / PAGE
    text = "\n".join((HEAD, *pages()))
    if path.exists() and path.read_text("utf-8") == text:
        return 0
    if "--check" in arguments:
        print(f"{PAGE}: run python -m tools.native_docs", file=sys.stderr)
        return 1
    path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
