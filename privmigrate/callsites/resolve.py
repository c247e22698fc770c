"""Expressions: what value each has, and which of its calls run commands.

Facts: in services a command line is rarely one expression. Words come from constants of modules
and classes, lists grow over several statements, and formats put them together.
What does not work: following every path (exponential), or executing anything (it is not ours).
Solution: every expression is evaluated once, to a value that may have holes. A hole keeps the
expression as it is written and what that read, so that nothing is lost where nothing is known.
Trade-offs: values that depend on each other in ways that no guard shows become alternatives; a
loop is gone through once; a callee's result is looked into only where a list is made of it.
"""

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from privmigrate.argv.spec import Any, Choice, Int
from privmigrate.callsites.conditions import test_of
from privmigrate.callsites.cutting import element_of, tail_of
from privmigrate.callsites.formatting import as_string, brace_form, formatted, percent
from privmigrate.callsites.frame import Frame
from privmigrate.callsites.names import names_of
from privmigrate.callsites.site import Origin, Reason, Text
from privmigrate.callsites.state import State, stamp
from privmigrate.callsites.values import (
    Dict,
    Each,
    Guard,
    Hole,
    Instance,
    OneOf,
    Opaque,
    Piece,
    Plain,
    Ref,
    Row,
    Segments,
    Seq,
    Splice,
    Str,
    Value,
    joined,
    options_of,
    pieces,
    spliced,
)

if TYPE_CHECKING:
    from privmigrate.callsites.analysis import Analysis

MAX_DEPTH: Final = 60
MAX_CHOICE: Final = 48


class Evaluator:
    """Evaluates expressions of one function; `analysis.calls` decides what a call means."""

    def __init__(self, analysis: "Analysis", frame: Frame, state: State) -> None:
        self.analysis = analysis
        self.frame = frame
        self.state = state
        self.depth = 0

    def value(self, node: ast.expr) -> Value:
        """Evaluate, and note what calls are made on the way."""
        if self.depth >= MAX_DEPTH:
            return self.unknown(node, self.state.effects)
        self.depth += 1
        try:
            method = getattr(self, f"_value_{type(node).__name__}", self._value_other)
            found: Value = method(node)
            return found
        finally:
            self.depth -= 1

    def hole(self, node: ast.expr, before: int | None = None, **more: object) -> Hole:
        """A hole for an expression that was just evaluated."""
        started = self.state.effects if before is None else before
        made = stamp(node, self.state, self.frame, started)
        return Hole(node, self.frame, made, names_of(node), **more)  # type: ignore[arg-type]

    def unknown(self, node: ast.expr, before: int, origin: Origin = Origin.EXPRESSION) -> Opaque:
        """A value of which only the expression is known."""
        return Opaque(self.hole(node, before, origin=origin))

    def guard(self, node: ast.expr) -> Guard:
        """The condition that an expression is."""
        before = self.state.effects
        inner = (
            node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) else node
        )
        self.value(node)
        test = test_of(inner, self.state)
        return Guard(self.hole(inner, before), inner is not node, test)

    # constants and names

    def _value_Constant(self, node: ast.Constant) -> Value:  # noqa: N802 - named after the node
        if isinstance(node.value, str):
            return Str((Text(node.value),) if node.value else (), self.hole(node))
        return Plain(node.value, self.hole(node))

    def _value_Name(self, node: ast.Name) -> Value:  # noqa: N802
        value = self.state.names.get(node.id)
        if value is not None:
            return self._named(node, value)
        if node.id in self.frame.locals:
            return self.unknown(node, self.state.effects, Origin.LOCAL)
        outer = self.state.outer.get(node.id)
        if outer is not None:
            return self._named(node, outer)
        found = self.analysis.constants.of_module(self.frame.module, node.id)
        if found is not None:
            return self._named(node, found)
        return self.unknown(node, self.state.effects)

    def _named(self, node: ast.expr, value: Value) -> Value:
        """The same value, to be written as this name."""
        match value:
            case Opaque(hole, made_by):
                return Opaque(self._renamed(node, hole), made_by)
            case Str((Hole() as hole,)):
                renamed = self._renamed(node, hole)
                return Str((renamed,), renamed)
            case Str(parts):
                return Str(parts, self.hole(node))
            case Seq((Splice(hole, 0, "") as only,)):
                renamed = self._renamed(node, hole)
                return Seq((replace(only, hole=renamed),), renamed)
            case Seq(segments):
                return Seq(segments, self.hole(node))
            case Plain(constant):
                return Plain(constant, self.hole(node))
            case OneOf(options):
                return OneOf(options, self.chosen(node, value))
            case Ref(target, instance):
                return Ref(target, instance, self.hole(node))
            case Instance():
                return Instance(value.target, self.hole(node), value.own, value.arguments)
            case _:
                return value

    def _renamed(self, node: ast.expr, hole: Hole) -> Hole:
        own = hole.frame is self.frame
        return Hole(
            node,
            self.frame,
            stamp(node, self.state, self.frame, self.state.effects),
            names_of(node) or hole.names,
            hole.origin if hole.origin is not Origin.EXPRESSION else Origin.LOCAL,
            hole.spec,
            hole.parameter if own else "",
            hole.reason,
            hole.outer if own else hole if hole.parameter else hole.outer,
        )

    def chosen(self, node: ast.expr, value: Value) -> Hole:
        """Make an expression for one of several values, with their choice if they are texts."""
        texts: list[str] = []
        for _, option in options_of(value):
            text = option.text if isinstance(option, Str) else None
            if text is None:
                return self.hole(node, origin=Origin.LOCAL)
            texts.append(text)
        distinct = tuple(dict.fromkeys(texts))
        spec = Choice(distinct) if 0 < len(distinct) <= MAX_CHOICE else Any()
        return self.hole(node, origin=Origin.LOCAL, spec=spec)

    def _value_Attribute(self, node: ast.Attribute) -> Value:  # noqa: N802
        before = self.state.effects
        base = self.value(node.value)
        found = self.analysis.constants.attribute(base, node.attr)
        match found:
            case Reason():
                return Opaque(self.hole(node, before, origin=Origin.ATTRIBUTE, reason=found))
            case None:
                return self.unknown(node, before, self._origin(node, base))
            case _:
                return self._named(node, found)

    def _origin(self, node: ast.expr, base: Value) -> Origin:
        root = ast.unparse(node).split(".")[0].split("(")[0].split("[")[0]
        if root in ("CONF", "cfg", "conf"):
            return Origin.CONFIGURATION
        if isinstance(base, Opaque) and base.hole.origin in (Origin.OUTPUT, Origin.LOOP):
            return base.hole.origin
        if isinstance(base, Opaque) and base.hole.origin is Origin.CONFIGURATION:
            return Origin.CONFIGURATION
        return Origin.ATTRIBUTE if root in ("self", "cls") else Origin.EXPRESSION

    def _value_Subscript(self, node: ast.Subscript) -> Value:  # noqa: N802
        before = self.state.effects
        base = self.value(node.value)
        self.value(node.slice)
        found: Value | None = None
        match base, node.slice:
            case Seq(segments), ast.Constant(int() as index) if not isinstance(index, bool):
                found = element_of(segments, index)
            case Seq(segments), ast.Slice(lower, None, None):
                found = tail_of(segments, lower)
            case Opaque(hole), ast.Slice(None, None, None) if hole.parameter:
                found = Seq((Splice(hole),))
            case Dict(), ast.Constant(str() as key):
                found = base.get(key)
            case _:
                pass
        if found is not None:
            return self._named(node, found)
        return self.unknown(node, before, self._origin(node, base))

    # strings

    def _value_JoinedStr(self, node: ast.JoinedStr) -> Value:  # noqa: N802
        before = self.state.effects
        parts: list[Piece] = []
        told = True
        for each in node.values:
            if isinstance(each, ast.Constant):
                parts.append(Text(str(each.value)))
            elif isinstance(each, ast.FormattedValue):
                inner = self.value(each.value)
                spec = self.value(each.format_spec) if each.format_spec is not None else Str(())
                text = spec.text if isinstance(spec, Str) else None
                conversion = "" if each.conversion < 0 else chr(each.conversion)
                shown = None if text is None else formatted(inner, brace_form(conversion, text))
                told = told and shown is not None
                parts.extend(shown or ())
        return Str(joined(parts) if told else (self.hole(node, before),), self.hole(node, before))

    def _value_BinOp(self, node: ast.BinOp) -> Value:  # noqa: N802
        before = self.state.effects
        left, right = self.value(node.left), self.value(node.right)
        whole = self.hole(node, before)
        match node.op, left, right:
            case ast.Mod(), Str(), _:
                parts = percent(left, right)
                return Str((whole,) if parts is None else parts, whole)
            case ast.Add(), Str(), _ if (text := as_string(right, None)) is not None:
                return Str(joined([*left.parts, *text.parts]), whole)
            case ast.Add(), Str(), Opaque(hole):
                return Str(joined([*left.parts, hole]), whole)
            case ast.Add(), Opaque(hole), Str():
                return Str(joined([hole, *right.parts]), whole)
            case ast.Add(), OneOf(_, Hole() as hole), Str():
                return Str(joined([hole, *right.parts]), whole)
            case ast.Add(), Str(), OneOf(_, Hole() as hole):
                return Str(joined([*left.parts, hole]), whole)
            case ast.Add(), _, _ if isinstance(left, Seq) or isinstance(right, Seq):
                return Seq((*self.segments(left), *self.segments(right)), whole)
            case _:
                return Opaque(whole)

    # lists

    def word(self, node: ast.expr, value: Value) -> Str:
        """The word that a value becomes in a command line."""
        match value:
            case Str(parts, whole):
                return Str(parts, whole or self.hole(node))
            case Plain(None) | Plain(bool()):
                hole = value.whole or self.hole(node)
                return Str((hole,), hole)
            case OneOf(_, whole):
                hole = self.chosen(node, value) if whole is None else whole
                return Str((hole,), hole)
            case _:
                found = pieces(value) or (self.hole(node),)
                return Str(found, value.whole if not isinstance(value, Dict) else None)

    def segments(self, value: Value) -> Segments:
        """What ``*value`` puts into a list; a callee's result is looked into."""
        return spliced(self.analysis.opened(value))

    def _value_List(self, node: ast.List | ast.Tuple | ast.Set) -> Value:  # noqa: N802
        before = self.state.effects
        found: list[Segments] = []
        for each in node.elts:
            value = self.value(each.value if isinstance(each, ast.Starred) else each)
            if isinstance(each, ast.Starred):
                found.append(self.segments(value))
            elif isinstance(value, Seq):
                found.append((Row(value.segments, value.whole or self.hole(each)),))
            else:
                found.append((self.word(each, value),))
        row = tuple(segment for each in found for segment in each)
        return Seq(row, self.hole(node, before))

    _value_Tuple = _value_List  # noqa: N815
    _value_Set = _value_List  # noqa: N815

    def _value_ListComp(self, node: ast.ListComp | ast.GeneratorExp) -> Value:  # noqa: N802
        before = self.state.effects
        kept = self.state
        self.state = kept.copy()
        generator = node.generators[0]
        self.value(generator.iter)
        self._bind_targets(node)
        element = self.value(node.elt)
        for each in node.generators:
            for condition in each.ifs:
                self.value(condition)
        word: Str | Row = self.word(node.elt, element)
        if isinstance(element, Seq):
            word = Row(element.segments, element.whole or self.hole(node.elt))
        effects, self.state = self.state.effects, kept
        self.state.effects = max(effects, kept.effects)
        whole = self.hole(node, before)
        plain = len(node.generators) == 1 and not generator.ifs
        origin = self.hole(generator.iter, before) if plain else None
        name = generator.target.id if plain and isinstance(generator.target, ast.Name) else ""
        return Seq((Each(origin, name, (word,), node),), whole)

    _value_GeneratorExp = _value_ListComp  # noqa: N815

    def _bind_targets(self, node: ast.ListComp | ast.GeneratorExp) -> None:
        for generator in node.generators:
            for each in ast.walk(generator.target):
                if isinstance(each, ast.Name):
                    self.state.names[each.id] = self.unknown(each, self.state.effects, Origin.LOOP)

    # the rest

    def _value_IfExp(self, node: ast.IfExp) -> Value:  # noqa: N802
        before = self.state.effects
        guard = self.guard(node.test)
        options = ((guard, self.value(node.body)), (guard.opposite(), self.value(node.orelse)))
        spec = self.chosen(node, OneOf(options)).spec
        return OneOf(options, self.hole(node, before, spec=spec))

    def _value_BoolOp(self, node: ast.BoolOp) -> Value:  # noqa: N802
        before = self.state.effects
        values = [self.value(each) for each in node.values]
        whole = self.hole(node, before)
        match node.op, values:
            case ast.Or(), [Opaque(hole), (Seq() | Str() | Ref()) as default]:
                guard = Guard(hole, test=test_of(node.values[0], self.state))
                return OneOf(((guard, values[0]), (guard.opposite(), default)), whole)
            case _:
                return Opaque(whole)

    def _value_Dict(self, node: ast.Dict) -> Value:  # noqa: N802
        items: dict[str, Value] = {}
        rest: Hole | None = None
        for key, each in zip(node.keys, node.values, strict=True):
            value = self.value(each)
            if key is None:
                if isinstance(value, Dict):
                    items.update(value.items())
                    rest = rest or value.rest
                continue
            known = self.value(key)
            if isinstance(known, Str) and known.text is not None:
                items[known.text] = value
        return Dict(tuple(items.items()), rest)

    def _value_NamedExpr(self, node: ast.NamedExpr) -> Value:  # noqa: N802
        value = self.value(node.value)
        self.assign(node.target, value)
        return value

    def assign(self, target: ast.Name, value: Value) -> None:
        """Give a local name a value."""
        self.state.names[target.id] = value
        self.state.versions[target.id] = self.frame.tick()

    def _value_Await(self, node: ast.Await) -> Value:  # noqa: N802
        return self.value(node.value)

    def _value_Starred(self, node: ast.Starred) -> Value:  # noqa: N802
        return self.value(node.value)

    def _value_Lambda(self, node: ast.Lambda) -> Value:  # noqa: N802
        kept, self.state = self.state, self.state.copy()
        for each in [*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs]:
            self.state.names[each.arg] = self.unknown(node, self.state.effects)
        self.value(node.body)
        self.state = kept
        return self.unknown(node, self.state.effects)

    def _value_Call(self, node: ast.Call) -> Value:  # noqa: N802
        before = self.state.effects
        return self.analysis.calls.value(self, node, before)

    def effect(self) -> None:
        """Something happened that may change objects."""
        number = self.frame.tick()
        self.state.effects = number
        self.state.heap = number

    def _value_other(self, node: ast.expr) -> Value:
        before = self.state.effects
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.value(child)
            elif isinstance(child, ast.comprehension):
                self.value(child.iter)
        if isinstance(node, ast.Yield | ast.YieldFrom):
            self.effect()
        spec = Int() if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else Any()
        return Opaque(self.hole(node, before, spec=Any() if spec != Any() else spec))
