"""The command lines that an operation may run, with and without what may be left out."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Final

from privmigrate.argv import template as argv
from privmigrate.convert.operation import Each, Hole, Lit, Op, Option, Segment

_MOST: Final = 64

Line = tuple[str | None, ...]


def command_lines(op: Op) -> tuple[Line, ...]:
    """Its words behind the command, None for one that is not fixed; an item of a list once."""
    lines = _of_words(op.words)
    if op.templates:
        lines = chain.from_iterable(_of_template(each.segments[1:]) for each in op.templates)
    found = tuple(dict.fromkeys(islice(lines, _MOST)))
    # with more than that, nothing is known of the words
    return found if len(found) < _MOST else ((None,),)


def _of_words(words: Sequence[Segment]) -> Iterator[Line]:
    if not words:
        yield ()
        return
    first, *rest = words
    for after in _of_words(rest):
        match first:
            case Lit(text):
                yield (text, *after)
            case Hole():
                yield (None, *after)
            case Option(_, inner) | Each(_, inner):
                yield from ((*line, *after) for line in _of_words(inner))
                yield after


def _of_template(segments: Sequence[argv.Segment]) -> Iterator[Line]:
    if not segments:
        yield ()
        return
    first, *rest = segments
    for after in _of_template(rest):
        match first:
            case argv.Lit(text):
                yield (text, *after)
            case argv.Hole():
                yield (None, *after)
            case argv.Opt(_, inner) | argv.Rep(_, inner):
                yield from ((*line, *after) for line in _of_template(inner))
                yield after
