"""Evaluates both forms of a call with given values, each ending in a recorder."""

import inspect
import math
import random
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final
from unittest import mock

from privmigrate.errors import Refused
from privmigrate.privsep.context import PrivContext
from privmigrate.privsep.entrypoint import CommandEntrypoint
from privmigrate.privsep.execute import ExecResult, Planned
from privmigrate.testing.probe import System, Values
from privmigrate.testing.record import recording

_BEGINNING: Final = re.compile(r"does not begin with '?(/[^\s',)]*)")
_SIGNALS: Final = {f"-{each.value}": f"-{each.name.removeprefix('SIG')}" for each in signal.Signals}

_IMPOSSIBLE: Final = (("raised", "TypeError"), ("raised", "AttributeError"))
Form = Callable[..., object]


class NotProven(AssertionError):  # noqa: N818 - what pytest shows
    """The two forms differ, or no values were found with which they could be compared."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One command that was executed: the words without what only stands in front of them."""

    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    stdin: bytes
    root: bool
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What one evaluation came to; `waits` are seconds between attempts."""

    ran: tuple[Ran, ...]
    outcome: tuple[object, ...]
    refused: bool = False
    waits: tuple[float, ...] = ()


class Case:
    """Two forms of one call, and what was learned of the names that they use.

    Attributes:
        asked: every path that was reached, in order.
        learned: paths behind which a constant had to stand.
        options: paths of what says how a result is judged, with the only values to try.
        beginnings: of words, that the entrypoint has asked for.
    """

    def __init__(
        self, before: Form, after: Form, convention: str, exit_codes: tuple[int, ...]
    ) -> None:
        self.before, self.after = before, after
        self.convention = convention
        self.exit_codes = exit_codes
        self.asked: dict[str, None] = {}
        self.learned: set[str] = set()
        self.options: dict[str, Sequence[object]] = {}
        self.beginnings: dict[str, None] = {}

    def evaluate_after(self, chosen: Mapping[str, object], code: int) -> Evaluated:
        """The form with the entrypoint, whose commands exit with this code."""
        values = Values(chosen)
        ran: list[Ran] = []
        answer = ExecResult(code, b"out\n", b"err: No such file\n")
        refusals: list[str] = []
        with (
            _answering(refusals) as (roots, waits),
            recording(lambda planned: _note(planned, ran, roots, answer)),
        ):
            outcome = _outcome(lambda: self.after(**_arguments(self.after, values)))
        self.asked.update(values.asked)
        for text in refusals:
            self.beginnings |= dict.fromkeys(_BEGINNING.findall(text))
        refused = not ran and bool(refusals)
        return Evaluated(tuple(ran), outcome, refused, tuple(waits))

    def evaluate_before(self, chosen: Mapping[str, object], code: int) -> Evaluated:
        """The form with the executor."""
        values = Values(chosen)
        ran: list[Ran] = []
        execute = _EXECUTORS[self.convention](ran, code)
        waits: list[float] = []
        with _waiting(waits):
            outcome = _outcome(
                lambda: self.before(**_arguments(self.before, values), execute=execute)
            )
        self.asked.update(values.asked)
        return Evaluated(tuple(ran), outcome, waits=tuple(waits))

    def compare(self, chosen: Mapping[str, object], code: int) -> None:
        """Raise NotProven if the two differ in anything.

        With values that the form before cannot even be evaluated with, there is nothing to keep.
        """
        old, new = self.evaluate_before(chosen, code), self.evaluate_after(chosen, code)
        if not old.ran and old.outcome in _IMPOSSIBLE:
            return
        if len(old.ran) != len(new.ran) or not all(map(_same, old.ran, new.ran)):
            raise NotProven(f"with {dict(chosen)}: it ran {old.ran} before, and runs {new.ran}")
        if old.waits != new.waits:
            raise NotProven(
                f"with {dict(chosen)}: it waited {old.waits} seconds before, and waits {new.waits}"
            )
        if old.outcome != new.outcome:
            raise NotProven(
                f"with {dict(chosen)} and exit code {code}: it came to {old.outcome} before, and "
                f"comes to {new.outcome}"
            )


def _same(old: Ran, new: Ran) -> bool:
    return replace(old, argv=()) == replace(new, argv=()) and same_argv(old.argv, new.argv)


def same_argv(old: Sequence[str], new: Sequence[str]) -> bool:
    """The same words; where a command's name stood, its path may."""
    if "kill" in {old[0].rpartition("/")[2], new[0].rpartition("/")[2]}:
        return _signal(old) == _signal(new)
    if len(old) != len(new):
        return False
    places = {0, 4} if tuple(old[1:3]) == ("netns", "exec") else {0, *_chained(old)}
    return all(
        one == other or (number in places and "/" not in one and other.rpartition("/")[2] == one)
        for number, (one, other) in enumerate(zip(old, new, strict=True))
    )


def _signal(argv: Sequence[str]) -> tuple[str, ...]:
    """What kill does: by the name of the signal, which is TERM where none is said."""
    *options, pid = argv[1:]
    return (*(_SIGNALS.get(each, each) for each in options or ["-TERM"]), pid)


def _chained(argv: Sequence[str]) -> Iterator[int]:
    """Where the command stands behind ionice or nice with their options."""
    if argv[:1] and argv[0].rpartition("/")[2] in {"ionice", "nice"}:
        yield next((n for n, word in enumerate(argv[1:], 1) if not word.startswith("-")), 0)


def _arguments(form: Form, values: Values) -> dict[str, object]:
    names = [name for name in inspect.signature(form).parameters if name != "execute"]
    known = {"os": System(values), "math": math}
    return {name: known.get(name) or values.at(name) for name in names}


def _outcome(evaluate: Callable[[], object]) -> tuple[object, ...]:
    try:
        value = evaluate()
    except Exception as error:  # noqa: BLE001 - whatever is raised is what is compared
        for name in ("exit_code", "returncode"):
            if hasattr(error, name):
                said = tuple(getattr(error, each, "") for each in ("stdout", "stderr"))
                tail = str(error).partition("Stdout: ")[2] if name == "returncode" else ""
                kind = "RuntimeError" if isinstance(error, RuntimeError) else "Exception"
                return ("raised", kind, said, tail, getattr(error, name))
        return ("raised", type(error).__name__)
    return ("returned", tuple(value) if isinstance(value, tuple) else value)


@contextmanager
def _waiting(waits: list[float]) -> Iterator[None]:
    """Nobody waits; how long one would have is written down, and what is random is the same."""

    def sleep(seconds: float) -> None:
        if seconds > 0:  # 0 only lets another thread run
            waits.append(seconds)

    with (
        mock.patch.object(time, "sleep", sleep),
        mock.patch.object(random, "randint", return_value=100),
    ):
        yield


# -- the form after


@contextmanager
def _answering(refusals: list[str]) -> Iterator[tuple[list[bool], list[float]]]:
    """Contexts answer in this process; which calls would have gone to a daemon is remembered.

    So is how long it was waited between them.
    """
    roots: list[bool] = []
    waits: list[float] = []
    ask = CommandEntrypoint._ask  # noqa: SLF001 - where every way of calling it comes by

    def asking(
        self: CommandEntrypoint[...], *args: object, **options: object
    ) -> tuple[Callable[[], ExecResult], Callable[[], str]]:
        asked, cmd = ask(self, *args, **options)  # type: ignore[arg-type]

        def noting() -> ExecResult:
            try:
                return asked()
            except Refused as refused:
                refusals.append(str(refused))
                raise

        return noting, cmd

    def call(
        _context: PrivContext,
        entrypoint: object,
        args: tuple[object, ...],
        kwargs: dict[str, object],
        _within: float | None = None,
    ) -> object:
        roots.append(True)
        try:
            return entrypoint.answer(*args, **kwargs)  # type: ignore[attr-defined]
        finally:
            roots.pop()

    with (
        mock.patch.object(PrivContext, "call", call),
        mock.patch.object(CommandEntrypoint, "_ask", asking),
        _waiting(waits),
    ):
        yield roots, waits


def _note(planned: Planned, ran: list[Ran], roots: list[bool], answer: ExecResult) -> ExecResult:
    root = bool(roots)
    ran.append(Ran(planned.argv, planned.env, planned.stdin or b"", root, planned.timeout))
    return answer


# -- the form before


def _oslo(ran: list[Ran], code: int) -> Callable[..., object]:
    from oslo_concurrency import processutils

    def execute(*words: object, run_as_root: object = False, **options: object) -> object:
        options.pop("root_helper", None)

        class Process:
            """What subprocess gives back."""

            returncode = code
            stdin = None

            def __init__(self, argv: Sequence[str], **_options: object) -> None:
                self.argv = argv

            def communicate(self, data: bytes | None = None, **_: object) -> tuple[bytes, bytes]:
                ran.append(_ran(self.argv, data, bool(run_as_root)))
                return b"out\n", b"err: No such file\n"

        judge: Callable[..., object] = processutils.execute
        with mock.patch("oslo_concurrency.processutils.subprocess.Popen", Process):
            return judge(*words, **options)

    return execute


def _timed(ran: list[Ran], code: int) -> Callable[..., object]:
    """As os-brick's executor, whose limit and waits processutils does not know."""
    plain = _oslo(ran, code)

    def execute(*words: object, **options: object) -> object:
        limit = options.pop("timeout", None)
        timeout = float(limit) if limit else None  # type: ignore[arg-type]
        options.pop("raise_timeout", None)  # nothing takes any time here
        rate = options.pop("backoff_rate", 2)
        interval = options.pop("interval", None)
        if interval is not None:
            options["delay_on_retry"] = False
        before = len(ran)
        try:
            return plain(*words, **options)
        finally:
            for attempt in range(1, len(ran) - before) if interval is not None else ():
                time.sleep(max(0, interval * rate**attempt))  # type: ignore[operator]
            ran[before:] = [replace(each, timeout=timeout) for each in ran[before:]]

    return execute


def _list(ran: list[Ran], code: int) -> Callable[..., object]:
    """As neutron.agent.linux.utils.execute judges a result."""

    def execute(  # noqa: PLR0917 - neutron's
        words: Sequence[object],
        process_input: str | bytes | None = None,
        addl_env: Mapping[str, object] | None = None,
        check_exit_code: object = True,  # noqa: FBT002
        return_stderr: object = False,  # noqa: FBT002
        log_fail_as_error: object = True,  # noqa: FBT002, ARG001
        extra_ok_codes: Sequence[int] | None = None,
        run_as_root: object = False,  # noqa: FBT002
        privsep_exec: object = False,  # noqa: FBT002, ARG001
    ) -> object:
        data = process_input.encode() if isinstance(process_input, str) else process_input
        front = [f"{name}={value}" for name, value in (addl_env or {}).items()]
        argv = [*(["env", *front] if front else []), *map(str, words)]
        ran.append(_ran(argv, data, bool(run_as_root)))
        if code and code not in (extra_ok_codes or ()) and check_exit_code:
            raise _NeutronError(
                f"Exit code: {code}; Stdout: out\n; Stderr: err: No such file\n", code
            )
        return ("out\n", "err: No such file\n") if return_stderr else "out\n"

    return execute


def _netns(ran: list[Ran], code: int) -> Callable[..., object]:
    """As neutron's ``wrapper.netns.execute``, whose namespace is given first."""
    plain = _list(ran, code)

    def execute(namespace: object, words: Sequence[object], **options: object) -> object:
        front: list[object] = ["ip", "netns", "exec", namespace] if namespace else []
        root = options.pop("run_as_root", False) or bool(namespace)
        return plain([*front, *words], run_as_root=root, **options)

    return execute


class _NeutronError(RuntimeError):
    def __init__(self, message: str, returncode: int) -> None:
        super().__init__(message)
        self.returncode = returncode


def _ran(argv: Sequence[str], data: bytes | None, root: bool) -> Ran:  # noqa: FBT001
    words = list(map(str, argv))
    environment = []
    at = 4 if words[1:3] == ["netns", "exec"] else 0  # behind the namespace's name
    if words[at : at + 1] == ["env"]:
        del words[at]
        while len(words) > at and re.match(r"\w+=", words[at]):
            name, _, value = words.pop(at).partition("=")
            environment.append((name, value))
    return Ran(tuple(words), tuple(sorted(environment)), data or b"", root)


_EXECUTORS: Final[Mapping[str, Callable[[list[Ran], int], Callable[..., object]]]] = {
    "oslo": _oslo,
    "timed": _timed,
    "list": _list,
    "netns": _netns,
}
