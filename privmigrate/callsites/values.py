"""What an expression can be told to be: words with holes, lists of them, references, or unknown.

Values are immutable; a function is evaluated once, with its parameters as holes, and what it gives
is then filled in for each of its callers (`filling`).
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from privmigrate.argv.spec import Any, ArgSpec
from privmigrate.callsites.frame import Frame
from privmigrate.callsites.index import Class, Function
from privmigrate.callsites.site import Origin, Reason, Text

MAX_NESTING: Final = 12
MAX_SEGMENTS: Final = 300
MAX_PIECES: Final = 60
MAX_TEXT: Final = 4096
ANY: Final = Any()


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an expression read, and when.

    Attributes:
        reads: local names with the version that was read.
        heap: the version of everything that is not local; 0 where none of it was read.
        before, after: the count of effects around its evaluation; equal where it has none.
    """

    reads: frozenset[tuple[str, int]] = frozenset()
    heap: int = 0
    before: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True)
class Hole:
    """A value that is only known at run time: an expression, in a function, at a moment.

    Attributes:
        parameter: it is this parameter of the frame's function, as it was passed.
        reason: why what looks like a constant is none.
        outer: the parameter of an enclosing function that it is.
        shown: how it becomes text where not by `str`: ``%d``, ``:03d``, ``!r``.
    """

    node: ast.expr
    frame: Frame
    stamp: Stamp
    names: tuple[str, ...] = ()
    origin: Origin = Origin.EXPRESSION
    spec: ArgSpec = ANY
    parameter: str = ""
    reason: Reason | None = None
    outer: "Hole | None" = None
    shown: str = ""


Piece = Text | Hole


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition: an expression, or its opposite.

    Attributes:
        hole: None where it cannot be written as an expression (an exception, a loop).
        test: what it asks of a parameter, where that is simple: kind, parameter, operand.
        reason: why what it chooses is no constant.
    """

    hole: Hole | None
    negated: bool = False
    test: tuple[str, str, str] | None = None
    reason: Reason | None = None

    def opposite(self) -> "Guard":
        """The guard that holds when this one does not."""
        return replace(self, negated=not self.negated)


PASSED: Final = Guard(None, test=("passed", "", ""))
"""The guard of what is known to be given for a parameter."""
UNKNOWABLE: Final = Guard(None)


@dataclass(frozen=True, slots=True)
class Str:
    """A string of pieces; `whole` is an expression for all of it."""

    parts: tuple[Piece, ...]
    whole: Hole | None = None

    def __post_init__(self) -> None:
        texts = sum(len(part.text) for part in self.parts if isinstance(part, Text))
        if len(self.parts) > MAX_PIECES or texts > MAX_TEXT:
            # a text that doubles in every statement
            object.__setattr__(self, "parts", () if self.whole is None else (self.whole,))

    @property
    def text(self) -> str | None:
        """The string, where it is fixed."""
        if all(isinstance(part, Text) for part in self.parts):
            return "".join(part.text for part in self.parts if isinstance(part, Text))
        return None


@dataclass(frozen=True, slots=True)
class Maybe:
    """Segments of a list that are there if the guard holds."""

    guard: Guard
    segments: "Segments"


@dataclass(frozen=True, slots=True)
class Either:
    """One of several rows of segments."""

    branches: "tuple[tuple[Guard, Segments], ...]"


@dataclass(frozen=True, slots=True)
class Each:
    """Segments for each element of something; without a source, any number of times."""

    source: Hole | None
    element: str
    segments: "Segments"
    node: ast.AST


@dataclass(frozen=True, slots=True)
class Splice:
    """A list that comes from elsewhere, without its first `skip` words, or without one word."""

    hole: Hole
    skip: int = 0
    without: str = ""
    reason: Reason = Reason.FREE_WORDS


@dataclass(frozen=True, slots=True)
class Row:
    """A list or tuple inside of a list: no word, but a loop may take it apart."""

    values: "Segments"
    whole: Hole


@dataclass(frozen=True, slots=True)
class Growing:
    """What a loop that is being evaluated has put there in earlier rounds."""

    loop: ast.AST
    name: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A list that was too long to be followed."""


Segment = Str | Maybe | Either | Each | Splice | Row | Growing | Lost
Segments = tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Seq:
    """A list or tuple of words."""

    segments: Segments
    whole: Hole | None = None

    def __post_init__(self) -> None:
        if size_of(self.segments) > MAX_SEGMENTS:
            object.__setattr__(self, "segments", (Lost(),))


@dataclass(frozen=True, slots=True)
class Plain:
    """A constant that is no string."""

    value: object
    whole: Hole | None = None


@dataclass(frozen=True, slots=True)
class Dict:
    """A dictionary with known keys: `over` wins against `rest`, and `rest` against `under`."""

    over: "tuple[tuple[str, Value], ...]" = ()
    rest: Hole | None = None
    under: "tuple[tuple[str, Value], ...]" = ()
    whole: Hole | None = None

    def get(self, key: str) -> "Value | None":
        """What is known for a key."""
        found = dict(self.over).get(key)
        return found if found is not None or self.rest is not None else dict(self.under).get(key)

    def items(self) -> "dict[str, Value]":
        """Every key that is known."""
        return {**dict(self.under), **dict(self.over)}

    def with_item(self, key: str, value: "Value") -> "Dict":
        """The dictionary after ``d[key] = value``."""
        return replace(self, over=tuple({**dict(self.over), key: value}.items()))

    def under_all(self, lower: "Dict") -> "Dict":
        """The dictionary after ``{**lower, **d}``."""
        under = {**lower.items(), **dict(self.under)}
        return replace(self, under=tuple(under.items()))

    def without(self, key: str) -> "Dict":
        """The dictionary after ``d.pop(key)``."""
        kept = [tuple(item for item in row if item[0] != key) for row in (self.over, self.under)]
        return Dict(kept[0], self.rest, kept[1])


@dataclass(frozen=True, slots=True)
class Ref:
    """A function, class or module; a dotted name for what is outside of the project."""

    target: "Function | Class | str"
    instance: "Instance | None" = None
    whole: Hole | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of a class, and what it was made with where that is known."""

    target: Class | str
    whole: Hole | None = None
    own: bool = False  # it is `self`
    arguments: "Arguments | None" = None


@dataclass(frozen=True, slots=True)
class Opaque:
    """Anything else; `made_by` is the call whose result it is, to be looked into if needed."""

    hole: Hole
    made_by: "tuple[Function, Arguments] | None" = None

    @property
    def whole(self) -> Hole:
        """An expression for it."""
        return self.hole


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several values."""

    options: "tuple[tuple[Guard, Value], ...]"
    whole: Hole | None = None


Value = Str | Seq | Plain | Dict | Ref | Instance | Opaque | OneOf


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of a call: positional ones with whether they are spliced, keywords."""

    positional: tuple[tuple[Value, bool], ...]
    keywords: Dict


def size_of(segments: Segments, depth: int = 0) -> int:
    """How many segments there are, at every level; very many where they are nested deeply."""
    if depth > MAX_NESTING:
        return MAX_SEGMENTS + 1
    size = len(segments)
    for segment in segments:
        if size > MAX_SEGMENTS:
            break
        match segment:
            case Maybe(_, inner) | Each(segments=inner) | Row(inner):
                size += size_of(inner, depth + 1)
            case Either(branches):
                size += sum(size_of(row, depth + 1) for _, row in branches)
            case _:
                pass
    return size


def options_of(value: Value) -> Iterator[tuple[tuple[Guard, ...], Value]]:
    """Every value that it may be, with the guards on the way there."""
    yield from _options(value, (), 0)


def _options(
    value: Value, guards: tuple[Guard, ...], depth: int
) -> Iterator[tuple[tuple[Guard, ...], Value]]:
    if not isinstance(value, OneOf) or depth >= MAX_NESTING:
        yield guards, value
        return
    for guard, option in value.options:
        yield from _options(option, (*guards, guard), depth + 1)


Bindings = Mapping[str, Value]


def joined(parts: list[Piece]) -> tuple[Piece, ...]:
    """Pieces with neighbouring texts made one."""
    found: list[Piece] = []
    for part in parts:
        last = found[-1] if found else None
        if isinstance(part, Text) and isinstance(last, Text):
            found[-1] = Text(last.text + part.text)
        elif not (isinstance(part, Text) and not part.text):
            found.append(part)
    return tuple(found)


def pieces(value: Value) -> tuple[Piece, ...]:
    """The pieces of `str(value)`."""
    match value:
        case Str(parts):
            return parts
        case Plain(int() as number) if not isinstance(number, bool):
            return (Text(str(number)),)
        case Dict():
            return ()
        case _ if value.whole is not None:
            return (value.whole,)
        case _:
            return ()


def spliced(value: Value) -> Segments:
    """The segments of ``*value``."""
    match value:
        case Seq(segments):
            return segments
        case OneOf(options) if all(isinstance(each, Seq) for _, each in options):
            return (Either(tuple((guard, spliced(each)) for guard, each in options)),)
        case Dict():
            return ()
        case _ if value.whole is not None:
            reason = value.whole.reason or Reason.FREE_WORDS
            return (Splice(value.whole, reason=reason),)
        case _:
            return ()


def as_word(value: Value) -> Str:
    """A positional argument as the word that it becomes."""
    match value:
        case Str():
            return value
        case Plain(int() as number, whole) if not isinstance(number, bool):
            return Str((Text(str(number)),), whole)
        case _ if value.whole is not None:
            return Str((value.whole,), value.whole)
        case _:
            return Str(())
