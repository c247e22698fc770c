"""Names for entrypoints that were made from calls: the command, and the words that distinguish it.

``chmod_777``, ``ip_link_set_up``; where several entrypoints would be called the same, the function
that calls tells them apart.
"""

import re
from collections.abc import Iterator
from typing import Final

from privmigrate.argv import template as argv
from privmigrate.convert import vocabulary
from privmigrate.convert.operation import Hole, Kill, Lit, Op, program_family
from privmigrate.convert.text import identifier
from privmigrate.convert.words import VALUE_FLAGS

_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
_FLAG: Final = re.compile(r"--?([A-Za-z][A-Za-z0-9-]+)(?:=([A-Za-z0-9_-]+))?\Z")
_KEYED: Final = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=([A-Za-z0-9_.-]*)\Z")
_MOST_WORDS: Final = 4
_LONGEST: Final = 40


def names_of_call(op: Op) -> Iterator[str]:
    """Names for an operation, best first; the last ones are as good as numbers."""
    if isinstance(op.native, Kill):
        if len({program_family(program) for program in op.native.programs}) > 1:
            signals = [signal for param in op.params for signal in _signals(param.spec)]
            yield identifier("_".join(("send", *signals)))
        return
    every = list(dict.fromkeys(_telling(op)))
    # of a lone option, what it is has to be said
    words = [word for word in every if word not in vocabulary.NAMELESS_FLAGS] or every
    command = "_or_".join(each.command for each in op.by_command)
    names = dict.fromkeys(
        identifier("_".join((command, *words[:count])))
        for words, count in (
            (words, min(len(words), _MOST_WORDS)),
            *((every, count) for count in range(1, len(every) + 1)),
        )
    )
    plain = next(iter(names))
    variables = _variables(op)
    if variables:
        # beside the same without them
        yield plain
        yield identifier("_".join((plain, "with", *variables)))
    yield from (name for name in names if len(name) <= _LONGEST)
    functions = [call.function.rpartition(".")[2].strip("_") for call in op.calls]
    for function in filter(None, functions):
        said = identifier(command).strip("_") in function.split("_")
        yield identifier(function if said else f"{command}_{function}")
    for function, call in zip(functions, op.calls, strict=True):
        module = call.module.rpartition(".")[2]
        yield identifier(f"{command}_{module}_{function}")


def _variables(op: Op) -> list[str]:
    if op.environment is None:
        return []
    return [name for each in op.environment.combinations for name in each]


def _signals(spec: object) -> tuple[str, ...]:
    return getattr(spec, "values", ())


def _telling(op: Op) -> list[str]:
    """The fixed words that say what is done, without those that name a value."""
    if op.templates:
        return [] if op.commands else _common(op)
    texts = [word.text if isinstance(word, Lit) else None for word in op.words]
    telling: list[str] = []
    for number, text in enumerate(texts):
        if text is None:
            continue
        after = op.words[number + 1] if number + 1 < len(texts) else None
        plain = vocabulary.takes_no_value(op.command, text)
        plain = plain or (number > 0 and texts[number - 1] in VALUE_FLAGS)
        names_value = isinstance(after, Hole) and not plain
        telling.extend(_words(text, names_value=names_value, first=not number))
    return telling


def _words(text: str, *, names_value: bool, first: bool) -> Iterator[str]:
    flag = _FLAG.match(text)
    if flag:
        if not names_value:
            yield flag[1]
            if flag[2] and flag[1] not in vocabulary.NAMELESS_FLAGS:
                yield flag[2]
    elif keyed := _KEYED.match(text):
        yield from (part for part in (keyed[1].rpartition(".")[2], keyed[2]) if part)
    elif _WORD.match(text):
        verb = first or vocabulary.is_verb(text)
        if not names_value or verb:
            yield text
    elif text.startswith("/") and len(text) > 1:
        yield text.rstrip("/").rpartition("/")[2]


def _common(op: Op) -> list[str]:
    """The fixed words that all command lines of a list begin with."""
    rows = [
        [segment.text if isinstance(segment, argv.Lit) else None for segment in line.segments[1:]]
        for line in op.templates
    ]
    common: list[str] = []
    for column in zip(*rows, strict=False):
        first = column[0]
        if first is None or any(text != first for text in column):
            break
        common.extend(_words(first, names_value=False, first=True))
    return common
