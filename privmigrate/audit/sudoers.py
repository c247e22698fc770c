"""What sudo lets whom run, read by sudo's own parser: ``cvtsudoers -f json``.

Includes are followed here, inside the tree that is judged, and every logical line is given to
cvtsudoers by itself: so each grant has its line, and one broken line hides no other.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, cast

from privmigrate.argv.regex import compile_pattern
from privmigrate.audit.tree import Kind, Tree
from privmigrate.diagnostics import Diagnostic, Severity, Span
from privmigrate.errors import InternalError
from privmigrate.linux.spawn import Program, spawn

CVTSUDOERS: Final = ("/usr/bin/cvtsudoers", "/usr/local/bin/cvtsudoers", "/usr/sbin/cvtsudoers")
MAX_DEPTH: Final = 16
_SECONDS: Final = 10
_INCLUDE: Final = re.compile(r"[@#]include(?P<folder>dir)?\s+(?P<path>\"[^\"]+\"|\S+)")
_COMMENT: Final = re.compile(r"\s*#(?!\d)(?!include)")

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Grant:
    """One command that sudo lets users run.

    Attributes:
        users: names, ``%group``, ``#uid``, or ALL; aliases are resolved.
        command: a path, a folder that ends with ``/``, ALL, or ``sudoedit``.
        arguments: None for any, "" for none, else a pattern in which ``*`` is any text.
        negated: the command is taken away (``!``).
    """

    span: Span
    users: tuple[str, ...]
    run_as: tuple[str, ...]
    command: str
    arguments: str | None
    no_password: bool = False
    setenv: bool = False
    negated: bool = False

    @property
    def name(self) -> str:
        """The command without its folder."""
        return os.path.basename(self.command)  # noqa: PTH119 - of words

    @property
    def shown(self) -> str:
        """As sudoers writes it."""
        if self.arguments == "":
            return f'{self.command} ""'
        return self.command if self.arguments is None else f"{self.command} {self.arguments}"

    @property
    def is_regex(self) -> bool:
        """Whether the arguments are a regular expression (sudo 1.9.10)."""
        text = self.arguments or ""
        return text.startswith("^") and text.endswith("$")

    def takes(self, arguments: str) -> bool:
        """Whether sudo lets the command have these arguments, as one text (sudoers(5))."""
        if self.arguments is None:
            return True
        if self.is_regex:
            return compile_pattern(self.arguments[1:-1]).matches(arguments)
        return fnmatchcase(arguments, self.arguments)

    @property
    def who(self) -> str:
        """The users, in words."""
        return "everybody" if self.users == ("ALL",) else ", ".join(self.users)


@dataclass(frozen=True, slots=True)
class Default:
    """One option of a Defaults line: for everybody, or for those whom it binds to."""

    span: Span
    binding: tuple[str, ...]
    name: str
    value: object


@dataclass(frozen=True, slots=True)
class Sudo:
    """All sudoers files together."""

    grants: tuple[Grant, ...] = ()
    defaults: tuple[Default, ...] = ()
    files: tuple[str, ...] = ()
    unread: tuple[Diagnostic, ...] = ()
    texts: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(slots=True)
class _Reading:
    """What is collected while the files are read; aliases are resolved at the end."""

    tree: Tree
    parser: str
    specs: list[tuple[Span, Json]] = field(default_factory=list)
    defaults: list[Default] = field(default_factory=list)
    aliases: dict[tuple[str, str], list[Json]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    unread: list[Diagnostic] = field(default_factory=list)
    texts: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)


def read_sudoers(tree: Tree, path: str = "/etc/sudoers") -> Sudo:
    """Read a sudoers file and all that it includes."""
    if tree.walk(path).why.startswith("No such file"):
        return Sudo()  # a machine without sudo
    parser = next((place for place in CVTSUDOERS if os.path.exists(place)), "")  # noqa: PTH110
    if not parser:
        return Sudo(
            unread=(_unread(Span(path), "cvtsudoers is not installed (it comes with sudo)"),)
        )
    reading = _Reading(tree, parser)
    _read_file(reading, path, 0)
    return Sudo(
        tuple(grant for span, spec in reading.specs for grant in _grants(reading, span, spec)),
        tuple(reading.defaults),
        tuple(reading.files),
        tuple(reading.unread),
        tuple(reading.texts),
    )


def _unread(span: Span, why: str) -> Diagnostic:
    return Diagnostic(span, Severity.WARNING, "unread", f"was not judged: {why}")


def _read_file(reading: _Reading, path: str, depth: int) -> None:
    if depth > MAX_DEPTH or path in reading.files:
        reading.unread.append(_unread(Span(path), "it includes itself"))
        return
    try:
        text = reading.tree.read(path).decode("utf-8", "surrogateescape")
    except OSError as error:
        reading.unread.append(_unread(Span(path), error.strerror or str(error)))
        return
    reading.files.append(path)
    reading.texts.append((path, tuple(text.splitlines())))
    for number, line in _logical_lines(text):
        span = Span(path, number, 1)
        if found := _INCLUDE.match(line):
            _include(reading, path, found["path"].strip('"'), depth, folder=bool(found["folder"]))
        elif line.strip() and not _COMMENT.match(line):
            _read_line(reading, span, line)


def _include(reading: _Reading, path: str, name: str, depth: int, *, folder: bool) -> None:
    target = os.path.join(os.path.dirname(path), name)  # noqa: PTH118, PTH120 - sudo's rule
    if not folder:
        _read_file(reading, target, depth + 1)
        return
    try:
        names = reading.tree.names(target)
    except OSError as error:
        reading.unread.append(_unread(Span(target), error.strerror or str(error)))
        return
    for each in names:
        inner = f"{target}/{each}"
        # sudoers(5): names with a dot or a tilde at the end are skipped
        if "." not in each and not each.endswith("~") and reading.tree.kind(inner) is Kind.FILE:
            _read_file(reading, inner, depth + 1)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with those that they go on in, and the number of the first."""
    begun, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first or number
        if line.endswith("\\") and not _COMMENT.match(begun + line):
            begun += line[:-1]
            continue
        yield first, begun + line
        begun, first = "", 0
    if begun:
        yield first, begun


def _read_line(reading: _Reading, span: Span, line: str) -> None:
    parsed = _ask(reading.parser, line)
    if parsed is None:
        reading.unread.append(_unread(span, "sudo's parser does not accept the line"))
        return
    for kind in ("User_Aliases", "Runas_Aliases", "Command_Aliases"):
        for name, members in cast("Json", parsed.get(kind, {})).items():
            reading.aliases[kind, name] = cast("list[Json]", members)
    for each in cast("list[Json]", parsed.get("Defaults", [])):
        binding = tuple(_names(reading, each.get("Binding", []), "User_Aliases"))
        for option in cast("list[Json]", each.get("Options", [])):
            for name, value in option.items():
                if name != "operation":
                    reading.defaults.append(Default(span, binding, name, value))
    reading.specs.extend((span, spec) for spec in cast("list[Json]", parsed.get("User_Specs", [])))


def _ask(parser: str, line: str) -> Json | None:
    """Give one line to cvtsudoers. Nothing is expanded or looked up: matching is sudo's."""
    given = os.memfd_create("line")
    taken = os.memfd_create("json")
    try:
        os.write(given, f"{line}\n".encode("utf-8", "surrogateescape"))
        os.lseek(given, 0, os.SEEK_SET)
        program = Program(
            parser,
            (parser, "-c", "/dev/null", "-f", "json", "-"),
            {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
            stdin=given,
            stdout=taken,
        )
        with spawn(program) as process:
            if process.wait(_SECONDS) is None:
                process.kill_group()
                process.wait()
                raise InternalError(f"cvtsudoers did not end within {_SECONDS} seconds: {line!r}")
            if process.exit_code:
                return None
        os.lseek(taken, 0, os.SEEK_SET)
        with open(taken, "rb", closefd=False) as file:
            data = file.read()
        return cast("Json", json.loads(data)) if data.strip() else {}
    except (OSError, ValueError):
        return None
    finally:
        os.close(given)
        os.close(taken)


def _names(reading: _Reading, members: object, kind: str) -> Iterator[str]:
    """Users as sudoers spells them; an alias stands for its members."""
    for member in cast("list[Json]", members):
        for key, value in member.items():
            name = str(value)
            negated = "!" if member.get("negated") else ""
            if key == "useralias":
                alias = reading.aliases.get((kind, name))
                yield from (name,) if alias is None else _names(reading, alias, kind)
            elif key in _PREFIXES:
                yield f"{negated}{_PREFIXES[key]}{name}"


_PREFIXES: Final = {
    "username": "",
    "userid": "#",
    "usergroup": "%",
    "usergid": "%#",
    "netgroup": "+",
    "nonunixgroup": "%:",
    "command": "",
    "hostname": "@",
}


def _grants(reading: _Reading, span: Span, spec: Json) -> Iterator[Grant]:
    users = tuple(_names(reading, spec.get("User_List", []), "User_Aliases"))
    for one in cast("list[Json]", spec.get("Cmnd_Specs", [])):
        run_as = tuple(_names(reading, one.get("runasusers", []), "Runas_Aliases")) or ("root",)
        options = {
            k: v for each in cast("list[Json]", one.get("Options", [])) for k, v in each.items()
        }
        for command, negated in _commands(reading, one.get("Commands", []), 0):
            path, space, arguments = command.partition(" ")
            given: str | None = arguments if space else None
            yield Grant(
                span,
                users,
                run_as,
                path,
                "" if given == '""' else given,
                no_password=options.get("authenticate") is False,
                setenv=options.get("setenv") is True,
                negated=negated,
            )


def _commands(reading: _Reading, members: object, depth: int) -> Iterator[tuple[str, bool]]:
    for member in cast("list[Json]", members):
        negated = bool(member.get("negated"))
        if "cmndalias" in member:
            name = str(member["cmndalias"])
            alias = reading.aliases.get(("Command_Aliases", name))
            if alias is not None and depth < MAX_DEPTH:
                for command, inner in _commands(reading, alias, depth + 1):
                    yield command, inner != negated
            else:
                yield name, negated
        elif "command" in member:
            yield str(member["command"]), negated
