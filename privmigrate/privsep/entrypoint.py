"""Functions that run in the daemon: `f(...)` asks it, `f.local(...)` does not."""

import functools
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Generic, ParamSpec, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from privmigrate.privsep.commands import Command
    from privmigrate.privsep.execute import ExecResult, Output
    from privmigrate.privsep.policy import Policy

P = ParamSpec("P")
R = TypeVar("R")

_SENDABLE: Final = (str, int, float, bytes, bytearray, memoryview, tuple, list, dict)

MARK: Final = "privsep_entrypoint"
"""oslo.privsep's name for the attribute that says which context a function belongs to."""


class Context(Protocol):
    """What an entrypoint needs of its context."""

    client_mode: bool

    def call(
        self,
        entrypoint: "Entrypoint[..., object]",
        args: tuple[object, ...],
        kwargs: dict[str, object],
        within: float | None = None,
        /,
    ) -> object:
        """Have the daemon run an entrypoint."""


class Entrypoint(Generic[P, R]):
    """A plain function of a context; callers use it as the function that it was.

    Attributes:
        name: what a CALL names, ``module:function``.
        timeout: seconds that a call may take; None is the context's own.
        answer: what runs for a client: the daemon calls this and nothing else.
    """

    __name__: str

    def __init__(
        self,
        context: Context,
        function: Callable[P, R],
        timeout: float | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.privsep_entrypoint = context
        self.function = function
        self.name = name_of(function)
        self.timeout = timeout
        self.answer: Callable[..., object] = function
        self._context = context

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run in the daemon; in the daemon itself, and outside client mode, run here."""
        context = self._context
        if context.client_mode:
            return context.call(self, args, kwargs)  # type: ignore[return-value, arg-type]
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<entrypoint {self.name} of {self._context!r}>"

    def local(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run in this process, with this process's privilege."""
        return self.function(*args, **kwargs)

    def finish(self, answered: Callable[[], object]) -> object:
        """Make of an answer, which gives a value or raises, what an awaiting caller gets."""
        return answered()


class CommandEntrypoint(Entrypoint[P, "Output"]):
    """A checked command of a context.

    The daemon checks the arguments, executes, and returns what came out; whether that is an error
    is decided here, on the client's side, by a policy that carries no privilege.
    """

    def __init__(
        self,
        context: Context,
        command: "Command[P]",
        timeout: float | None = None,
    ) -> None:
        super().__init__(context, command, timeout)
        self.answer = command.answer if command.only_under else command.checked
        self._command = command

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> "Output":
        """Run in the daemon; raise ProcessExecutionError unless the command exits with 0."""
        return self._apply(_default_policy(), args, kwargs)

    def local(self, /, *args: P.args, **kwargs: P.kwargs) -> "Output":
        """Run in this process, with this process's privilege."""
        return self._apply(_default_policy(), args, kwargs, run_as_root=False)

    def policy(
        self,
        *,
        check_exit_code: "bool | int | Iterable[int] | None" = True,
        attempts: int = 1,
        delay_on_retry: bool = True,
        log_errors: int | None = None,
        loglevel: int = logging.DEBUG,
        run_as_root: object = True,
        timeout: float | None = None,
        interval: float | None = None,
        backoff_rate: float = 2,
        raise_timeout: object = None,
    ) -> Callable[P, "Output"]:
        """The same command for a caller who judges it otherwise; the words are processutils'.

        Where `run_as_root` is false it runs as `local` does. The last four words are os-brick's.
        """
        from privmigrate.privsep.policy import Policy

        policy = Policy(
            check_exit_code,
            attempts,
            delay_on_retry,
            log_errors,
            loglevel,
            timeout,
            interval,
            backoff_rate,
            raise_timeout,
        )

        def judged(*args: P.args, **kwargs: P.kwargs) -> "Output":
            return self._apply(policy, args, kwargs, run_as_root=run_as_root)

        return functools.update_wrapper(judged, self)

    def neutron(
        self,
        *,
        check_exit_code: object = True,
        extra_ok_codes: "Iterable[int] | None" = None,
        log_fail_as_error: object = True,
        return_stderr: object = False,
        run_as_root: object = True,
        netns: str | None = None,
    ) -> Callable[P, "str | Output"]:
        """The same command for a caller who expects what neutron's `execute` does.

        The words are those of ``neutron.agent.linux.utils.execute``: what comes back is the
        standard output, and a failure is neutron-lib's error. Where `netns` names a network
        namespace, it runs there, and with privilege.
        """
        from privmigrate.privsep.neutron import Policy
        from privmigrate.privsep.types import Netns

        policy = Policy(check_exit_code, extra_ok_codes, log_fail_as_error, return_stderr)

        def judged(*args: P.args, **kwargs: P.kwargs) -> "str | Output":
            named: dict[str, object] = {**kwargs, "under": Netns(netns)} if netns else kwargs
            ask, cmd = self._ask(args, named, run_as_root=run_as_root or netns)
            return policy.apply(ask, cmd, kwargs.get("stdin"))

        return functools.update_wrapper(judged, self)

    def finish(self, answered: Callable[[], object]) -> object:
        """Judge what came back from a call that was awaited."""
        return _default_policy().apply(lambda: _as_result(answered()), self.name)

    def _apply(
        self,
        policy: "Policy",
        args: tuple[object, ...],
        kwargs: dict[str, object],
        *,
        run_as_root: object = True,
    ) -> "Output":
        asked = self._ask(args, kwargs, run_as_root=run_as_root, timeout=policy.timeout)
        return policy.apply(*asked)

    def _ask(
        self,
        args: tuple[object, ...],
        kwargs: dict[str, object],
        *,
        run_as_root: object,
        timeout: float | None = None,
    ) -> "tuple[Callable[[], ExecResult], Callable[[], str]]":
        """How to run it, and what messages call it."""
        words = tuple(map(_as_word, args))
        named = {name: _as_word(value) for name, value in kwargs.items()}

        limited, within = _limited(named, timeout)

        def ask() -> "ExecResult":
            if run_as_root and self._context.client_mode:
                asked = cast("Entrypoint[..., object]", self)
                return _as_result(self._context.call(asked, words, limited, within))
            return cast("Callable[..., ExecResult]", self._command.checked)(*words, **limited)

        describe = cast("Callable[..., Callable[[], str]]", self._command.describe)
        return ask, describe(*words, **named)


def _default_policy() -> "Policy":
    from privmigrate.privsep.policy import Policy

    return Policy()


def _limited(
    named: dict[str, object], timeout: float | None
) -> tuple[dict[str, object], float | None]:
    """With the limit of the command's time; and how long its answer may take then."""
    if not timeout:
        return named, None
    from privmigrate.privsep.commands import TIMEOUT
    from privmigrate.privsep.running import GRACE

    # the daemon has until then to stop the command, to kill it, and to say so
    return {**named, TIMEOUT: timeout}, timeout + 2 * GRACE


def _as_word(value: object) -> object:
    """Text of what could not travel, such as a path or an address: executors take `str` of it."""
    return value if value is None or isinstance(value, _SENDABLE) else str(value)


def _as_result(value: object) -> "ExecResult":
    """Name the three fields again, which travelled as a tuple."""
    from privmigrate.privsep.execute import ExecResult

    return ExecResult(*cast("tuple[int, bytes, bytes]", value))


def name_of(function: Callable[..., object]) -> str:
    """What a CALL names: the module and the name within it."""
    return f"{function.__module__}:{function.__qualname__}"
