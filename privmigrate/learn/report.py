"""What is said of a command that was learned."""

from collections.abc import Iterator, Sequence

from privmigrate.diagnostics import printable
from privmigrate.learn.experiment import Learned, Proposal


def is_learned(learned: Learned) -> bool:
    """Whether it was verified, as far as it can work; or observed, where no more was asked for."""
    if learned.root.status == "observed":
        return True
    service = learned.service
    return learned.root.status == "verified" and (
        service is not None and service.status in {"verified", "cannot work"}
    )


def describe(learned: Learned, words: tuple[str, ...], user: str) -> Iterator[str]:
    """The lines for a person."""
    yield f"{line(learned.argv)}: {_needs(learned)}"
    yield f"  in a daemon of uid 0        {_short(learned.root)}"
    if learned.service is not None:
        yield f"  in a daemon of {user:<12} {_short(learned.service)}"
    how = f"Linux {learned.kernel}, {learned.source}"
    if learned.compared:
        how += f"; compared: {', '.join(learned.compared)}"
    yield f"evidence: {how}"
    if learned.root.candidate is not None and learned.compared:
        yield f"  asked for as root: {learned.root.candidate}"
    yield f"  form: {' '.join(words) or 'any arguments'}"
    for remark in remarks_of(learned):
        yield f"  {remark}"


def _needs(learned: Learned) -> str:
    if learned.root.status == "observed":
        return f"asked for {learned.root.capabilities}, once; not verified"
    if not is_learned(learned):
        return "not verified"
    service = learned.service
    both = learned.root.capabilities
    return str(both if service is None else both | service.capabilities)


def _short(proposal: Proposal) -> str:
    if proposal.status == "cannot work":
        return f"cannot work ({proposal.runs} runs)"
    return f"{proposal.capabilities} ({proposal.status}, {proposal.runs} runs)"


def line(argv: Sequence[str]) -> str:
    """A command line that may be printed: no control characters of it reach a terminal."""
    text = " ".join(word or "''" for word in argv)
    return printable(text)


def remarks_of(learned: Learned) -> Iterator[str]:
    """All remarks, each with whom it is about."""
    yield from learned.remarks
    for who, proposal in (("uid 0", learned.root), ("another uid", learned.service)):
        for remark in () if proposal is None else proposal.remarks:
            yield f"{who}: {remark}"
