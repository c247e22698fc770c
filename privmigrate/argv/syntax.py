"""A regular expression as a tree of ours, with what `re` alone can execute left out.

The reading is `re`'s own (its parser), so no construct is understood differently here. What comes
out has no captures, no flags and no laziness: only what decides which texts are matched. The tree
can be printed again (`unparse`), which is how single characters are tested and how a pattern that
was proven harmless is compiled.
"""

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Final, cast

LAST_CHARACTER: Final = 0x10FFFF
_CHARACTER_FLAGS: Final = re.IGNORECASE | re.ASCII
_DIGITS: Final = (ord("0"), ord("9"))
_NEWLINE: Final = (ord("\n"), ord("\n"))


class Unsupported(Exception):  # noqa: N818 - an outcome of reading
    """The pattern is broken, or has a construct that is no regular language; it says which."""


@dataclass(frozen=True, slots=True)
class Char:
    r"""One character out of ranges and categories (``\d``, ``\S`` ...), or none of them.

    `flags` holds what changes its meaning: `re.IGNORECASE` and `re.ASCII`.
    """

    ranges: tuple[tuple[int, int], ...]
    categories: tuple[str, ...] = ()
    negated: bool = False
    flags: int = 0

    @property
    def literal(self) -> str | None:
        """The one character that it stands for, if it is one."""
        if self.negated or self.categories or len(self.ranges) != 1:
            return None
        low, high = self.ranges[0]
        character = chr(low)
        if low != high or (self.flags & re.IGNORECASE and character.upper() != character.lower()):
            return None
        return character


ANY: Final = Char((_NEWLINE,), negated=True)
ANYTHING: Final = Char(((0, LAST_CHARACTER),))


@dataclass(frozen=True, slots=True)
class Seq:
    """One after the other."""

    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """One of the branches."""

    branches: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """At least `low` and at most `high` times (None: no bound)."""

    item: "Node"
    low: int
    high: int | None


class Where(Enum):
    """A condition on the place, as it is written."""

    BEGINNING = "^"
    END = "$"
    TEXT_BEGINNING = r"\A"
    TEXT_END = r"\Z"
    BOUNDARY = r"\b"
    NO_BOUNDARY = r"\B"


@dataclass(frozen=True, slots=True)
class At:
    """A condition on the place; `flags` holds `re.MULTILINE` and `re.ASCII` where they matter."""

    where: Where
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """A condition on what follows (or, with `behind`, on what stands before)."""

    item: "Node"
    negative: bool
    behind: bool = False


Node = Char | Seq | Alt | Repeat | At | Look
EMPTY: Final = Seq(())

_WHERE: Final = {
    sre.AT_BEGINNING: Where.BEGINNING,
    sre.AT_END: Where.END,
    sre.AT_BEGINNING_STRING: Where.TEXT_BEGINNING,
    sre.AT_END_STRING: Where.TEXT_END,
    sre.AT_BOUNDARY: Where.BOUNDARY,
    sre.AT_NON_BOUNDARY: Where.NO_BOUNDARY,
}
_CATEGORIES: Final = {
    sre.CATEGORY_DIGIT: r"\d",
    sre.CATEGORY_NOT_DIGIT: r"\D",
    sre.CATEGORY_SPACE: r"\s",
    sre.CATEGORY_NOT_SPACE: r"\S",
    sre.CATEGORY_WORD: r"\w",
    sre.CATEGORY_NOT_WORD: r"\W",
}
# What makes a language that no automaton of ours accepts, in words for the person who wrote it.
_IRREGULAR: Final = {
    "GROUPREF": "a reference back to a group",
    "GROUPREF_EXISTS": "a condition on a group",
    "ATOMIC_GROUP": "an atomic group",
    "POSSESSIVE_REPEAT": "a possessive quantifier",
}

# What re._parser returns: pairs of an opcode and its argument, whose shape depends on the opcode.
_Parsed = Iterable[tuple[object, object]]


def parse(pattern: str) -> Node:
    """Read a pattern as oslo.rootwrap does, with ``$`` put behind it, and match it as a whole.

    Reading the two together keeps the cases where the ``$`` is not an anchor: after a backslash,
    or in the comment at the end of a verbose pattern. Raise `Unsupported`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # re's advice on style ("possible nested set")
            parsed = _parser.parse(pattern + "$")
            flags: int = parsed.state.flags
    except re.error as error:
        raise Unsupported(f"it is no valid regular expression: {error}") from None
    except (OverflowError, RecursionError, ValueError):
        raise Unsupported("it is no valid regular expression: a number or the nesting") from None
    try:
        return _without_outer_anchors(_sequence(cast("_Parsed", parsed), flags, asserted=True))
    except RecursionError:
        raise Unsupported("it is nested too deeply") from None


def sequence(items: Iterable[Node]) -> Node:
    """One after the other, without needless nesting."""
    flat: list[Node] = []
    for item in items:
        if isinstance(item, Seq):
            flat.extend(item.items)
        else:
            flat.append(item)
    return flat[0] if len(flat) == 1 else Seq(tuple(flat))


def _sequence(parsed: _Parsed, flags: int, *, asserted: bool) -> Node:
    return sequence(
        _node(opcode, argument, flags, asserted=asserted) for opcode, argument in parsed
    )


def _node(opcode: object, argument: object, flags: int, *, asserted: bool) -> Node:
    r"""Convert one item; `asserted` is False inside a negative assertion.

    There, narrowing ``\d`` to ASCII digits would make the whole wider.
    """
    if opcode is sre.LITERAL or opcode is sre.NOT_LITERAL:
        code = cast("int", argument)
        kept = flags & _CHARACTER_FLAGS if flags & re.IGNORECASE else 0
        return Char(((code, code),), negated=opcode is sre.NOT_LITERAL, flags=kept)
    if opcode is sre.ANY:
        return ANYTHING if flags & re.DOTALL else ANY
    if opcode is sre.IN:
        return _class(cast("_Parsed", argument), flags, asserted=asserted)
    if opcode is sre.BRANCH:
        _, branches = cast("tuple[None, list[_Parsed]]", argument)
        return Alt(tuple(_sequence(branch, flags, asserted=asserted) for branch in branches))
    if opcode is sre.SUBPATTERN:
        _, added, removed, inner = cast("tuple[object, int, int, _Parsed]", argument)
        return _sequence(inner, (flags | added) & ~removed, asserted=asserted)
    if opcode is sre.MAX_REPEAT or opcode is sre.MIN_REPEAT:
        low, high, inner = cast("tuple[int, int, _Parsed]", argument)
        item = _sequence(inner, flags, asserted=asserted)
        return Repeat(item, int(low), None if high is sre.MAXREPEAT else int(high))
    if opcode is sre.AT:
        return At(_WHERE[argument], flags & (re.MULTILINE | re.ASCII))
    if opcode is sre.ASSERT or opcode is sre.ASSERT_NOT:
        direction, inner = cast("tuple[int, _Parsed]", argument)
        negative = opcode is sre.ASSERT_NOT
        return _look(inner, flags, negative=negative, behind=direction < 0, asserted=asserted)
    if opcode is sre.FAILURE:
        return Alt(())
    raise Unsupported(f"it has {_IRREGULAR.get(str(opcode), 'a construct that is not known here')}")


def _look(parsed: _Parsed, flags: int, *, negative: bool, behind: bool, asserted: bool) -> Node:
    item = _sequence(parsed, flags, asserted=asserted and not negative)
    return Alt(()) if item == EMPTY and negative else Look(item, negative, behind)


def _class(parsed: _Parsed, flags: int, *, asserted: bool) -> Char:
    ranges: list[tuple[int, int]] = []
    categories: list[str] = []
    items = list(parsed)
    negated = bool(items) and items[0][0] is sre.NEGATE
    for opcode, argument in items[negated:]:
        if opcode is sre.LITERAL:
            code = cast("int", argument)
            ranges.append((code, code))
        elif opcode is sre.RANGE:
            ranges.append(cast("tuple[int, int]", argument))
        elif argument is sre.CATEGORY_DIGIT and asserted and not negated:
            ranges.append(_DIGITS)
        else:
            categories.append(_CATEGORIES[argument])
    kept = flags & _CHARACTER_FLAGS if categories or flags & re.IGNORECASE else 0
    return Char(tuple(ranges), tuple(categories), negated, kept)


def _without_outer_anchors(node: Node) -> Node:
    """Leave out anchors at the ends: the whole text is matched, so they hold there anyway."""
    return _strip_end(_strip_beginning(node))


def _strip_beginning(node: Node) -> Node:
    match node:
        case Seq(items) if items:
            first = _strip_beginning(items[0])
            if first == EMPTY:
                return _strip_beginning(sequence(items[1:]))
            return sequence((first, *items[1:]))
        case Alt(branches):
            return Alt(tuple(_strip_beginning(branch) for branch in branches))
        case At(Where.BEGINNING | Where.TEXT_BEGINNING):
            return EMPTY
        case _:
            return node


def _strip_end(node: Node) -> Node:
    match node:
        case Seq(items) if items:
            last = _strip_end(items[-1])
            if last == EMPTY:
                return _strip_end(sequence(items[:-1]))
            return sequence((*items[:-1], last))
        case Alt(branches):
            return Alt(tuple(_strip_end(branch) for branch in branches))
        case At(Where.END | Where.TEXT_END):
            return EMPTY
        case _:
            return node


def unparse(node: Node) -> str:
    """Print a tree as a pattern that means the same without any flag."""
    match node:
        case Char():
            return _unparse_character(node)
        case Seq(items):
            return "".join(map(unparse, items))
        case Alt(branches):
            return f"(?:{'|'.join(map(unparse, branches))})" if branches else "(?!)"
        case Repeat(item, low, high):
            bounds = f"{{{low},{'' if high is None else high}}}"
            short = {"{0,}": "*", "{1,}": "+", "{0,1}": "?", f"{{{low},{low}}}": f"{{{low}}}"}
            return f"(?:{unparse(item)}){short.get(bounds, bounds)}"
        case At(where, flags):
            return _with_flags(where.value, flags)
        case Look(item, negative, behind):
            return f"(?{'<' if behind else ''}{'!' if negative else '='}{unparse(item)})"


def _unparse_character(node: Char) -> str:
    if node == ANY:
        return "."
    if node.literal is not None:
        return re.escape(node.literal)
    parts = [
        _code(low) if low == high else f"{_code(low)}-{_code(high)}" for low, high in node.ranges
    ]
    text = f"[{'^' if node.negated else ''}{''.join(parts)}{''.join(node.categories)}]"
    return _with_flags(text, node.flags)


def _code(code: int) -> str:
    character = chr(code)
    return character if character.isascii() and character.isalnum() else f"\\U{code:08x}"


def _with_flags(text: str, flags: int) -> str:
    letters = "".join(
        letter
        for letter, flag in (("a", re.ASCII), ("i", re.IGNORECASE), ("m", re.MULTILINE))
        if flags & flag
    )
    return f"(?{letters}:{text})" if letters else text
