"""Command lines in the forms that convert writes, turned into rows of plain words.

These are parts that may be there, parts that are repeated, and lists that are held against known
command lines. A row with more words stands for those with fewer: whoever asks whether a command
line fits passes words over.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import islice, product
from typing import Final

from privmigrate.audit.annotations import element_of, last_name

MAX_ROWS: Final = 16
# How often a repeated word is written down: no known way needs more of them.
_OFTEN: Final = 3
_LISTED: Final = "CommandLines"
_PARTS: Final = "parts_of"


def command_lines(annotation: ast.expr | None) -> tuple[tuple[ast.expr, ...], ...]:
    """The rows of ``Annotated[Words, CommandLines(line(...), ...)]``, the command's name first.

    A hole stays a call of ``hole``.
    """
    if not isinstance(annotation, ast.Subscript) or not isinstance(annotation.slice, ast.Tuple):
        return ()
    rows: list[tuple[ast.expr, ...]] = []
    for part in annotation.slice.elts:
        if isinstance(part, ast.Call) and last_name(part.func) == _LISTED:
            for line in part.args:
                if isinstance(line, ast.Call):
                    rows.extend(_rows(line.args))
    return tuple(rows)


def _rows(segments: Sequence[ast.expr]) -> Iterator[tuple[ast.expr, ...]]:
    for chosen in islice(product(*map(_choices, segments)), MAX_ROWS):
        yield tuple(word for part in chosen for word in part)


def _choices(segment: ast.expr) -> list[tuple[ast.expr, ...]]:
    """What may stand in the place of one segment."""
    if isinstance(segment, ast.Call):
        match last_name(segment.func):
            case "optional":
                return [*_rows(segment.args[1:]), ()]
            case "repeated":
                return [_several(row) for row in _rows(segment.args[1:])]
            case _:
                pass
    return [(segment,)]


def by_program(
    words: Sequence[ast.expr], lines: dict[str, tuple[tuple[ast.expr, ...], ...]]
) -> Iterator[list[ast.expr]]:
    """The rows of ``{"a": A, "b": B}[str(words[0])], *words[1:]``: each program with its own."""
    match words:
        case [ast.Subscript(value=ast.Dict(keys=keys, values=programs), slice=key), *others]:
            names = {part.id for part in ast.walk(key) if isinstance(part, ast.Name)}
            known = [row for name in names for row in lines.get(name, ())]
            for called, program in zip(keys, programs, strict=True):
                for row in known:
                    if _same(row[0], called):
                        rest = [word for word in others if not _is_spread_of(word, names)]
                        yield [program, *row[1:], *rest]
        case _:
            yield list(words)


def _same(one: ast.expr, other: ast.expr | None) -> bool:
    return (
        isinstance(one, ast.Constant)
        and isinstance(other, ast.Constant)
        and one.value == other.value
    )


def _is_spread_of(word: ast.expr, names: set[str]) -> bool:
    return isinstance(word, ast.Starred) and tail_of(word.value) in names


def parts_of(
    value: ast.expr | None, lines: Mapping[str, tuple[tuple[ast.expr, ...], ...]]
) -> tuple[tuple[ast.expr, ...], ...]:
    """The rows of ``parts_of(words)``, which takes ``env`` and its variables off; or none."""
    match value:
        case ast.Call(func=function, args=[ast.Name(id=name)]) if last_name(function) == _PARTS:
            return tuple(map(_without_variables, lines.get(name, ())))
        case _:
            return ()


def _without_variables(row: tuple[ast.expr, ...]) -> tuple[ast.expr, ...]:
    if not (isinstance(row[0], ast.Constant) and row[0].value == "env"):
        return row
    for place, word in enumerate(row[1:], 1):
        # the first fixed word that sets nothing is the command
        if isinstance(word, ast.Constant) and "=" not in str(word.value):
            return row[place:]
    return row


def tail_of(node: ast.expr) -> str:
    """The name in ``name[1:]``, or in ``name.args`` of a line taken apart; "" for others."""
    match node:
        case ast.Attribute(value=ast.Name(id=name), attr="args"):
            return name
        case ast.Subscript(
            value=ast.Name(id=name), slice=ast.Slice(lower=ast.Constant(value=1), upper=None)
        ):
            return name
        case _:
            return ""


def repeated(
    node: ast.expr, annotations: Mapping[str, ast.expr | None]
) -> tuple[ast.expr, ...] | None:
    """The words of a parameter that is spread, or of ``(word for item in parameter ...)``.

    None where the annotation says nothing of its items.
    """
    words: tuple[ast.expr, ...]
    match node:
        case ast.Name(id=name):
            item, words = name, (node,)
        case ast.GeneratorExp(
            elt=word,
            generators=[ast.comprehension(target=ast.Name(id=item), iter=ast.Name(id=name))],
        ):
            words = (word,)
        case ast.GeneratorExp(
            elt=ast.Name(id=inner),
            generators=[
                ast.comprehension(target=ast.Name(id=item), iter=ast.Name(id=name)),
                ast.comprehension(target=ast.Name(id=outer), iter=ast.Tuple(elts=elements)),
            ],
        ) if inner == outer:
            words = tuple(elements)
        case _:
            return None
    element = element_of(annotations.get(name))
    if element is None:
        return None
    hole = ast.Call(ast.Name("hole"), [ast.Constant(item), element], [])
    return _several(tuple(_Filled(item, hole).visit(deepcopy(word)) for word in words))


def _several(words: tuple[ast.expr, ...]) -> tuple[ast.expr, ...]:
    return words * _OFTEN if len(words) == 1 else words


class _Filled(ast.NodeTransformer):
    """Put a hole in the place of a name."""

    def __init__(self, name: str, hole: ast.Call) -> None:
        self._name = name
        self._hole = hole

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace the name."""
        return self._hole if node.id == self._name else node
