"""`@command`: a function that executes a command becomes one whose arguments are checked first.

The module has another name than the decorator: `privmigrate.privsep.command` is the decorator.

The annotations are compiled once, when the module is imported. `checked` is what the daemon
calls: it binds, checks every argument, and only then runs the body; what a client sent reaches
the body in no other way. Calling the command itself does the same and judges the result, which
is what oslo.privsep's daemon, and `.local`, do.
"""

import functools
import inspect
import shlex
from collections.abc import Callable, Iterable
from typing import Final, Generic, ParamSpec, cast, get_type_hints, overload

from privmigrate.argv.check import Checker, compile_annotation
from privmigrate.errors import Refused
from privmigrate.linux.capabilities import CapabilitySet
from privmigrate.privsep.execute import (
    PLANNING,
    ExecResult,
    Output,
    Planned,
    limited_to,
)
from privmigrate.privsep.policy import Policy
from privmigrate.privsep.running import stopping_after

P = ParamSpec("P")

_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)
TIMEOUT: Final = "seconds that its command may take"
"""A keyword that every command takes besides its parameters, of which none can be called so."""
_NOTHING_DONE: Final = ExecResult(0, b"", b"")


class Command(Generic[P]):
    """A function whose arguments are checked before it executes anything.

    Attributes:
        capabilities: the most that what it executes gets, of its context's; None: all of them.
        only_under: clients cannot have it run without a prefix in front.
    """

    __name__: str
    __qualname__: str
    __wrapped__: Callable[P, ExecResult]

    def __init__(
        self,
        body: Callable[P, ExecResult],
        capabilities: Iterable[int] | None = None,
        *,
        only_under: bool = False,
    ) -> None:
        functools.update_wrapper(self, body)
        self.capabilities: Final = (
            None if capabilities is None else CapabilitySet.from_numbers(capabilities)
        )
        self.only_under: Final = only_under
        self._body: Final = body
        self._name: Final = f"{body.__module__}.{body.__qualname__}"
        self._checks: Final = _compile(body)

    def __repr__(self) -> str:
        return f"<command {self._name}>"

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Output:
        """Run here, and raise ProcessExecutionError unless the command exits with 0."""

        def call() -> ExecResult:
            return self.checked(*args, **kwargs)

        return Policy().apply(call, self.describe(*args, **kwargs))

    def checked(self, /, *args: P.args, **kwargs: P.kwargs) -> ExecResult:
        """Check the arguments and run the body; the result is not judged.

        Raise Refused with the parameter's name, or TypeError for arguments that do not fit the
        function's parameters; then nothing was executed. Raise TimedOut where the caller limits
        the command's time, and it was up.
        """
        if TIMEOUT in kwargs:
            named_here = cast("dict[str, object]", kwargs)
            with stopping_after(named_here.pop(TIMEOUT)):
                return self.checked(*args, **kwargs)
        positional, named = self._checks.convert(args, kwargs)
        body = cast("Callable[..., ExecResult]", self._body)
        if self.capabilities is None:
            return body(*positional, **named)
        with limited_to(self.capabilities):
            return body(*positional, **named)

    def answer(self, /, *args: P.args, **kwargs: P.kwargs) -> ExecResult:
        """As `checked`, for a client: raise Refused also where a prefix has to be and is not."""
        if self.only_under and kwargs.get("under") is None:
            raise Refused("under is None, and no call of the service runs this without")
        return self.checked(*args, **kwargs)

    def plan(self, /, *args: P.args, **kwargs: P.kwargs) -> tuple[Planned, ...]:
        """Say what would be executed with these arguments, and execute nothing."""
        planned: list[Planned] = []

        def note(each: Planned) -> ExecResult:
            planned.append(each)
            return _NOTHING_DONE

        with PLANNING.here(note):
            self.checked(*args, **kwargs)
        return tuple(planned)

    def describe(self, /, *args: P.args, **kwargs: P.kwargs) -> Callable[[], str]:
        """For messages: gives the command line, or the function's name where there is none."""

        def line() -> str:
            try:
                planned = self.plan(*args, **kwargs)
            except (Refused, TypeError):
                planned = ()
            if not planned:
                return self._name
            return shlex.join(planned[-1].argv)

        return line


@overload
def command(body: Callable[P, ExecResult], /) -> Command[P]: ...


@overload
def command(
    *, capabilities: Iterable[int] | None = None, only_under: bool = False
) -> Callable[[Callable[P, ExecResult]], Command[P]]: ...


def command(
    body: Callable[P, ExecResult] | None = None,
    /,
    *,
    capabilities: Iterable[int] | None = None,
    only_under: bool = False,
) -> Command[P] | Callable[[Callable[P, ExecResult]], Command[P]]:
    """Make a command of a function, with or without the capabilities that it needs.

    With `only_under` a client has to give `under`, by name; who runs it as the caller, by `local`,
    need not. The function should do nothing but run: it is also called to say what it would run.
    Raise TypeError for a parameter whose annotation cannot be checked completely.
    """
    if body is not None:
        return Command(body)
    return lambda function: Command(function, capabilities, only_under=only_under)


class _Checks:
    """The parameters of one function: binds and converts arguments, quicker than `inspect`."""

    __slots__ = ("_checkers", "_names", "_owner", "_required", "_rest")

    def __init__(
        self,
        owner: str,
        names: tuple[str, ...],
        checkers: dict[str, Checker],
        required: frozenset[str],
        rest: Checker | None,
    ) -> None:
        self._owner = owner
        self._names = names  # of those that may be given by position, in order
        self._checkers = checkers
        self._required = required
        self._rest = rest

    def convert(
        self, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> tuple[list[object], dict[str, object]]:
        names, checkers = self._names, self._checkers
        if len(args) > len(names) and self._rest is None:
            raise TypeError(f"{self._owner} takes at most {len(names)} arguments by position")
        if not self._required <= kwargs.keys():
            missing = self._required.difference(kwargs, names[: len(args)])
            if missing:
                raise TypeError(f"{self._owner} lacks {', '.join(sorted(missing))}")
        positional = [
            _check(name, checkers[name], value) for name, value in zip(names, args, strict=False)
        ]
        if self._rest is not None:
            rest = self._rest
            positional.extend(
                _check(f"argument {number}", rest, value)
                for number, value in enumerate(args[len(names) :], len(names) + 1)
            )
        named: dict[str, object] = {}
        for name, value in kwargs.items():
            if name not in checkers or name in names[: len(args)]:
                raise TypeError(f"{self._owner} cannot take {name!r} by name")
            named[name] = _check(name, checkers[name], value)
        return positional, named


def _check(name: str, checker: Checker, value: object) -> object:
    try:
        return checker(value)
    except Refused as refused:
        raise Refused(f"{name} {refused}") from None


def _compile(body: Callable[..., object]) -> _Checks:
    owner = f"{body.__module__}.{body.__qualname__}()"
    hints = get_type_hints(body, include_extras=True)
    names: list[str] = []
    checkers: dict[str, Checker] = {}
    required: set[str] = set()
    rest: Checker | None = None
    for name, parameter in inspect.signature(body).parameters.items():
        if name not in hints:
            raise TypeError(f"{owner}: {name} has no annotation")
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            raise TypeError(f"{owner}: {name} takes anything by name, so nothing can be checked")
        try:
            checker = compile_annotation(hints[name])
        except TypeError as error:
            raise TypeError(f"{owner}: {name}: {error}") from None
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            rest = checker
            continue
        checkers[name] = checker
        if parameter.kind in _POSITIONAL:
            names.append(name)
        if parameter.default is inspect.Parameter.empty:
            required.add(name)
    return _Checks(owner, tuple(names), checkers, frozenset(required), rest)
