"""Commands of entrypoints go to the executors that their callers had before.

For a service's tests, which mock these executors and expect command lines of them:

    def setUp(self):
        super().setUp()
        self.useFixture(privmigrate_testing.Forwarding("svc.privileged"))

Then ``privileged.files.chmod_777.policy(attempts=3)(path)``, in a method that called
``self._execute`` with `run_as_root` before it was rewritten, becomes
``self._execute("chmod", "777", path, run_as_root=True, attempts=3)``. The command line is what the
entrypoint itself makes of its arguments, so a test that expects it goes on seeing whether it is
right; what the executor gives back or raises is what the caller gets. Arguments are not checked:
tests have values that no command would be given.
"""

import ast
import functools
import json
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from contextvars import ContextVar
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final, Self, cast
from unittest import mock

from privmigrate.errors import InputError
from privmigrate.privsep import natives
from privmigrate.privsep.entrypoint import CommandEntrypoint
from privmigrate.privsep.execute import PLANNING, ExecResult, Executable, Planned, Prefix, run

__all__ = ["Forwarding"]

_OWN: Final = ("privmigrate.", "unittest.mock")
_SAME: Final = (str, bytes, type(None))
_VALUE: Final = re.compile(r"True|False|0|-?[1-9]\d{0,18}", re.ASCII)
# Set while a command line is made that nothing executes.
_MAKING: Final[ContextVar[bool]] = ContextVar("making", default=False)
_Arguments = tuple[object, ...]
_Named = dict[str, object]
_Anything = Callable[..., object]


class _Word(str):
    """A word of a command line that is known by another value too.

    That is what the caller gave, which executors make text of, or the path of the command.
    """

    __slots__ = ("value",)
    value: object

    def __new__(cls, text: str, value: object) -> Self:
        """Make one that is equal to both."""
        self = super().__new__(cls, text)
        self.value = value
        return self

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True or bool(self.value == other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return str.__hash__(self)

    def __bool__(self) -> bool:
        return bool(self.value)  # whether an option is there, in bodies of commands


class _Text(_Word):
    """The same, for executors: it is there, whatever it stands for."""

    def __bool__(self) -> bool:
        return len(self) > 0


class Forwarding:
    """A fixture, as testtools' `useFixture` takes them, and a context manager.

    What functions of the service called before stands in the package's privmigrate.lock, where
    ``privmigrate rewrite`` writes it. `callers` says it of others, without the words of the
    command: by dotted names of functions, modules or packages, of which the longest counts; behind
    a colon stands an entrypoint, for a function that calls several. Names in it are those of the
    calling function; values are names, calls without arguments, and literals. Of whom neither says
    anything, that one calls the entrypoint itself.
    """

    def __init__(self, package: str, callers: Mapping[str, str] | None = None) -> None:
        self._package = package
        self._callers = {name: _read(text) for name, text in (callers or {}).items()}
        self._locked = dict[str, ast.Call]()
        self._stack = ExitStack()

    def setUp(self) -> None:
        """Begin; raise InputError where the package's lock cannot be read."""
        self._locked = _locked(self._package)
        for name, made in (("__call__", self._plain(None)), ("local", self._plain(False))):
            self._replace(CommandEntrypoint, name, made)
        for name in ("policy", "neutron"):
            self._replace(CommandEntrypoint, name, self._judging(name))
        for owner, name, made in _without_machine():
            self._replace(owner, name, made)

    def cleanUp(self) -> None:  # noqa: N802 - fixtures' name
        """End."""
        self._stack.close()

    def getDetails(self) -> dict[str, object]:  # noqa: N802 - fixtures' name
        """Give what belongs into a test's report: nothing."""
        return {}

    def __enter__(self) -> Self:
        self.setUp()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cleanUp()

    def _replace(self, owner: object, name: str, new: _Anything) -> None:
        self._stack.enter_context(mock.patch.object(owner, name, new))

    def _plain(self, run_as_root: bool | None) -> _Anything:  # noqa: FBT001
        """What stands in the place of a call without a policy."""
        name = "__call__" if run_as_root is None else "local"
        before: _Anything = getattr(CommandEntrypoint, name)
        options: _Named = {} if run_as_root is None else {"run_as_root": run_as_root}

        def call(entrypoint: CommandEntrypoint[...], /, *args: object, **kwargs: object) -> object:
            caller = self._find(entrypoint)
            if caller is None:
                return before(entrypoint, *args, **kwargs)
            return caller.execute(entrypoint, args, kwargs, options)

        return call

    def _judging(self, name: str) -> _Anything:
        """What stands in the place of `policy` or `neutron`."""
        before: _Anything = getattr(CommandEntrypoint, name)
        takes_list = name == "neutron"

        def judge(entrypoint: CommandEntrypoint[...], /, **options: object) -> _Anything:
            judged = cast("_Anything", before(entrypoint, **options))

            def call(*args: object, **kwargs: object) -> object:
                caller = self._find(entrypoint)
                if caller is None:
                    return judged(*args, **kwargs)
                return caller.execute(entrypoint, args, kwargs, options, takes_list=takes_list)

            return functools.update_wrapper(call, entrypoint)

        return judge

    def _find(self, entrypoint: CommandEntrypoint[...]) -> "_Caller | None":
        """Who calls it, where that is said."""
        if not f"{entrypoint.__module__}.".startswith(f"{self._package}."):
            return None
        frame = next(frame for frame in _frames() if not _module(frame).startswith(_OWN))
        parts = f"{_module(frame)}.{_function(frame)}".split(".")
        for count in range(len(parts), 0, -1):
            name = ".".join(parts[:count])
            for key in (f"{name}:{entrypoint.__name__}", name):
                if key in self._callers:
                    return _Caller(frame, self._callers[key])
            own = entrypoint.__module__.removeprefix(f"{self._package}.")
            if call := self._locked.get(f"{name}:{own}.{entrypoint.__name__}"):
                return _Caller(frame, call)
        return None


class _Caller:
    """A function that calls an entrypoint, and the call that it had in its place."""

    def __init__(self, frame: FrameType, call: ast.Call) -> None:
        self._frame = frame
        self._call = call

    def execute(
        self,
        entrypoint: CommandEntrypoint[...],
        args: _Arguments,
        kwargs: _Named,
        options: _Named,
        *,
        takes_list: bool = False,
    ) -> object:
        """Call its executor."""
        execute = cast("_Anything", self._value(self._call.func))
        given = {str(each.arg): self._value(each.value) for each in self._call.keywords}
        more = dict(options)
        if more.pop("netns", None) is not None and not more.get("run_as_root"):
            more.pop("run_as_root", None)  # the namespace's executor knows
        given.update(more)
        if "stdin" in kwargs:
            given["process_input"] = kwargs["stdin"]
        words = list(_words(entrypoint, args, kwargs, spell_env="addl_env" not in given))
        return execute(words, **given) if takes_list else execute(*words, **given)

    def _value(self, node: ast.expr) -> object:
        match node:
            case ast.Name() | ast.Attribute():
                return self._named(ast.unparse(node))
            case ast.Call(func=func, args=[], keywords=[]):
                return cast("_Anything", self._value(func))()
            case _:
                return ast.literal_eval(node)

    def _named(self, dotted: str) -> object:
        first, *rest = dotted.split(".")
        for names in self._names():
            if first in names:
                value = names[first]
                for name in rest:
                    value = getattr(value, name)
                return value
        try:
            return pkgutil.resolve_name(dotted)
        except (ImportError, AttributeError, ValueError):
            where = f"{_module(self._frame)}.{_function(self._frame)}"
            raise LookupError(f"{where} has no {dotted} to forward a command to") from None

    def _names(self) -> Iterator[Mapping[str, object]]:
        """The names of the function, of those that it is nested in, and of its module."""
        inner = self._frame.f_code.co_qualname
        yield self._frame.f_locals
        for frame in _frames(self._frame):
            outer = f"{frame.f_code.co_qualname}.<locals>."
            if _module(frame) == _module(self._frame) and inner.startswith(outer):
                yield frame.f_locals
        yield self._frame.f_globals


def _read(text: str) -> ast.Call:
    try:
        call = ast.parse(text, mode="eval").body
    except SyntaxError:
        call = ast.Constant(None)
    if not isinstance(call, ast.Call) or call.args or any(not each.arg for each in call.keywords):
        raise ValueError(f"{text!r} is no call of an executor without its words")
    return call


@functools.cache  # for every test of a run
def _locked(package: str) -> dict[str, ast.Call]:
    """What the lock says, by ``module.function:module.entrypoint``; nothing without a package."""
    try:
        folders = pkgutil.resolve_name(package).__path__
    except (ImportError, AttributeError):
        return {}
    path = Path(folders[0], "privmigrate.lock")
    found: dict[str, ast.Call] = {}
    try:
        rows = json.loads(path.read_bytes()).get("replaced", [])
        for row in rows:
            site, text = row["site"], row.get("before", "")
            function = f"{site['module']}.{site['function']}".rstrip(".")
            if text:
                found[f"{function}:{row['entrypoint']}"] = _read(text)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: error: cannot be read: {error!r}") from error
    return found


def _frames(frame: FrameType | None = None) -> Iterator[FrameType]:
    """The frames around one, or around here, innermost first."""
    frame = sys._getframe(1) if frame is None else frame.f_back  # noqa: SLF001 - as inspect has it
    while frame is not None:
        yield frame
        frame = frame.f_back


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _function(frame: FrameType) -> str:
    return frame.f_code.co_qualname.replace(".<locals>", "")


def _words(
    entrypoint: CommandEntrypoint[...], args: _Arguments, kwargs: _Named, *, spell_env: bool
) -> Iterator[object]:
    """The command line that an entrypoint makes, with the command by its name."""
    planned: list[Planned] = []

    def note(each: Planned) -> ExecResult:
        planned.append(each)
        return ExecResult(0, b"", b"")

    body = cast("_Anything", entrypoint.function.__wrapped__)  # type: ignore[attr-defined]
    token = _MAKING.set(True)
    try:
        with PLANNING.here(note):
            body(*map(_carried, args), **{name: _carried(each) for name, each in kwargs.items()})
    finally:
        _MAKING.reset(token)
    if len(planned) != 1:
        raise LookupError(f"{entrypoint.name} runs no single command that could be forwarded")
    under = kwargs.get("under")
    front = 0 if under is None else len(cast("Prefix", under).words())
    argv = planned[0].argv
    if front:
        yield _by_name(argv[0])
        yield from argv[1:front]
    if planned[0].env and spell_env:
        yield "env"
        yield from (f"{name}={value}" for name, value in planned[0].env)
    yield _by_name(argv[front])
    yield from map(_as_given, argv[front + 1 :])


def _as_given(word: str) -> object:
    """What the caller gave for a word; what is text for an executor may be a number for a test."""
    if isinstance(word, _Word) and not isinstance(word.value, int | float):
        return word.value
    try:
        value = ast.literal_eval(str(word)) if _VALUE.fullmatch(word) else None
    except ValueError:
        return word
    return word if value is None else _Text(word, value)


def _without_machine() -> Iterator[tuple[object, str, _Anything]]:
    """What bodies of commands use, without looking for programs or files: tests mock `os`."""
    resolve = Executable.resolve
    do, kill = natives.do, natives.kill

    def name(self: Executable) -> str:
        return self.candidates[0] if _MAKING.get() else resolve(self)

    def plan(
        executable: Executable, *args: str | int, within: str | None = None, **options: Any
    ) -> ExecResult:
        if _MAKING.get():
            return run(executable, *args, **options)
        return do(executable, *args, within=within, **options)

    def plan_kill(pid: int | str, signal: int | str, *programs: str) -> ExecResult:
        if _MAKING.get():
            return run(Executable("kill"), f"-{signal}", pid)
        return kill(pid, signal, *programs)

    yield Executable, "resolve", name
    yield natives, "do", plan
    yield natives, "kill", plan_kill


def _by_name(path: str) -> _Word:
    return _Word(path.rpartition("/")[2], path)


def _carried(value: object) -> object:
    """A value as bodies of commands take it, which comes out of them as it went in."""
    if isinstance(value, _SAME) or hasattr(type(value), "words"):
        return value
    if isinstance(value, list | tuple):
        return [_carried(each) for each in value]
    return _Word(str(value), value)
