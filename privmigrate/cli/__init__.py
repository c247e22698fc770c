"""The command line: a table of subcommands, each in a module that is imported when it is called.

Exit codes: 0 fine, 1 findings or out of date, 2 bad input, 3 needs a person.
"""

import os
import sys
from importlib import import_module

# As `typing` spells it; importing that, for names that only type checkers read, would take longer
# than everything else that --help does.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType
    from typing import Final

EXIT_INPUT: "Final" = 2
_INTERRUPTED: "Final" = 130  # 128 + SIGINT, as a shell says it
_NOBODY_READS: "Final" = 141  # 128 + SIGPIPE

# Name and one line for --help. The module is privmigrate.cli.NAME, with `configure(parser)`, which
# gets an `argparse.ArgumentParser`, and `run(arguments)`, which returns the exit code.
COMMANDS: "Final" = (
    ("audit", "judge filters, sudoers, paths and privsep modules"),
    ("callsites", "find the calls in a service's Python that run commands as root"),
    ("caps", "show what processes hold, and explain what commands need"),
    ("convert", "write privsep entrypoints from rootwrap filters"),
    ("learn", "run commands under watch, and find out what they need"),
    ("match", "say which filter allows a command, and if none does, why not"),
    ("rewrite", "replace calls that run commands as root by entrypoints"),
    ("shim", "run rootwrap's commands, unchanged for their callers, under new limits"),
)

_HELP: "Final" = """\
usage: privmigrate COMMAND ...

Move rootwrap filters to narrow, typed, capability-restricted privsep entrypoints.

commands:
{commands}

options:
  -h, --help     this text; after a command, that command's own
  --version      the version

exit codes: 0 fine, 1 findings or out of date, 2 bad input, 3 needs a person

example: privmigrate convert /etc/cinder/rootwrap.d
"""


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run a subcommand and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("privmigrate: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # whoever read has gone; the interpreter must not find that out again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NOBODY_READS
    return code


def _dispatch(words: list[str]) -> int:
    if not words:
        print(_help(), end="", file=sys.stderr)
        return EXIT_INPUT
    name, *rest = words
    if name in {"-h", "--help", "help"}:
        print(_help(), end="")
        return 0
    if name == "--version":
        print(f"privmigrate {_version()}")
        return 0
    if name not in dict(COMMANDS):
        known = ", ".join(known for known, _ in COMMANDS)
        print(f"privmigrate: {name!r} is no command (there are: {known})", file=sys.stderr)
        return EXIT_INPUT
    return _call(import_module(f"privmigrate.cli.{name}"), name, rest)


def _call(module: "ModuleType", name: str, words: list[str]) -> int:
    import argparse

    from privmigrate.errors import PrivmigrateError

    parser = argparse.ArgumentParser(
        prog=f"privmigrate {name}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    try:
        arguments = parser.parse_args(words)
    except SystemExit as end:  # argparse has said what is wrong
        return end.code if isinstance(end.code, int) else EXIT_INPUT
    try:
        return int(module.run(arguments))
    except PrivmigrateError as error:
        sys.stdout.flush()
        for line in str(error).splitlines():
            print(f"privmigrate: {line}", file=sys.stderr)
        return EXIT_INPUT


def _help() -> str:
    width = max(len(name) for name, _ in COMMANDS)
    lines = [f"  {name.ljust(width)}  {text}" for name, text in COMMANDS]
    return _HELP.format(commands="\n".join(lines))


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("privmigrate")
    except PackageNotFoundError:
        return "(not installed)"
