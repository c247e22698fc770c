"""Stands in for the daemon when a rewritten service's unit tests run: none is ever started.

Either an entrypoint raises `NoDaemon`; or the call whose place it took is made after all, in the
frame of the caller, where the test has its executor; its command line is compared with the one
that the entrypoint would have executed, and what it returns or raises is what the caller gets.
"""

import ast
import builtins
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final
from unittest.mock import NonCallableMock

from privmigrate.errors import Refused
from privmigrate.privsep.context import PrivContext
from privmigrate.privsep.entrypoint import CommandEntrypoint
from privmigrate.testing.evaluate import same_argv

Note = dict[str, Any]
_INSIDE: Final = ("/privmigrate/", f"/{Path(__file__).name}")


class NoDaemon(Exception):  # noqa: N818 - a state, not an error of the service
    """An entrypoint was called where there is no daemon."""


@dataclass(frozen=True, slots=True)
class Old:
    """One call as it was.

    Attributes:
        first, last: the lines of the call that took its place.
        body: what built its command line, and last the call, of ``execute``.
        executor: the expression whose value ran the command.
        imports: the statements that bound the file's names, as far as they are gone.
    """

    first: int
    last: int
    body: Sequence[ast.stmt]
    executor: str
    imports: str


def install(reached: list[Note], *, old: bool, facts: Path | None) -> Callable[[Note], None]:
    """Have every entrypoint of every context answered here.

    Give a function that completes what was noted of a call: it is for when a test has ended, and
    the mocks of the machine that it made are gone.
    """
    known = read_facts(facts) if facts is not None else {}

    def calling(self: CommandEntrypoint[...], /, *args: object, **kwargs: object) -> object:
        note: Note = {"entrypoint": self.name}
        note["asked"] = (self, [_copied(each) for each in args], kwargs)
        reached.append(note)
        if not old:
            raise NoDaemon(f"{self.name}: no daemon in unit tests")
        return call_before(known, note)

    def judging(self: CommandEntrypoint[...], **_policy: object) -> Callable[..., object]:
        return lambda *args, **kwargs: calling(self, *args, **kwargs)

    for name, instead in (
        ("__call__", calling),
        ("local", calling),
        ("policy", judging),
        ("neutron", judging),
    ):
        setattr(CommandEntrypoint, name, instead)
    PrivContext._launch = _refuse  # type: ignore[assignment,method-assign]  # noqa: SLF001
    return complete


def _refuse(context: PrivContext) -> None:
    raise NoDaemon(f"{context!r}: no daemon in unit tests")


def call_before(known: Mapping[str, Sequence[Old]], note: Note) -> object:
    """Make the call that the caller of an entrypoint made before."""
    frame = _caller()
    call = find(known, frame)
    if call is None:
        note["lost"] = "its call before is not known"
        raise NoDaemon(f"{note['entrypoint']}: {note['lost']}")
    return call_old(call, frame, note)


def complete(note: Note) -> None:
    """Say whether the daemon would have executed the same."""
    entrypoint, args, kwargs = note.pop("asked")
    words, environment, refused = planned(entrypoint, args, kwargs)
    ran = note.pop("ran", ())
    assigned, rest = split_environment(ran)
    if refused:
        note["refused"] = refused
    elif ran and not (same_argv(rest, words) and assigned <= environment):
        note["differs"] = f"{ran} before, {list(words)} after"


def split_environment(words: Sequence[str]) -> tuple[set[tuple[str, str]], Sequence[str]]:
    """What ``env NAME=VALUE...`` in front of a command says, and the command."""
    if not words or words[0] != "env":
        return set(), words
    last = next((n for n, word in enumerate(words[1:], 1) if "=" not in word), len(words))
    assigned = [word.partition("=") for word in words[1:last]]
    return {(name, value) for name, _, value in assigned}, words[last:]


def _copied(value: object) -> object:
    """A list that a service goes on changing, as it is now."""
    return list(value) if isinstance(value, list) else value


def planned(
    entrypoint: CommandEntrypoint[...], args: Sequence[object], kwargs: Mapping[str, object]
) -> tuple[tuple[str, ...], set[tuple[str, str]], str]:
    """What the daemon would execute, with its own variables, or why it would not."""
    from privmigrate.privsep.entrypoint import _as_word

    words = tuple(map(_as_word, args))
    named = {name: _as_word(value) for name, value in kwargs.items()}
    try:
        plans = entrypoint._command.plan(*words, **named)  # noqa: SLF001 - as the entrypoint does
    except (Refused, TypeError) as error:
        return (), set(), f"{type(error).__name__}: {error}"
    return (plans[-1].argv, set(plans[-1].env), "") if plans else ((), set(), "")


def call_old(call: Old, frame: FrameType, note: Note) -> object:
    """Make the call before, and note what it executes."""
    scope = scope_of(frame, call.imports)
    *building, last = missing_from(scope, call.body)
    in_namespace = call.executor.endswith(".netns.execute")
    try:
        executor = eval(call.executor, scope)

        def execute(*args: object, **kwargs: object) -> object:
            given = args[1:] if in_namespace else args  # which namespace is said first
            note["ran"] = [str(each) for each in words_of(given)]
            return executor(*given, **kwargs)

        note["executor"] = kind_of(executor)
        scope["execute"] = execute
        exec(compile(ast.Module(building, []), "<before>", "exec"), scope)
    except NameError as error:
        note["lost"] = f"NameError: {error}"
        raise NoDaemon(str(note["lost"])) from error
    if isinstance(last, ast.Return) and last.value is not None:
        return eval(compile(ast.Expression(last.value), "<before>", "eval"), scope)
    exec(compile(ast.Module([last], []), "<before>", "exec"), scope)
    return None


def missing_from(scope: Mapping[str, object], body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The statements that still have to be executed: those whose names the caller has not."""
    *building, last = body
    missing = [each for each in building if not touched(each) or touched(each) - scope.keys()]
    return [*missing, last]


def touched(statement: ast.stmt) -> set[str]:
    """The names that a statement binds, or whose values it calls methods of."""
    found = set()
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
                found.add(name)
            case _:
                pass
    return found


def kind_of(executor: object) -> str:
    """What a test has in the place of the executor."""
    effect = getattr(executor, "side_effect", None)
    if isinstance(executor, NonCallableMock):
        return "a mock" if effect is None else f"a mock with {kind_of(effect)} as side effect"
    code = getattr(getattr(executor, "__func__", executor), "__code__", None)
    if code is None:
        return type(executor).__name__
    return f"a function of {'tests' if '/tests/' in code.co_filename else 'the service'}"


def words_of(args: Sequence[object]) -> Sequence[object]:
    """The command line: the words themselves, or the list that is the first of them."""
    if args and isinstance(args[0], list | tuple):
        return args[0]
    return args


def scope_of(frame: FrameType, imports: str) -> dict[str, object]:
    """Every name that the caller has, and those whose imports are gone."""
    scope: dict[str, object] = {"__builtins__": builtins}
    if imports:
        exec(imports, scope)
    scope.update(frame.f_globals)
    outer: list[FrameType] = []
    each: FrameType | None = frame
    while each is not None and each.f_code.co_filename == frame.f_code.co_filename:
        outer.append(each)
        if each.f_code.co_name not in {"<listcomp>", "<lambda>", "<genexpr>", "<dictcomp>"}:
            break
        each = each.f_back
    for one in reversed(outer):
        scope.update(one.f_locals)
    return scope


def _caller() -> FrameType:
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - there is no other way
    while frame is not None and any(part in frame.f_code.co_filename for part in _INSIDE):
        frame = frame.f_back
    if frame is None:
        raise NoDaemon("nobody called")
    return frame


def find(known: Mapping[str, Sequence[Old]], frame: FrameType) -> Old | None:
    """The call before of what a frame is executing."""
    name = frame.f_code.co_filename
    found = [
        each
        for file, olds in known.items()
        if name.endswith(f"/{file}")
        for each in olds
        if each.first <= frame.f_lineno <= each.last
    ]
    return min(found, key=lambda each: each.last - each.first, default=None)


def read_facts(path: Path) -> dict[str, list[Old]]:
    """What `facts_of` in tools/rewrite_unittests.py wrote."""
    known: dict[str, list[Old]] = {}
    for each in json.loads(path.read_text()):
        tree = ast.parse(each["function"])
        function = tree.body[0]
        if not isinstance(function, ast.FunctionDef):
            continue
        known.setdefault(each["file"], []).append(
            Old(each["first"], each["last"], function.body, each["executor"], each["imports"])
        )
    return known
