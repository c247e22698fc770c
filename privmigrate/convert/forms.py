"""The command lines that an operation may run, with and without what may be left out."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Final

from privmigrate.argv import template as argv
from privmigrate.argv.spec import ArgSpec, Key
from privmigrate.convert.operation import Each, Hole, Lit, Op, Option, Param, Segment

_MOST: Final = 64

Line = tuple[str | ArgSpec | None, ...]


def command_lines(op: Op) -> tuple[Line, ...] | None:
    """Its words behind the command, a specification for one that is not fixed.

    Parts that are repeated are there twice, once, or not at all. None where there are too many.
    """
    lines = _of_words(op.words, op.params)
    if op.templates:
        lines = chain.from_iterable(_of_template(each.segments[1:]) for each in op.templates)
    found = tuple(dict.fromkeys(islice(lines, _MOST)))
    return found if len(found) < _MOST else None


def _of_words(words: Sequence[Segment], params: Sequence[Param]) -> Iterator[Line]:
    if not words:
        yield ()
        return
    first, *rest = words
    for after in _of_words(rest, params):
        match first:
            case Lit(text):
                yield (text, *after)
            case Hole(number, prefix, suffix):
                spec = params[number].spec
                framed = spec is not None and (prefix or suffix)
                yield (Key(prefix, spec, suffix) if framed and spec else spec, *after)
            case Option(_, inner):
                yield from ((*line, *after) for line in _of_words(inner, params))
                yield after
            case Each(_, inner):
                yield from _repeated(_of_words(inner, params), after)


def _of_template(segments: Sequence[argv.Segment]) -> Iterator[Line]:
    if not segments:
        yield ()
        return
    first, *rest = segments
    for after in _of_template(rest):
        match first:
            case argv.Lit(text):
                yield (text, *after)
            case argv.Hole(_, spec):
                yield (spec, *after)
            case argv.Opt(_, inner):
                yield from ((*line, *after) for line in _of_template(inner))
                yield after
            case argv.Rep(_, inner):
                yield from _repeated(_of_template(inner), after)


def _repeated(lines: Iterator[Line], after: Line) -> Iterator[Line]:
    for line in lines:
        yield (*line, *line, *after)
        yield (*line, *after)
    yield after
