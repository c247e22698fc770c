"""Prove that a rewritten call does what the call before it did.

Both forms are evaluated with the same values for their names, which are found by trying: the
entrypoint has to accept them. The executor ends in a recorder and so does the entrypoint, with
every answer that a command may give. Compared are command line, environment, standard input,
whether it runs as root, how often it is tried, and what comes back or is raised.

`privmigrate rewrite --prove DIR` writes tests that call `prove`. They need oslo.concurrency, whose
`execute` judges the results of the form before.
"""

import inspect
import itertools
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final
from unittest import mock

from privmigrate.privsep.context import PrivContext
from privmigrate.privsep.execute import ExecResult, Planned
from privmigrate.testing.probe import TABLE, System, Values
from privmigrate.testing.record import recording

MAX_TRIED: Final = 3000
EXIT_CODES: Final = (0, 1, 2, 3, 5, 99)
REFUSED: Final = 99

Form = Callable[..., object]


class NotProven(AssertionError):  # noqa: N818 - what pytest shows
    """The two forms differ, or no values were found with which they could be compared."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared.

    Attributes:
        values: how many sets of values the entrypoint accepts were tried.
        compared: how many evaluations were compared.
        constants: what had to stand behind a name, because the entrypoint has it as a constant.
    """

    values: int
    compared: int
    constants: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ran:
    """One command that was executed: the words without what only stands in front of them."""

    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    stdin: bytes
    root: bool


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What one evaluation came to."""

    ran: tuple[Ran, ...]
    outcome: tuple[object, ...]
    refused: bool = False


def prove(
    before: Form,
    after: Form,
    *,
    convention: str = "oslo",
    samples: Mapping[str, Sequence[object]] | None = None,
    exit_codes: Iterable[int] = (),
    constants: Mapping[str, object] | None = None,
) -> Proof:
    """Compare two forms of a call; raise NotProven.

    Each is a function whose parameters are the names that it uses; `before` has one more, named
    ``execute``. `samples` are values to try behind a name, by how it is reached; `constants` are
    known to stand there.
    """
    case = _Case(before, after, convention, tuple(dict.fromkeys((*EXIT_CODES, *exit_codes))))
    chosen = _find(case, samples or {}, dict(constants or {}))
    compared = 0
    sets = 0
    for values in _variations(case, chosen):
        if case.evaluate_after(values, 0).refused:
            continue
        sets += 1
        for code in case.exit_codes:
            compared += 1
            case.compare(values, code)
    known = {path: value for path, value in chosen.items() if path in case.learned}
    return Proof(sets, compared, known)


class _Case:
    def __init__(
        self, before: Form, after: Form, convention: str, exit_codes: tuple[int, ...]
    ) -> None:
        self.before, self.after = before, after
        self.convention = convention
        self.exit_codes = exit_codes
        self.asked: dict[str, None] = {}
        self.learned: set[str] = set()

    def evaluate_after(self, chosen: Mapping[str, object], code: int) -> Evaluated:
        values = Values(chosen)
        ran: list[Ran] = []
        answer = ExecResult(code, b"out\n", b"err: No such file\n")
        with (
            _answering() as roots,
            recording(lambda planned: _note(planned, ran, roots, answer)),
        ):
            outcome = _outcome(lambda: self.after(**_arguments(self.after, values)))
        self.asked.update(values.asked)
        refused = not ran and outcome[:1] == ("raised",) and outcome[-1] == REFUSED
        return Evaluated(tuple(ran), outcome, refused)

    def evaluate_before(self, chosen: Mapping[str, object], code: int) -> Evaluated:
        values = Values(chosen)
        ran: list[Ran] = []
        execute = _EXECUTORS[self.convention](ran, code)
        with mock.patch.object(time, "sleep"):
            outcome = _outcome(
                lambda: self.before(**_arguments(self.before, values), execute=execute)
            )
        self.asked.update(values.asked)
        return Evaluated(tuple(ran), outcome)

    def compare(self, chosen: Mapping[str, object], code: int) -> None:
        old, new = self.evaluate_before(chosen, code), self.evaluate_after(chosen, code)
        if len(old.ran) != len(new.ran) or not all(map(_same, old.ran, new.ran)):
            raise NotProven(f"with {dict(chosen)}: it ran {old.ran} before, and runs {new.ran}")
        if old.outcome != new.outcome:
            raise NotProven(
                f"with {dict(chosen)} and exit code {code}: it came to {old.outcome} before, and "
                f"comes to {new.outcome}"
            )


def _same(old: Ran, new: Ran) -> bool:
    return replace(old, argv=()) == replace(new, argv=()) and _same_argv(old.argv, new.argv)


def _same_argv(old: Sequence[str], new: Sequence[str]) -> bool:
    """The same words; where a command's name stood, its path may."""
    if len(old) != len(new):
        return False
    places = {0, 4} if tuple(old[1:3]) == ("netns", "exec") else {0, *_chained(old)}
    return all(
        one == other or (number in places and "/" not in one and other.rpartition("/")[2] == one)
        for number, (one, other) in enumerate(zip(old, new, strict=True))
    )


def _chained(argv: Sequence[str]) -> Iterator[int]:
    """Where the command stands behind ionice or nice with their options."""
    if argv[:1] and argv[0].rpartition("/")[2] in {"ionice", "nice"}:
        yield next((n for n, word in enumerate(argv[1:], 1) if not word.startswith("-")), 0)


def _arguments(form: Form, values: Values) -> dict[str, object]:
    names = [name for name in inspect.signature(form).parameters if name != "execute"]
    return {name: System(values) if name == "os" else values.at(name) for name in names}


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


# -- the form after


@contextmanager
def _answering() -> Iterator[list[bool]]:
    """Contexts answer in this process; which calls would have gone to a daemon is remembered."""
    roots: list[bool] = []

    def call(
        _context: PrivContext,
        entrypoint: object,
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> object:
        roots.append(True)
        try:
            return entrypoint.answer(*args, **kwargs)  # type: ignore[attr-defined]
        finally:
            roots.pop()

    with mock.patch.object(PrivContext, "call", call), mock.patch.object(time, "sleep"):
        yield roots


def _note(planned: Planned, ran: list[Ran], roots: list[bool], answer: ExecResult) -> ExecResult:
    ran.append(Ran(planned.argv, planned.env, planned.stdin or b"", bool(roots)))
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
    "list": _list,
}


# -- values


def _find(
    case: _Case, samples: Mapping[str, Sequence[object]], constants: dict[str, object]
) -> dict[str, object]:
    """Values that the entrypoint accepts, and with which the command lines are the same."""
    case.evaluate_after(constants, 0)
    case.evaluate_before(constants, 0)
    last = "nothing was tried"
    for tried, chosen in enumerate(_choices(case, samples, constants)):
        if tried > MAX_TRIED:
            break
        new = case.evaluate_after(chosen, 0)
        if new.refused or not new.ran:
            last = f"the entrypoint refuses {chosen}: {new.outcome}"
            continue
        found = _with_constants(case, chosen, new)
        if isinstance(found, dict):
            return found
        last = found
    raise NotProven(f"no values were found: {last}")


def _with_constants(
    case: _Case, chosen: dict[str, object], new: Evaluated
) -> dict[str, object] | str:
    """Put constants behind names until the command lines are the same; else say how they differ."""
    for _ in range(8):
        old = case.evaluate_before(chosen, 0)
        if len(old.ran) == 1 and _same_argv(old.ran[0].argv, new.ran[0].argv):
            return chosen
        found = _constant_behind(chosen, old, new)
        if found is None:
            break
        case.learned.add(found[0])
        chosen = chosen | dict([found])
        new = case.evaluate_after(chosen, 0)
        if not new.ran:
            break
    return f"with {chosen} it ran {old.ran or old.outcome} before, and runs {new.ran}"


def _constant_behind(
    chosen: Mapping[str, object], old: Evaluated, new: Evaluated
) -> tuple[str, object] | None:
    """A name whose value the form before has in a word, where the entrypoint has a constant."""
    if len(old.ran) != 1 or len(old.ran[0].argv) != len(new.ran[0].argv):
        return None
    for one, other in zip(old.ran[0].argv, new.ran[0].argv, strict=True):
        for path, value in chosen.items():
            if isinstance(value, str) and value and one != other and value in one:
                before, _, after = one.partition(value)
                text = other[len(before) : len(other) - len(after) or None]
                others = [str(each) for each in chosen.values() if each]
                if f"{before}{text}{after}" == other and not any(x in text for x in others):
                    return path, text
    return None


def _flavours(number: int) -> tuple[object, ...]:
    """Values of many kinds, different for each name."""
    return (
        f"word{number}",
        f"/srv/word{number}",
        f"{number + 11}",
        number + 11,
        (f"item{number}", f"more{number}"),
        (f"/srv/item{number}", f"/srv/more{number}"),
        f"192.0.2.{number + 1}",
        f"one{number}:two{number}",
        f"one{number} two{number},three{number}",
        TABLE,
        "",
        None,
        True,
        False,
    )


def _choices(
    case: _Case, samples: Mapping[str, Sequence[object]], constants: dict[str, object]
) -> Iterator[dict[str, object]]:
    paths = _leaves(case, constants)
    rows = [(*samples.get(path, ()), *_flavours(number)) for number, path in enumerate(paths)]
    for kinds in itertools.zip_longest(*rows):
        yield constants | dict(zip(paths, kinds, strict=True))
    # those that differ in few kinds from the first before those that differ in many
    for width in range(2, 12):
        for kinds in itertools.product(*(row[:width] for row in rows)):
            yield constants | dict(zip(paths, kinds, strict=True))
            paths_now = _leaves(case, constants)
            if len(paths_now) > len(paths):
                break
        paths = _leaves(case, constants)
        rows = [(*samples.get(path, ()), *_flavours(number)) for number, path in enumerate(paths)]


def _leaves(case: _Case, constants: Mapping[str, object]) -> list[str]:
    """Paths through which nothing else was reached: their text is what is used."""
    return [
        path
        for path in case.asked
        if path not in constants
        and not any(
            other != path and other.startswith((f"{path}.", f"{path}[", f"{path}("))
            for other in case.asked
        )
    ]


def _variations(case: _Case, chosen: dict[str, object]) -> Iterator[dict[str, object]]:
    """The values found, and each of them replaced by some that conditions take otherwise."""
    yield chosen
    for path in _leaves(case, {}):
        if path in case.learned:
            continue
        for value in ("", None, True, False, 0, 2.5):
            yield {**chosen, path: value}
