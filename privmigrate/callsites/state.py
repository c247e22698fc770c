"""One function while it is evaluated: what its names mean, and what has happened so far.

Whether an expression may be evaluated later than it stands is told by counting: every assignment
to a local name gives that name a new version, and everything that may change objects, or has
another effect, moves one of two counters.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from privmigrate.callsites.frame import Frame
from privmigrate.callsites.values import (
    Each,
    Either,
    Growing,
    Guard,
    Lost,
    Maybe,
    OneOf,
    Segment,
    Segments,
    Seq,
    Stamp,
    Str,
    Value,
)

MAX_OPTIONS: Final = 48
NEVER: Final = -1  # the version of a name that may be another one at any moment

# Calls that only read their arguments, and give the same result for the same arguments.
PURE: Final = frozenset({
    "str", "int", "len", "float", "bool", "list", "tuple", "dict", "set", "sorted", "repr", "min",
    "max", "sum", "abs", "round", "zip", "enumerate", "range", "isinstance", "reversed", "any",
    "all", "frozenset", "hasattr", "getattr", "ord", "chr", "hex", "oct", "bytes", "type", "map",
    "os.path.join", "os.path.basename", "os.path.dirname", "os.path.abspath", "os.path.normpath",
    "os.path.splitext", "os.path.split", "shlex.quote", "shlex.split", "_", "_LE", "_LI", "_LW",
})  # fmt: skip
PURE_METHODS: Final = frozenset({
    "format", "join", "split", "rsplit", "splitlines", "strip", "rstrip", "lstrip", "replace",
    "lower", "upper", "startswith", "endswith", "encode", "decode", "get", "items", "keys",
    "values", "partition", "rpartition", "copy", "count", "index", "find", "title", "zfill",
})  # fmt: skip
LOGGERS: Final = frozenset({"LOG", "log", "logger", "LOGGER", "_LOG", "logging"})


@dataclass(slots=True)
class State:
    """What is known at one point of a function.

    Attributes:
        outer: values of the functions around it, for names that are assigned once there.
    """

    names: dict[str, Value] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    heap: int = 1
    effects: int = 1
    ended: bool = False
    outer: Mapping[str, Value] = field(default_factory=dict)

    def copy(self) -> "State":
        """The same, to go on from here in another way."""
        names, versions = dict(self.names), dict(self.versions)
        return State(names, versions, self.heap, self.effects, self.ended, self.outer)


def reads(node: ast.AST) -> Iterator[ast.AST]:
    """Every node of an expression, without the bodies of lambdas."""
    todo: list[ast.AST] = [node]
    while todo:
        current = todo.pop()
        yield current
        if not isinstance(current, ast.Lambda):
            todo.extend(ast.iter_child_nodes(current))


def is_pure_call(node: ast.Call) -> bool:
    """Whether a call only reads."""
    match node.func:
        case ast.Name(name):
            return name in PURE
        case ast.Attribute(value, attr):
            text = ast.unparse(node.func) if isinstance(value, ast.Attribute | ast.Name) else ""
            return attr in PURE_METHODS or text in PURE or text.split(".")[0] in LOGGERS
        case _:
            return False


def has_effect(node: ast.AST) -> bool:
    """Whether evaluating an expression may do more than read."""
    kinds = (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
    return any(
        isinstance(each, kinds) or (isinstance(each, ast.Call) and not is_pure_call(each))
        for each in reads(node)
    )


def reads_heap(node: ast.AST) -> bool:
    """Whether an expression reads what other functions may change; configuration does not."""
    for each in reads(node):
        if isinstance(each, ast.Subscript | ast.Call) and not (
            isinstance(each, ast.Call) and is_pure_call(each)
        ):
            return True
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Load):
            root = ast.unparse(each).split(".")[0].split("(")[0]
            if root not in ("CONF", "os", "cfg", "shlex") and root not in LOGGERS:
                return True
    return False


def stamp(node: ast.AST, state: State, frame: Frame, before: int) -> Stamp:
    """Note what an expression read that was just evaluated."""
    names = {
        each.id
        for each in reads(node)
        if isinstance(each, ast.Name) and (each.id in frame.locals or each.id in state.versions)
    }
    return Stamp(
        frozenset((n, NEVER if n in frame.shared else state.versions.get(n, 0)) for n in names),
        state.heap if reads_heap(node) else 0,
        before,
        state.effects if has_effect(node) else before,
    )


def join(one: State, other: State, guard: Guard, frame: Frame) -> State:
    """What is known where two ways meet: `one` was taken if the guard holds."""
    if one.ended or other.ended:
        return one if other.ended else other
    found = State(outer=one.outer)
    for name in {**one.names, **other.names}:
        first, second = one.names.get(name), other.names.get(name)
        if first is None or second is None:
            continue  # unbound on one way: reading it later gives an unknown value
        found.names[name] = first if first == second else merge(first, second, guard)
    for name in {**one.versions, **other.versions}:
        number = one.versions.get(name, 0)
        found.versions[name] = number if number == other.versions.get(name, 0) else frame.tick()
    found.heap = one.heap if one.heap == other.heap else frame.tick()
    found.effects = one.effects if one.effects == other.effects else frame.tick()
    return found


def merge(one: Value, other: Value, guard: Guard) -> Value:
    """One value for two: lists are merged where they differ."""
    if isinstance(one, Seq) and isinstance(other, Seq):
        return Seq(merge_segments(one.segments, other.segments, guard))
    if isinstance(one, Str) and isinstance(other, Str) and one.parts == other.parts:
        return Str(one.parts)
    if _size(one) + _size(other) > MAX_OPTIONS:
        return Seq((Lost(),))
    return OneOf(((guard, one), (guard.opposite(), other)))


def _size(value: Value) -> int:
    if not isinstance(value, OneOf):
        return 1
    return sum(_size(option) for _, option in value.options)


def merge_segments(one: Segments, other: Segments, guard: Guard) -> Segments:
    """Rows that begin and end alike, and differ in between."""
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    end = 0
    while (
        end < min(len(one), len(other)) - start
        and one[len(one) - 1 - end] == other[len(other) - 1 - end]
    ):
        end += 1
    first, second = one[start : len(one) - end], other[start : len(other) - end]
    middle: Segments
    if first and second:
        middle = (Either(((guard, first), (guard.opposite(), second))),)
    elif first:
        middle = (Maybe(guard, first),)
    elif second:
        middle = (Maybe(guard.opposite(), second),)
    else:
        middle = ()
    return (*one[:start], *middle, *one[len(one) - end :])


def settle(segments: Segments, grown: dict[tuple[ast.AST, str], Each]) -> Segments:
    """Replace what loops put there by what they turned out to put there in a round.

    How many rounds there have been is not known inside of the loop, so these have no source.
    """
    return tuple(each for segment in segments for each in _settled(segment, grown))


def _settled(segment: Segment, grown: dict[tuple[ast.AST, str], Each]) -> Segments:
    match segment:
        case Growing(loop, name):
            each = grown.get((loop, name))
            if each is None:
                return ()
            others = {key: value for key, value in grown.items() if key != (loop, name)}
            return (replace(each, source=None, segments=settle(each.segments, others)),)
        case Maybe(guard, inner):
            return (Maybe(guard, settle(inner, grown)),)
        case Either(branches):
            return (Either(tuple((guard, settle(row, grown)) for guard, row in branches)),)
        case Each(segments=inner):
            return (replace(segment, segments=settle(inner, grown)),)
        case _:
            return (segment,)
