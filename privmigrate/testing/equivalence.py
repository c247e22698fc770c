"""Prove that a rewritten call does what the call before it did.

Both forms are evaluated with the same values for their names, which are found by trying: the
entrypoint has to accept them. The executor ends in a recorder and so does the entrypoint, with
every answer that a command may give. Compared are command line, environment, standard input,
whether it runs as root, how often it is tried, and what comes back or is raised.

`privmigrate rewrite --prove DIR` writes tests that call `prove`. They need oslo.concurrency, whose
`execute` judges the results of the form before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from privmigrate.testing.evaluate import Case, Form, NotProven
from privmigrate.testing.search import find, variations

__all__ = ["NotProven", "Proof", "prove"]

EXIT_CODES: Final = (0, 1, 2, 3, 5, 99)


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


def prove(
    before: Form,
    after: Form,
    *,
    convention: str = "oslo",
    samples: Mapping[str, Sequence[object]] | None = None,
    options: Mapping[str, Sequence[object]] | None = None,
    exit_codes: Iterable[int] = (),
    constants: Mapping[str, object] | None = None,
) -> Proof:
    """Compare two forms of a call; raise NotProven.

    Each is a function whose parameters are the names that it uses; `before` has one more, named
    ``execute``. `samples` are values to try behind a name, by how it is reached; of `options`,
    which say how a result is judged, only these are tried; `constants` are known to stand there.
    """
    case = Case(before, after, convention, tuple(dict.fromkeys((*EXIT_CODES, *exit_codes))))
    case.options.update(options or {})
    case.learned.update(constants or {})
    chosen = find(case, samples or {}, dict(constants or {}))
    compared = 0
    sets = 0
    for values in variations(case, chosen):
        if case.evaluate_after(values, 0).refused:
            continue
        sets += 1
        for code in case.exit_codes:
            compared += 1
            case.compare(values, code)
    known = {path: value for path, value in chosen.items() if path in case.learned}
    return Proof(sets, compared, known)
