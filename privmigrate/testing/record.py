"""Commands are written down instead of being executed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from privmigrate.privsep.execute import PLANNING, ExecResult, Planned

Answer = Callable[[Planned], ExecResult]


def succeed(_planned: Planned) -> ExecResult:
    """Every command exits with 0 and says nothing."""
    return ExecResult(0, b"", b"")


@contextmanager
def recording(answer: Answer = succeed) -> Iterator[list[Planned]]:
    """Inside, commands and natives of all threads of this process are recorded, none executed.

    `answer` gives each command's result. Calls that go to a daemon are executed there: use `.local`
    of an entrypoint, or a context that is not in client mode. Recordings do not nest.
    """
    if PLANNING.everywhere is not None:
        raise RuntimeError("commands of this process are already being recorded")
    planned: list[Planned] = []

    def note(each: Planned) -> ExecResult:
        planned.append(each)
        return answer(each)

    PLANNING.everywhere = note
    try:
        yield planned
    finally:
        PLANNING.everywhere = None
