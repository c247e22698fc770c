"""Loops: their bodies are gone through once, and lists that only grow in them are repetitions."""

import ast
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from privmigrate.callsites.constants import is_constant
from privmigrate.callsites.cutting import element_of
from privmigrate.callsites.frame import Frame
from privmigrate.callsites.index import assigned
from privmigrate.callsites.resolve import Evaluator
from privmigrate.callsites.site import Origin
from privmigrate.callsites.state import State, has_effect
from privmigrate.callsites.values import (
    UNKNOWABLE,
    Each,
    Either,
    Growing,
    Hole,
    Maybe,
    OneOf,
    Opaque,
    Row,
    Segments,
    Seq,
    Splice,
    Str,
    Value,
    options_of,
    spliced,
)

if TYPE_CHECKING:
    from privmigrate.callsites.analysis import Analysis

GROWERS: Final = frozenset({"append", "extend"})
MUTATORS: Final = frozenset({
    *GROWERS, "insert", "remove", "pop", "popitem", "update", "setdefault", "clear", "sort",
    "reverse", "add", "discard",
})  # fmt: skip


class Loops(ABC):
    """The half of going through a function that is about what happens again."""

    analysis: "Analysis"
    frame: Frame
    evaluator: Evaluator

    @property
    def state(self) -> State:
        """What is known at this point."""
        return self.evaluator.state

    @state.setter
    def state(self, state: State) -> None:
        self.evaluator.state = state

    @abstractmethod
    def block(self, body: Sequence[ast.stmt]) -> None:
        """Go through statements."""

    def unsettle(self, body: Sequence[ast.stmt], state: State) -> None:
        """Any part of a block may have happened, any number of times."""
        names, changed = touched(body)
        for name in sorted(names & self.frame.locals):
            state.names.pop(name, None)
            state.versions[name] = self.frame.tick()
        if changed:
            state.heap = state.effects = self.frame.tick()

    def anywhere(self, body: Sequence[ast.stmt], before: State, after: State) -> State:
        """What is known where a block was left at any of its statements.

        Of a list that the block appends to, some first part of that is there.
        """
        found = before.copy()
        self.unsettle(body, found)
        for name in sorted(_grown(body)):
            held, value = before.names.get(name), after.names.get(name)
            if not isinstance(held, Seq) or not isinstance(value, Seq):
                continue
            size = len(held.segments)
            if value.segments[:size] != held.segments:
                continue
            part: Segments = ()
            for segment in reversed(value.segments[size:]):
                part = (Maybe(UNKNOWABLE, (segment, *part)),)
            found.names[name] = Seq((*held.segments, *part))
        return found

    def loop(
        self,
        node: ast.For | ast.AsyncFor | ast.While,
        hole: Hole | None,
        element: str,
        source: Value | None,
    ) -> None:
        """Go through the body once, and tell what is known in it and after it."""
        before = self.state.copy()
        growing = self._enter(node)
        inside = self.state
        if isinstance(node, ast.For | ast.AsyncFor):
            self._bind_element(node.target, source)
        self.block(node.body)
        after = self.state if not self.state.ended else inside.copy()
        after.ended = False
        for name in growing:
            self._grow(node, name, before, after, Each(hole, element, (), node))
        left = before.copy()
        self.unsettle([node], left)
        for name in growing:
            if name in after.names:
                left.names[name] = after.names[name]
        self.state = left

    def _enter(self, node: ast.For | ast.AsyncFor | ast.While) -> list[str]:
        """Forget what a round of the loop may change; lists that only grow are watched."""
        growing = []
        names, _ = touched([node])
        grown = _grown(node.body)
        held = {name: self.state.names.get(name) for name in grown}
        again = self._constants_in(node)
        self.unsettle([node], self.state)
        self.state.names.update(again)
        for name in sorted(names & self.frame.locals):
            value = held.get(name)
            if isinstance(value, OneOf) and all(isinstance(v, Seq) for _, v in options_of(value)):
                value = Seq(spliced(value))
            if isinstance(value, Seq):
                self.state.names[name] = Seq((*value.segments, Growing(node, name)))
                growing.append(name)
        return growing

    def _constants_in(self, node: ast.For | ast.AsyncFor | ast.While) -> dict[str, Value]:
        """Names that are constants before the loop, and are only given others in it."""
        given: dict[str, list[ast.expr | None]] = {}
        for each in ast.walk(node):
            for target, value in assigned(each) if isinstance(each, ast.stmt) else ():
                if isinstance(target, ast.Name):
                    given.setdefault(target.id, []).append(value)
        found: dict[str, Value] = {}
        for name, values in given.items():
            before = self.state.names.get(name)
            literals = [each for each in values if isinstance(each, ast.Constant | ast.Tuple)]
            if before is None or not is_constant(before) or len(literals) != len(values):
                continue
            options = [before, *(self.evaluator.value(each) for each in literals)]
            if all(is_constant(option) for option in options):
                found[name] = OneOf(tuple((UNKNOWABLE, option) for option in options))
        return found

    def _grow(self, node: ast.AST, name: str, before: State, after: State, each: Each) -> None:
        held, value = before.names.get(name), after.names.get(name)
        if isinstance(held, OneOf):
            held = Seq(spliced(held))
        start = (*held.segments, Growing(node, name)) if isinstance(held, Seq) else ()
        if isinstance(value, Seq) and value.segments[: len(start)] == start and start:
            added = value.segments[len(start) :]
            self.analysis.grown[node, name] = replace(each, segments=added)
            after.names[name] = Seq(
                (*start[:-1], *((replace(each, segments=added),) if added else ()))
            )
        else:
            after.names.pop(name, None)

    def _bind_element(self, target: ast.expr, source: Value | None) -> None:
        self.unsettle([ast.Assign([target], ast.Constant(None))], self.state)
        printed = isinstance(source, Opaque) and source.hole.origin is Origin.OUTPUT
        if isinstance(source, Seq):
            printed = any(
                isinstance(each, Splice) and each.hole.origin is Origin.OUTPUT
                for each in source.segments
            )
        origin = Origin.OUTPUT if printed else Origin.LOOP
        elements = elements_of(source.segments) if isinstance(source, Seq) else None
        places = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
        for each in ast.walk(target):
            if not isinstance(each, ast.Name):
                continue
            hole = self.evaluator.hole(each, origin=origin)
            if elements and each in places:
                index = places.index(each) if isinstance(target, ast.Tuple | ast.List) else None
                words = [word_at(element, index) for element in elements]
                chosen = OneOf(tuple((UNKNOWABLE, w) for w in words if w is not None))
                if all(word is not None for word in words):
                    spec = self.evaluator.chosen(each, chosen).spec
                    hole = replace(hole, spec=spec)
            self.evaluator.assign(each, Opaque(hole))


def elements_of(segments: Segments) -> list[Str | Row] | None:
    """Everything that a loop over a list goes through; None where that is not known."""
    found: list[Str | Row] = []
    for segment in segments:
        match segment:
            case Str() | Row():
                found.append(segment)
            case Maybe(_, inner) | Each(segments=inner):
                more = elements_of(inner)
                if more is None:
                    return None
                found += more
            case Either(branches):
                for _, row in branches:
                    more = elements_of(row)
                    if more is None:
                        return None
                    found += more
            case _:
                return None
    return found


def word_at(element: Str | Row, index: int | None) -> Str | None:
    """The word that a loop's target, or the one at an index of it, is."""
    if index is None:
        return element if isinstance(element, Str) else None
    if not isinstance(element, Row):
        return None
    found = element_of(element.values, index)
    return found if isinstance(found, Str) else None


def touched(body: Sequence[ast.stmt]) -> tuple[set[str], bool]:
    """The names that statements may assign or change, and whether they may have effects."""
    names: set[str] = set()
    changed = False
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
                names.add(node.id)
            elif isinstance(node, ast.Call):
                name = _changed_name(node)
                if name is not None:
                    names.add(name)
                changed = changed or (name is None and has_effect(node))
            elif isinstance(node, ast.stmt):
                for target, _ in assigned(node):
                    changed = changed or not isinstance(target, ast.Name)
                    if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                        names.add(target.value.id)
    return names, changed


def _changed_name(node: ast.Call) -> str | None:
    """The local name of a list or dictionary that a method call changes."""
    match node.func:
        case ast.Attribute(ast.Name(name), method) if method in MUTATORS:
            return name
        case _:
            return None


def _grown(body: Sequence[ast.stmt]) -> set[str]:
    """The names of lists that a loop only appends to."""
    grown: set[str] = set()
    bound: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            match node:
                case ast.AugAssign(ast.Name(name), ast.Add()):
                    grown.add(name)
                case ast.Call(ast.Attribute(ast.Name(name), method)):
                    (grown if method in GROWERS else bound).add(name)
                case ast.stmt():
                    bound.update(t.id for t, _ in assigned(node) if isinstance(t, ast.Name))
                case _:
                    pass
    return grown - bound
