"""The command line: a table of subcommands, each in a module that is imported when it is called.

Exit codes: 0 fine, 1 findings or out of date, 2 bad input, 3 needs a person.
"""

import io
import os
import sys
from importlib import import_module

# As `typing` spells it; importing that, for names that only type checkers read, would take longer
# than everything else that --help does.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Action, ArgumentParser, Namespace, _ArgumentGroup
    from collections.abc import Iterable, Iterator, Sequence
    from types import ModuleType
    from typing import Final

EXIT_INPUT: "Final" = 2
SECURE_PATH: "Final" = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where sudo looks for commands unless it is told otherwise: Debian's sudoers file."""
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
    ("sudoers", "print the line that lets a service start its daemons, and nothing else"),
)

# Words of commands and shell texts: empty ones mean something there.
_MAY_BE_EMPTY: "Final" = {"command", "words", "form", "set_up", "check", "clean_up"}

_SPELLED: "Final" = {"conf": "CONF", "log": "--from", "path": "PATH", "paths": "PATH", "pid": "PID"}

_HELP: "Final" = """\
usage: privmigrate COMMAND ...

Move rootwrap filters to narrow, typed, capability-restricted privsep entrypoints.

commands:
{commands}

options:
  -h, --help     this text; after a command, that command's own (also: help COMMAND)
  --version      the version

exit codes: 0 fine, 1 findings or out of date, 2 bad input, 3 needs a person, 130 interrupted,
141 nobody reads the output; of audit: see its --help

example: privmigrate convert /etc/cinder/rootwrap.d
"""


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run a subcommand and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    _prepare_streams()
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("privmigrate: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # whoever read has gone; the interpreter must not find that out again at its end
        _discard_output()
        return _NOBODY_READS
    except OSError as error:
        # of standard output: commands say what is wrong with their files
        print(f"privmigrate: standard output: {error.strerror or error}", file=sys.stderr)
        _discard_output()
        return EXIT_INPUT
    return code


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed: whoever did that wants nothing to be said
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, "w")))
    lacking = {"strict", "surrogateescape"}  # the latter in the locale C
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in lacking:
        # names of files may hold bytes that are no text, and the locale may lack letters
        sys.stdout.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(words: list[str]) -> int:
    if not words:
        print(_help(), end="", file=sys.stderr)
        return EXIT_INPUT
    name, *rest = words
    if name == "help" and rest:
        name, rest = rest[0], ["--help"]
    if name in {"-h", "--help", "help"}:
        print(_help(), end="")
        return 0
    if name == "--version":
        print(f"privmigrate {_version()}")
        return 0
    if name not in dict(COMMANDS):
        known = ", ".join(known for known, _ in COMMANDS)
        what = "option" if name.startswith("-") else "command"
        print(f"privmigrate: {name!r} is no {what} (commands: {known})", file=sys.stderr)
        return EXIT_INPUT
    return _call(import_module(f"privmigrate.cli.{name}"), name, rest)


def _call(module: "ModuleType", name: str, words: list[str]) -> int:
    import argparse

    from privmigrate.errors import InputError, PrivmigrateError

    parser = argparse.ArgumentParser(
        prog=f"privmigrate {name}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    bad_input = int(getattr(module, "COULD_NOT_RUN", EXIT_INPUT))
    try:
        arguments = parser.parse_args(words)
    except SystemExit as end:  # argparse has said what is wrong
        return bad_input if end.code else 0
    try:
        _refuse_empty(arguments)
        return int(module.run(arguments))
    except InputError as error:
        messages = error.messages
    except PrivmigrateError as error:
        messages = (str(error),)
    except OSError as error:
        if error.filename is None:
            raise
        messages = (f"{error.filename}: {error.strerror}",)
    sys.stdout.flush()
    for message in messages:
        say(message)
    return bad_input


def say(text: str) -> None:
    """Tell whoever called us; standard output is for what they asked for."""
    from privmigrate.diagnostics import printable

    print(f"privmigrate: {printable(text)}", file=sys.stderr)


def add_format(
    parser: "ArgumentParser | _ArgumentGroup",
    data: str = "for machines",
    *,
    more: "Sequence[str]" = (),
) -> "tuple[Action, Action]":
    """Add the two options that every command spells alike: --format, and --json for short."""
    return (
        parser.add_argument(
            "--format",
            choices=("text", "json", *more),
            default="text",
            help=f"json: {data} (default: text)",
        ),
        parser.add_argument(
            "--json", action="store_const", const="json", dest="format", help="--format json"
        ),
    )


def _refuse_empty(arguments: "Namespace") -> None:
    """Refuse values of no characters: a script's variable that is not set would be no option."""
    from privmigrate.errors import InputError

    for name, value in sorted(vars(arguments).items()):
        if name not in _MAY_BE_EMPTY and "" in (value if isinstance(value, list) else [value]):
            spelled = _SPELLED.get(name, f"--{name.replace('_', '-')}")
            raise InputError(f"{spelled} is empty (a variable that is not set?)")


def diff_of(changes: "Iterable[tuple[str, str | None, str]]") -> "Iterator[str]":
    """Return a diff of files, each (name, text before or None where there is no file, after)."""
    from difflib import unified_diff

    from privmigrate.diagnostics import printable

    for name, before, after in sorted(changes):
        sides = "/dev/null" if before is None else f"a/{printable(name)}", f"b/{printable(name)}"
        old, new = (before or "").splitlines(keepends=True), after.splitlines(keepends=True)
        for line in unified_diff(old, new, *sides):
            yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def print_diff(lines: "Iterable[str]") -> None:
    """Print a diff of what other people wrote, which a terminal shows and does not obey."""
    from privmigrate.diagnostics import printable

    watched = sys.stdout.isatty()
    for line in lines:
        for text in line.removesuffix("\n").split("\n"):
            print(printable(text.expandtabs()) if watched else text)


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
