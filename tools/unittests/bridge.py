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
from types import CodeType, FrameType
from typing import Final

from privmigrate.errors import Refused
from privmigrate.privsep.context import PrivContext
from privmigrate.privsep.entrypoint import CommandEntrypoint
from privmigrate.testing.evaluate import same_argv

_INSIDE: Final = ("/privmigrate/", f"/{Path(__file__).name}")


class NoDaemon(Exception):  # noqa: N818 - a state, not an error of the service
    """An entrypoint was called where there is no daemon."""


@dataclass(frozen=True, slots=True)
class Old:
    """One call as it was.

    Attributes:
        first, last: the lines of the call that took its place.
        names: what its command line is built from.
        code: a function ``before`` of these names and of ``execute``.
        executor: the expression whose value ran the command.
        imports: the statements that bound the file's names, of which some may be gone.
    """

    first: int
    last: int
    names: tuple[str, ...]
    code: CodeType
    executor: str
    imports: str


def install(reached: list[dict[str, object]], *, old: bool, facts: Path | None) -> None:
    """Have every entrypoint of every context answered here."""
    known = read_facts(facts) if facts is not None else {}

    def answer(entrypoint: CommandEntrypoint[...], args: Sequence[object], kwargs: object) -> object:
        frame = _caller()
        note: dict[str, object] = {
            "entrypoint": entrypoint.name,
            "file": frame.f_code.co_filename,
            "line": frame.f_lineno,
        }
        reached.append(note)
        words, refused = planned(entrypoint, args, dict(kwargs))  # type: ignore[call-overload]
        if refused:
            note["refused"] = refused
        if not old:
            raise NoDaemon(f"{entrypoint.name}: no daemon in unit tests")
        call = find(known, frame)
        if call is None:
            note["lost"] = "its call before is not known"
            raise NoDaemon(f"{entrypoint.name}: {note['lost']}")
        return call_old(call, frame, words, note)

    def calling(self: CommandEntrypoint[...], /, *args: object, **kwargs: object) -> object:
        return answer(self, args, kwargs)

    def judging(self: CommandEntrypoint[...], **_policy: object) -> Callable[..., object]:
        return lambda *args, **kwargs: answer(self, args, kwargs)

    for name in ("__call__", "local"):
        setattr(CommandEntrypoint, name, calling)
    for name in ("policy", "neutron"):
        setattr(CommandEntrypoint, name, judging)

    def refuse(context: PrivContext) -> None:
        raise NoDaemon(f"{context!r}: no daemon in unit tests")

    PrivContext._launch = refuse  # type: ignore[assignment,method-assign]  # noqa: SLF001


def planned(
    entrypoint: CommandEntrypoint[...], args: Sequence[object], kwargs: Mapping[str, object]
) -> tuple[tuple[str, ...], str]:
    """The words that the daemon would execute, or why it would not."""
    from privmigrate.privsep.entrypoint import _as_word

    words = tuple(map(_as_word, args))
    named = {name: _as_word(value) for name, value in kwargs.items()}
    try:
        plans = entrypoint._command.plan(*words, **named)  # noqa: SLF001 - as the entrypoint does
    except (Refused, TypeError) as error:
        return (), f"{type(error).__name__}: {error}"
    return plans[-1].argv if plans else (), ""


def call_old(
    call: Old, frame: FrameType, words: Sequence[str], note: dict[str, object]
) -> object:
    """Make the call before; what it executes is compared with `words`."""
    scope = scope_of(frame, call.imports)
    try:
        executor = eval(call.executor, scope)  # noqa: S307 - text of the service's own source
        given = {name: scope[name] for name in call.names if name != "execute"}
    except (NameError, KeyError, AttributeError) as error:
        note["lost"] = f"{type(error).__name__}: {error}"
        raise NoDaemon(str(note["lost"])) from error

    def execute(*args: object, **kwargs: object) -> object:
        ran = [str(each) for each in _words(args)]
        if words and not same_argv(ran, list(words)):
            note["differs"] = [ran, list(words)]
        return executor(*args, **kwargs)

    made: dict[str, object] = {}
    exec(call.code, scope, made)  # noqa: S102 - text that rewrite wrote
    before = made["before"]
    wanted = {**given, "execute": execute} if "execute" in call.names else given
    return before(**wanted)  # type: ignore[operator]


def _words(args: Sequence[object]) -> Sequence[object]:
    """The command line: the words themselves, or the list that is the first of them."""
    if args and isinstance(args[0], list | tuple):
        return args[0]
    return args


def scope_of(frame: FrameType, imports: str) -> dict[str, object]:
    """Every name that the caller has, and those whose imports are gone."""
    scope: dict[str, object] = {"__builtins__": builtins}
    if imports:
        exec(imports, scope)  # noqa: S102 - import statements of the service's own source
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
        names = tuple(arg.arg for arg in function.args.args)
        code = compile(tree, f"{each['file']} as it was", "exec")
        known.setdefault(each["file"], []).append(
            Old(each["first"], each["last"], names, code, each["executor"], each["imports"])
        )
    return known
