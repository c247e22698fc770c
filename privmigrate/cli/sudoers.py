"""``privmigrate sudoers``: the line that lets a service start its daemons, and nothing else."""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from privmigrate.cli import SECURE_PATH
from privmigrate.errors import InputError
from privmigrate.linux.reading import read_regular

if TYPE_CHECKING:
    from privmigrate.audit.modules import Context

_DESCRIPTION: Final = """\
Print the sudoers line that lets a service start the daemons of its contexts, with its
configuration and nothing else. Nothing is imported, executed or written.

PATH is a package with contexts, as convert writes it, or a Python file. The options --config-file
and --config-dir are those that the service itself is started with, or that oslo.config finds for
it, in the same order; without configuration there are none.
"""
_EPILOG: Final = """\
examples:
  privmigrate sudoers --user cinder --config-file /etc/cinder/cinder.conf cinder/privileged
  privmigrate sudoers --user cinder --helper /opt/cinder/bin/privmigrate-helper cinder/privileged
The arguments are a regular expression, which sudo understands since 1.9.10. Check what is written
with visudo -cf FILE, and the whole machine with privmigrate audit.
exit codes: 0 printed, 2 bad input
"""
_SOCKET: Final = "--privsep_sock_path [a-zA-Z0-9_./-]+"
# What means itself in sudoers, but for the dot in a regular expression.
_USER: Final = re.compile(r"(?![A-Z0-9_]+\Z)[A-Za-z_][A-Za-z0-9_.-]*")
_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|\Z))[A-Za-z0-9_.-]+)+")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("path", metavar="PATH", help="package or file with the contexts")
    add("--user", required=True, metavar="NAME", help="the service's user")
    add(
        "--helper",
        metavar="FILE",
        default=str(Path(sys.executable).with_name("privmigrate-helper")),
        help="the helper where the service runs (default: the one beside this command)",
    )
    for name, what in (("file", "configuration"), ("dir", "a folder of configuration")):
        add(
            f"--config-{name}",
            action="append",
            default=[],
            metavar=name.upper(),
            help=f"{what} that the service reads (may be repeated)",
        )


def run(arguments: argparse.Namespace) -> int:
    """Print it; raise InputError for what cannot be used."""
    files, folders = arguments.config_file, arguments.config_dir
    for option, paths in (
        ("--helper", [arguments.helper]),
        ("--config-file", files),
        ("--config-dir", folders),
    ):
        for path in paths:
            if not _PATH.fullmatch(path):
                raise InputError(
                    f"{option} {path}: error: is no absolute path of letters, digits, _, . and -"
                )
    if not _USER.fullmatch(arguments.user):
        raise InputError(f"--user {arguments.user}: error: is no name of one user")
    names = sorted(set(_names(arguments.path)))
    if not names:
        raise InputError(f"{arguments.path}: error: has no context")
    configuration = [("file", path) for path in files] + [("dir", path) for path in folders]
    words = [f"--config-{kind} {_literal(path)}" for kind, path in configuration]
    words += [f"--privsep_context {_one_of(names)}", _SOCKET]
    folder = arguments.helper.rpartition("/")[0]
    if folder not in SECURE_PATH.split(":"):
        print(f'Defaults:{arguments.user} secure_path="{folder}:{SECURE_PATH}"')
    print(f"{arguments.user} ALL=(root) NOPASSWD: {arguments.helper} ^{' '.join(words)}$")
    return 0


def _literal(text: str) -> str:
    return text.replace(".", "\\.")


def _one_of(names: list[str]) -> str:
    """A pattern for these names, with what they have in common in front."""
    if len(names) == 1:
        return _literal(names[0])
    parts = [name.split(".") for name in names]
    alike = 0
    while all(len(each) > alike + 1 and each[alike] == parts[0][alike] for each in parts):
        alike += 1
    front = "".join(f"{part}." for part in parts[0][:alike])
    ends = "|".join(".".join(each[alike:]) for each in parts)
    return f"{_literal(front)}({_literal(ends)})"


def _names(path: str) -> Iterator[str]:
    """Under which names the contexts below a path can be imported."""
    from privmigrate.audit.modules import read_module

    found = sorted(Path(path).rglob("*.py")) if Path(path).is_dir() else [Path(path)]
    for file in found:
        try:
            module = read_module(read_regular(str(file)).decode(), str(file))
        except OSError as error:
            raise InputError(f"{file}: error: cannot be read: {error.strerror}") from error
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise InputError(f"{file}: error: is no Python: {error}") from error
        for context in module.contexts if module else ():
            name = _pypath(context, file)
            if not _NAME.fullmatch(name):
                raise InputError(f"{context.span}: error: {name!r} is no dotted name")
            yield name


def _pypath(context: "Context", file: Path) -> str:
    """The argument of that name: a text, or one behind __name__."""
    keywords = {keyword.arg: keyword.value for keyword in context.node.keywords}
    match keywords.get("pypath"):
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(
            left=ast.Name(id="__name__"), op=ast.Add(), right=ast.Constant(value=str(text))
        ):
            return _module_name(file) + text
        case _:
            pass
    raise InputError(f"{context.span}: error: {context.name}: its pypath is not written out")


def _module_name(file: Path) -> str:
    file = file.absolute()
    parts = [] if file.stem == "__init__" else [file.stem]
    for folder in file.parents:
        if not (folder / "__init__.py").is_file():
            break
        parts.insert(0, folder.name)
    return ".".join(parts)
