"""Statements: what a function's names mean after each of them, in one pass over its body."""

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from privmigrate.callsites.changes import changed_dict, changed_list
from privmigrate.callsites.frame import Frame
from privmigrate.callsites.loops import GROWERS, Loops
from privmigrate.callsites.resolve import Evaluator
from privmigrate.callsites.site import Origin
from privmigrate.callsites.state import State, join
from privmigrate.callsites.values import (
    UNKNOWABLE,
    Dict,
    Guard,
    OneOf,
    Opaque,
    Ref,
    Seq,
    Splice,
    Str,
    Value,
    options_of,
    spliced,
)

if TYPE_CHECKING:
    from privmigrate.callsites.analysis import Analysis

MAX_BLOCKS: Final = 40


class Flow(Loops):
    """Goes through the statements of one function."""

    def __init__(self, analysis: "Analysis", frame: Frame, state: State) -> None:
        self.analysis = analysis
        self.frame = frame
        self.evaluator = Evaluator(analysis, frame, state)
        self.returns: list[Value] = []
        self.depth = 0

    def block(self, body: Sequence[ast.stmt]) -> None:
        """Go through statements; what comes after a `return` is not reached."""
        if self.depth >= MAX_BLOCKS:
            return
        self.depth += 1
        for node in body:
            if self.state.ended:
                break
            method = getattr(self, f"_do_{type(node).__name__}", self._do_other)
            method(node)
        self.depth -= 1

    def _do_other(self, node: ast.stmt) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.evaluator.value(child)
        if isinstance(node, ast.Return | ast.Raise | ast.Continue | ast.Break):
            self.state.ended = True

    def _do_Return(self, node: ast.Return) -> None:  # noqa: N802 - named after the node
        if node.value is not None:
            self.returns.append(self.evaluator.value(node.value))
        self.state.ended = True

    def _do_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:  # noqa: N802
        function = self.analysis.function(self.frame.module, node)
        if function is not None:
            self.evaluator.assign(ast.Name(node.name, ast.Store()), Ref(function))

    _do_AsyncFunctionDef = _do_FunctionDef  # noqa: N815

    def _do_ClassDef(self, node: ast.ClassDef) -> None:  # noqa: N802
        inner = [each for each in node.body if not isinstance(each, ast.FunctionDef)]
        kept = self.state.copy()
        self.block(inner)
        self.state = kept

    # assignments

    def _do_Assign(self, node: ast.Assign) -> None:  # noqa: N802
        before = self.state.effects
        value = self.evaluator.value(node.value)
        for target in node.targets:
            self._bind(target, value, node.value, before)

    def _do_AnnAssign(self, node: ast.AnnAssign) -> None:  # noqa: N802
        if node.value is not None:
            before = self.state.effects
            self._bind(node.target, self.evaluator.value(node.value), node.value, before)

    def _bind(self, target: ast.expr, value: Value, node: ast.expr, before: int) -> None:
        match target:
            case ast.Name():
                self.evaluator.assign(target, value)
            case ast.Tuple(elts) | ast.List(elts):
                self._unpack(elts, value, node, before)
            case ast.Subscript(ast.Name(name), ast.Constant(str() as key)) if isinstance(
                self.state.names.get(name), Dict
            ):
                held = self.state.names[name]
                if isinstance(held, Dict):
                    made = ast.Name(name, ast.Store())
                    self.evaluator.assign(made, held.with_item(key, value))
            case _:
                self._forget(target)

    def _forget(self, target: ast.expr) -> None:
        """Something inside of an object changes."""
        for each in ast.iter_child_nodes(target):
            if isinstance(each, ast.expr):
                self.evaluator.value(each)
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            self._lose(target.value.id)
        self.evaluator.effect()

    def _do_Delete(self, node: ast.Delete) -> None:  # noqa: N802
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._lose(target.id)
            else:
                self._forget(target)

    def _lose(self, name: str) -> None:
        """A local list or dictionary is changed in a way that is not followed."""
        if name in self.frame.locals:
            self.state.names.pop(name, None)
            self.state.versions[name] = self.frame.tick()

    def _unpack(
        self, targets: Sequence[ast.expr], value: Value, node: ast.expr, before: int
    ) -> None:
        plain = isinstance(value, Seq) and len(value.segments) == len(targets)
        for index, target in enumerate(targets):
            element: Value | None = None
            if plain and isinstance(value, Seq):
                segment = value.segments[index]
                element = segment if isinstance(segment, Str) else None
            if element is None:
                origin = value.hole.origin if isinstance(value, Opaque) else Origin.LOCAL
                hole = self.evaluator.hole(node, before, origin=origin)
                element = Opaque(replace(hole, names=()))
            inner = target.value if isinstance(target, ast.Starred) else target
            self._bind(inner, element, node, before)

    def _do_AugAssign(self, node: ast.AugAssign) -> None:  # noqa: N802
        before = self.state.effects
        value = self.evaluator.value(node.value)
        if not isinstance(node.target, ast.Name):
            self._forget(node.target)
            return
        name = node.target.id
        held = self.state.names.get(name)
        if isinstance(node.op, ast.Add):
            grown = self._added(held, value, node, before)
            if grown is not None:
                self.evaluator.assign(node.target, grown)
                return
        self._lose(name)

    def _added(
        self, held: Value | None, value: Value, node: ast.AugAssign, before: int
    ) -> Value | None:
        match held:
            case Seq(segments):
                return Seq((*segments, *self.evaluator.segments(value)))
            case OneOf(options) if all(isinstance(each, Seq) for _, each in options):
                return Seq((*spliced(held), *self.evaluator.segments(value)))
            case Str(parts):
                hole = self.evaluator.hole(node.value, before)
                more = self.evaluator.word(node.value, value).parts or (hole,)
                return Str((*parts, *more))
            case Opaque(hole) if isinstance(value, Seq) and hole.parameter:
                return Seq((Splice(hole), *value.segments))
            case _:
                return None

    # method calls that change a local list or dictionary

    def _do_Expr(self, node: ast.Expr) -> None:  # noqa: N802
        match node.value:
            case ast.Call(ast.Attribute(ast.Name(name), method)) if name in self.frame.locals:
                if not self._changes(name, method, node.value):
                    self.evaluator.value(node.value)
            case _:
                self.evaluator.value(node.value)

    def _changes(self, name: str, method: str, call: ast.Call) -> bool:
        """Apply ``name.method(...)`` to what is known of a name; False where it changes nothing."""
        held = self.state.names.get(name)
        if isinstance(held, OneOf) and all(isinstance(v, Seq) for _, v in options_of(held)):
            held = Seq(spliced(held))
        changed: Value | None = None
        if isinstance(held, Opaque) and held.hole.parameter and method in (*GROWERS, "remove"):
            held = Seq((Splice(held.hole),))
        if isinstance(held, Seq):
            changed = changed_list(self.evaluator, held, method, call)
        elif isinstance(held, Dict):
            changed = changed_dict(self.evaluator, held, method, call)
        if changed is None:
            if isinstance(held, Seq | Dict) and method not in ("copy", "get", "items", "index"):
                self.evaluator.value(call)
                self._lose(name)
                return True
            return False
        self.evaluator.assign(ast.Name(name, ast.Store()), changed)
        return True

    # branches

    def _do_If(self, node: ast.If) -> None:  # noqa: N802
        guard = self.evaluator.guard(node.test)
        before = self.state
        self.state = before.copy()
        self.block(node.body)
        taken = self.state
        self.state = before.copy()
        self.block(node.orelse)
        self.state = self._defaulted(guard, before, join(taken, self.state, guard, self.frame))

    def _defaulted(self, guard: Guard, before: State, after: State) -> State:
        """``if 'x' not in d: d['x'] = v`` is a default, not an alternative."""
        if guard.test is None or guard.test[0] not in ("lacks", "has"):
            return after
        for name, value in after.names.items():
            held = before.names.get(name)
            if not isinstance(held, Dict) or not isinstance(value, OneOf) or held.rest is None:
                continue
            if held.rest.parameter != guard.test[1]:
                continue
            key = guard.test[2]
            for _, option in options_of(value):
                item = dict(option.over).get(key) if isinstance(option, Dict) else None
                if item is not None and option == held.with_item(key, item):
                    after.names[name] = replace(held, under=(*held.under, (key, item)))
        return after

    def _do_Match(self, node: ast.Match) -> None:  # noqa: N802
        self.evaluator.value(node.subject)
        before = self.state
        ways = []
        for case in node.cases:
            self.state = before.copy()
            for target in ast.walk(case.pattern):
                name = getattr(target, "name", None) or getattr(target, "rest", None)
                if isinstance(name, str):
                    self._lose(name)
            if case.guard is not None:
                self.evaluator.value(case.guard)
            self.block(case.body)
            ways.append(self.state)
        last = node.cases[-1]
        if (
            last.guard is not None
            or not isinstance(last.pattern, ast.MatchAs)
            or last.pattern.pattern
        ):
            ways.append(before.copy())
        self.state = self._joined(ways)

    def _joined(self, ways: Sequence[State]) -> State:
        found = ways[0]
        for way in ways[1:]:
            found = join(found, way, UNKNOWABLE, self.frame)
        return found

    def _do_Try(self, node: ast.Try) -> None:  # noqa: N802
        before = self.state.copy()
        # an effect may not be moved into the `try` from before it
        self.state.effects = self.frame.tick()
        self.block(node.body)
        anywhere = self.anywhere(node.body, before, self.state)
        self.block(node.orelse)
        ways = [self.state]
        for handler in node.handlers:
            self.state = anywhere.copy()
            if handler.type is not None:
                self.evaluator.value(handler.type)
            if handler.name:
                self._lose(handler.name)
            self.block(handler.body)
            ways.append(self.state)
        after = self._joined(ways)
        if node.finalbody:
            # it is reached from everywhere
            self.unsettle([*node.orelse, *(s for h in node.handlers for s in h.body)], anywhere)
            self.state = anywhere
            self.block(node.finalbody)
            after.ended = after.ended or self.state.ended
            self.unsettle(node.finalbody, after)
        self.state = after
        self.state.effects = self.frame.tick()

    _do_TryStar = _do_Try  # noqa: N815

    def _do_With(self, node: ast.With | ast.AsyncWith) -> None:  # noqa: N802
        for item in node.items:
            before = self.state.effects
            value = self.evaluator.value(item.context_expr)
            self.evaluator.effect()
            if item.optional_vars is not None:
                made = self.evaluator.unknown(item.context_expr, before, Origin.LOCAL)
                del value
                self._bind(item.optional_vars, made, item.context_expr, before)
        self.block(node.body)
        self.state.effects = self.frame.tick()

    _do_AsyncWith = _do_With  # noqa: N815

    # loops

    def _do_For(self, node: ast.For | ast.AsyncFor) -> None:  # noqa: N802
        before = self.state.effects
        source = self.analysis.opened(self.evaluator.value(node.iter))
        hole = self.evaluator.hole(node.iter, before)
        element = node.target.id if isinstance(node.target, ast.Name) else ""
        self.loop(node, hole, element, source)
        self._otherwise(node)

    _do_AsyncFor = _do_For  # noqa: N815

    def _do_While(self, node: ast.While) -> None:  # noqa: N802
        self.evaluator.value(node.test)
        self.loop(node, None, "", None)
        self._otherwise(node)

    def _otherwise(self, node: ast.For | ast.AsyncFor | ast.While) -> None:
        """What a loop does at its end, unless it was left by ``break``."""
        broken = self.state.copy()
        self.block(node.orelse)
        if any(isinstance(each, ast.Break) for each in ast.walk(node)):
            self.state = join(broken, self.state, UNKNOWABLE, self.frame)
