"""Functions that run in the daemon: `f(...)` asks it, `f.local(...)` does not."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Generic, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from privmigrate.privsep.command import Command
    from privmigrate.privsep.context import PrivContext
    from privmigrate.privsep.execute import ExecResult, Output
    from privmigrate.privsep.policy import Policy

P = ParamSpec("P")
R = TypeVar("R")

MARK: Final = "privsep_entrypoint"
"""oslo.privsep's name for the attribute that says which context a function belongs to."""


class Entrypoint(Generic[P, R]):
    """A plain function of a context; callers use it as the function that it was.

    Attributes:
        name: what a CALL names, ``module:function``.
        timeout: seconds that a call may take; None is the context's own.
    """

    def __init__(
        self,
        context: "PrivContext",
        function: Callable[P, R],
        timeout: float | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.privsep_entrypoint = context
        self.function = function
        self.name = name_of(function)
        self.timeout = timeout
        self._context = context

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run in the daemon; in the daemon itself, and outside client mode, run here."""
        context = self._context
        if context.client_mode:
            return cast("R", context.call(cast("Entrypoint[..., object]", self), args, kwargs))
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<entrypoint {self.name} of {self._context!r}>"

    def local(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run in this process, with this process's privilege."""
        return self.function(*args, **kwargs)

    def answer(self, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """Run for a client: the daemon calls this and nothing else."""
        return cast("Callable[..., object]", self.function)(*args, **kwargs)

    def finish(self, value: object) -> object:
        """Turn what the daemon returned into what the caller gets."""
        return value


class CommandEntrypoint(Entrypoint[P, "Output"]):
    """A checked command of a context.

    The daemon checks the arguments, executes, and returns what came out; whether that is an error
    is decided here, on the client's side, by a policy that carries no privilege.
    """

    def __init__(
        self,
        context: "PrivContext",
        command: "Command[P]",
        timeout: float | None = None,
    ) -> None:
        super().__init__(context, command, timeout)
        self._command = command

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> "Output":
        """Run in the daemon; raise ProcessExecutionError unless the command exits with 0."""
        if not self._context.client_mode:
            return self._command(*args, **kwargs)
        from privmigrate.privsep.policy import Policy

        return self._apply(Policy(), args, kwargs)

    def policy(self, policy: "Policy") -> Callable[P, "Output"]:
        """The same command for a caller who judges its result by another policy."""

        def judged(*args: P.args, **kwargs: P.kwargs) -> "Output":
            return self._apply(policy, args, kwargs)

        return functools.update_wrapper(judged, self)

    def answer(self, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        """Check the arguments and execute."""
        return cast("Callable[..., object]", self._command.checked)(*args, **kwargs)

    def finish(self, value: object) -> object:
        """Name the three fields again, which travelled as a tuple."""
        from privmigrate.privsep.execute import ExecResult

        return ExecResult(*cast("tuple[int, bytes, bytes]", value))

    def _apply(
        self, policy: "Policy", args: tuple[object, ...], kwargs: dict[str, object]
    ) -> "Output":
        def ask() -> "ExecResult":
            if self._context.client_mode:
                return cast("ExecResult", self._context.call(self, args, kwargs))
            return cast("ExecResult", self.answer(args, kwargs))

        return policy.apply(ask, self.name)


def name_of(function: Callable[..., object]) -> str:
    """What a CALL names: the module and the name within it."""
    return f"{function.__module__}:{function.__qualname__}"
