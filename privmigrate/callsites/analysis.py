"""The whole project: functions that matter are gone through, and wrappers found, until no more are.

A wrapper passes words that are its own parameters on to an executor, or to another wrapper. Its
calls are sites, with its own words around theirs.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from privmigrate.callsites.binding import bind
from privmigrate.callsites.calls import Calls
from privmigrate.callsites.conditions import decide
from privmigrate.callsites.constants import Constants, local_names, unknown_name
from privmigrate.callsites.declared import Declared
from privmigrate.callsites.executors import EXECUTORS
from privmigrate.callsites.filling import Filling
from privmigrate.callsites.flow import Flow
from privmigrate.callsites.frame import Frame
from privmigrate.callsites.index import Function, FunctionNode, Module
from privmigrate.callsites.passed import (
    Passed,
    called_by,
    is_one_called,
    kept_in,
    objects_of,
)
from privmigrate.callsites.project import Project
from privmigrate.callsites.raw import RawSite, forwarded, root_of
from privmigrate.callsites.settings import Settings
from privmigrate.callsites.state import State, settle
from privmigrate.callsites.values import (
    UNKNOWABLE,
    Arguments,
    Bindings,
    Dict,
    Each,
    Instance,
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

MAX_PASSES: Final = 6
MAX_CALLEES: Final = 12  # functions that are gone through because another one needs them
MAX_WRAPPED: Final = 8
FORWARDS: Final = (b"exec(*", b"execute(*", b"execute(\n", b"trycmd(*", b"execute(cmd", b"xec(cmd")


@dataclass(slots=True)
class Outcome:
    """What going through a function gave."""

    frame: Frame
    state: State
    sites: list[RawSite] = field(default_factory=list)
    returns: list[Value] = field(default_factory=list)


class Analysis:
    """The functions that matter, with what is known of wrappers so far."""

    def __init__(self, project: Project, settings: Settings) -> None:
        self.project = project
        self.settings = settings
        self.declared = Declared(project, settings)
        self.names: set[str] = set()
        self.held: set[str] = set()  # those of parameters and attributes that are executors
        self.words = _seeds(settings)
        self.constants = Constants(self, project)
        self.calls = Calls(self)
        self.passed = Passed(self)
        self.called: dict[ast.Call, Value] = {}  # by the names of wrappers
        self.grown: dict[tuple[ast.AST, str], Each] = {}
        self.outcomes: dict[FunctionNode | ast.Module, Outcome | None] = {}
        self._functions: dict[ast.AST, Function] = {}
        self._records: dict[Frame, list[RawSite]] = {}
        self._plain: dict[FunctionNode, bool] = {}
        self._under_way: dict[FunctionNode, Flow] = {}
        self._depth = 0

    # functions

    def run(self) -> None:
        """Go through every function that matters, until no more wrappers are found."""
        new = self.words
        for _ in range(MAX_PASSES):
            self.passed.changed = False
            self._pass(new)
            found = {name for each in self.wrappers() for name in called_by(each)}
            found |= self.project.aliases(found | self.names)
            ended = [each.state.names for each in self.outcomes.values() if each is not None]
            found |= set(objects_of(ended, found | self.names))
            held = self._holders(found | self.names) - self.held
            found -= self.names
            if not found and not held and not self.passed.changed:
                break
            if self.passed.changed:
                self.constants.forget()
            self.names |= found | held
            self.held |= held
            more = {f"{name}(" for name in found} | {
                f"{name}{end}" for name in held for end in "(,)"
            }
            new = tuple(each.encode() for each in sorted(more)) or self.words
            self.words = tuple(dict.fromkeys((*self.words, *new)))

    def _holders(self, names: set[str]) -> set[str]:
        """The parameters that executors are given for, and the attributes that keep them."""
        found: set[str] = set()
        for function, name in self.passed.holders(names):
            found.add(name)
            found.update(kept_in(function, name))
        return found

    def _pass(self, words: tuple[bytes, ...]) -> None:
        """Go through the functions that mention these words, again where they have been."""
        modules = [
            module
            for file in self.project.files
            if file.mentions(words) and (module := self.project.module(file)) is not None
        ]
        functions = [
            function
            for module in modules
            for function in module.functions
            if _mentions(function, words)
        ]
        for function in functions:
            self.outcomes.pop(function.node, None)
            self._plain.pop(function.node, None)
        for function in functions:
            self.outcome(function)
        for module in modules:
            self._module(module)

    def sites(self) -> list[RawSite]:
        """Every call that was found."""
        return [raw for outcome in self.outcomes.values() if outcome for raw in outcome.sites]

    def wrappers(self) -> list[Function]:
        """The functions that pass words of their own parameters on."""
        return [
            raw.frame.function
            for raw in self.sites()
            if raw.frame.function is not None
            and raw.frame.function.node.name != "__init__"
            and forwarded(raw)
            and root_of(raw.keywords) is not False
        ]

    def matters(self, function: Function) -> bool:
        """Whether a function's text mentions something relevant."""
        return _mentions(function, self.words)

    def function(self, module: Module, node: ast.AST) -> Function | None:
        """The function that a definition makes."""
        if node not in self._functions:
            self._functions.update((each.node, each) for each in module.functions)
        return self._functions.get(node)

    def _module(self, module: Module) -> None:
        frame = Frame(module, None, locals=frozenset())
        flow = self._flow(frame, State())
        flow.block([each for each in module.tree.body if not isinstance(each, ast.FunctionDef)])
        self.outcomes[module.tree] = Outcome(frame, flow.state, self._records.pop(frame, []))

    def _flow(self, frame: Frame, state: State) -> Flow:
        self._records[frame] = []
        return Flow(self, frame, state)

    def outcome(self, function: Function) -> Outcome | None:
        """Go through a function, once; None while that is under way, or too deep."""
        if function.node in self.outcomes:
            return self.outcomes[function.node]
        if self._depth >= MAX_CALLEES:
            return None
        self._depth += 1
        self.outcomes[function.node] = None
        outer = self._around(function)
        frame = Frame(
            function.module,
            function,
            locals=local_names(function.node),
            shared=_rebound_within(function.node),
        )
        state = State(outer=_enclosing(outer))
        state.names.update(self._parameters(function, frame))
        flow = self._flow(frame, state)
        self._under_way[function.node] = flow
        flow.block(function.node.body)
        del self._under_way[function.node]
        found = Outcome(frame, flow.state, self._records.pop(frame), flow.returns)
        self.outcomes[function.node] = found
        self._depth -= 1
        return found

    def names_after(self, function: Function) -> Bindings:
        """The local names of a function, as far as it has come."""
        flow = self._under_way.get(function.node)
        if flow is not None:
            return flow.state.names
        outcome = self.outcome(function)
        return outcome.state.names if outcome is not None else {}

    def _around(self, function: Function) -> Outcome | None:
        """The function around another one, as far as it has come."""
        if function.outer is None:
            return None
        flow = self._under_way.get(function.outer.node)
        if flow is not None:
            return Outcome(flow.frame, flow.state)
        return self.outcome(function.outer)

    def _parameters(self, function: Function, frame: Frame) -> Iterator[tuple[str, Value]]:
        arguments = function.node.args
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        for index, each in enumerate(named):
            unknown = unknown_name(each.arg, frame, each, parameter=each.arg)
            default = self.constants.default(function, each.arg)
            if index == 0 and function.bound and function.owner is not None:
                yield each.arg, Instance(function.owner, unknown.hole, own=True)
            elif isinstance(default, Ref):
                # an injected executor: what it is by default, or whatever is passed
                yield (
                    each.arg,
                    OneOf(((UNKNOWABLE, default), (UNKNOWABLE, unknown)), unknown.hole),
                )
            else:
                yield each.arg, unknown
        if arguments.vararg is not None:
            name = arguments.vararg.arg
            hole = unknown_name(name, frame, arguments.vararg, parameter=name).hole
            yield name, Seq((Splice(hole),), hole)
        if arguments.kwarg is not None:
            name = arguments.kwarg.arg
            yield name, Dict(rest=unknown_name(name, frame, arguments.kwarg, parameter=name).hole)

    def record(self, frame: Frame, raw: RawSite) -> None:
        """Note a call that runs a command; outside of a function that is gone through, do not."""
        found = self._records.get(frame)
        if found is not None:
            found.append(raw)

    # wrappers

    def wrapped(self, function: Function) -> list[RawSite]:
        """What a function runs with its own parameters as words."""
        if function.node not in self.outcomes and not self.matters(function):
            return []
        outcome = self.outcome(function)
        if outcome is None:
            return []
        if function.node.name == "__init__":
            return []  # what it is given is kept, and run by others
        return [raw for raw in outcome.sites if forwarded(raw)][:MAX_WRAPPED]

    def is_plain(self, function: Function) -> bool:
        """Whether a function only passes everything on, as often as it is called."""
        if function.node not in self._plain:
            self._plain[function.node] = self._is_plain(function)
        return self._plain[function.node]

    def _is_plain(self, function: Function) -> bool:
        outcome = self.outcomes.get(function.node)
        arguments = function.node.args
        if outcome is None or arguments.vararg is None or arguments.kwarg is None:
            return False
        if any("retr" in ast.unparse(each) for each in function.node.decorator_list):
            return False
        for node in ast.walk(function.node):
            if isinstance(node, ast.For | ast.While | ast.AsyncFor):
                return False
            if isinstance(node, ast.ExceptHandler) and not _raises_again(node):
                return False
        return all(self._passes_all(raw) for raw in outcome.sites if forwarded(raw))

    def _passes_all(self, raw: RawSite) -> bool:
        match settle(raw.segments, self.grown):
            case (Splice(hole),) if hole.parameter:
                root = "run_as_root" in raw.keywords.items()
                return raw.keywords.rest is not None and not root and not raw.via
            case _:
                return False

    def filled(
        self, raw: RawSite, function: Function, callee: Value, arguments: Arguments
    ) -> RawSite:
        """What a wrapper runs, with a caller's arguments in the place of its parameters."""
        bindings = bind(self.constants, function, callee, arguments)
        filling = Filling(raw.frame, bindings, decide)
        segments = Seq(filling.segments(settle(raw.segments, self.grown))).segments
        netns = raw.netns
        if netns is not None:
            (filled,) = filling.segments((netns,))
            netns = filled if isinstance(filled, Str) else netns
        return replace(
            raw, segments=segments, keywords=filling.dictionary(raw.keywords), netns=netns
        )

    def given_back(self, value: Value) -> Value:
        """A function, or an object that is called like one, where it is what a call gives back."""
        if not isinstance(value, Opaque) or value.made_by is None:
            return value
        outcome = self.outcome(value.made_by[0])
        if outcome is None or len(outcome.returns) != 1:
            return value
        match outcome.returns[0]:
            case Ref(Function() as function) as found if function.outer is value.made_by[0]:
                return replace(found, whole=value.hole)
            case _:
                return value

    def opened(self, value: Value) -> Value:
        """A list that a function made, where its body tells what is in it."""
        if not isinstance(value, Opaque) or value.made_by is None:
            return value
        function, arguments = value.made_by
        if _is_generator(function):
            return value
        outcome = self.outcome(function)
        if outcome is None or not 0 < len(outcome.returns) <= MAX_WRAPPED:
            return value
        returned = outcome.returns[0]
        if len(outcome.returns) > 1:
            returned = OneOf(tuple((UNKNOWABLE, each) for each in outcome.returns))
        if not isinstance(returned, Seq | OneOf):
            return value
        filling = Filling(
            outcome.frame, bind(self.constants, function, Ref(function), arguments), decide
        )
        filled = filling.value(returned)
        if isinstance(filled, OneOf) and all(isinstance(v, Seq) for _, v in options_of(filled)):
            filled = Seq(spliced(filled))
        if isinstance(filled, Seq):
            return Seq(settle(filled.segments, self.grown), value.hole)
        return value


def _seeds(settings: Settings) -> tuple[bytes, ...]:
    found = {seed for executor in EXECUTORS.values() for seed in executor.SEEDS}
    found.update((b"root_helper", *FORWARDS))
    for patterns in (settings.executors, settings.root_executors, settings.list_executors):
        found.update(f"{each.rpartition('.')[2]}(".encode() for each in patterns)
    return tuple(sorted(found))


def _mentions(function: Function, words: tuple[bytes, ...]) -> bool:
    node = function.node
    lines = function.module.file.lines[node.lineno - 1 : node.end_lineno]
    text = b"\n".join(lines)
    return any(word in text for word in words)


def _enclosing(outer: Outcome | None) -> dict[str, Value]:
    """What a nested function sees: names that are bound once around it."""
    if outer is None:
        return {}
    once = {
        name: value
        for name, value in outer.state.names.items()
        if outer.state.versions.get(name, 0) == 0
        or _bound_once(outer, name)
        or is_one_called(value)
    }
    return {**outer.state.outer, **once}


def _bound_once(outer: Outcome, name: str) -> bool:
    function = outer.frame.function
    if function is None:
        return False
    stores = [
        each
        for each in ast.walk(function.node)
        if isinstance(each, ast.Name) and each.id == name and not isinstance(each.ctx, ast.Load)
    ]
    return len(stores) <= 1


def _rebound_within(function: FunctionNode) -> frozenset[str]:
    """The names that functions nested in one bind again."""
    inner = (node for node in ast.walk(function) if isinstance(node, ast.Nonlocal))
    return frozenset(name for node in inner for name in node.names)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1] if handler.body else None
    return isinstance(last, ast.Raise) and last.exc is None


def _is_generator(function: Function) -> bool:
    return any(isinstance(each, ast.Yield | ast.YieldFrom) for each in ast.walk(function.node))
