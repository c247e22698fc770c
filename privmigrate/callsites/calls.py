"""Calls: those that run commands, those of wrappers that do, and the rest."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from privmigrate.callsites.executors import EXECUTORS
from privmigrate.callsites.executors.base import Callee, Executor, named
from privmigrate.callsites.index import Class, Function
from privmigrate.callsites.invocation import Invocation, function_of, target_name
from privmigrate.callsites.making import made_of_words
from privmigrate.callsites.passed import PARTIAL, called_as
from privmigrate.callsites.raw import RawSite, root_of
from privmigrate.callsites.resolve import Evaluator
from privmigrate.callsites.site import TIMED_EXECUTORS, Convention, Origin, Reason
from privmigrate.callsites.state import is_pure_call
from privmigrate.callsites.values import (
    PASSED,
    Arguments,
    Dict,
    Hole,
    Instance,
    OneOf,
    Opaque,
    Plain,
    Ref,
    Segments,
    Seq,
    Splice,
    Str,
    Value,
    as_word,
    options_of,
    spliced,
)

if TYPE_CHECKING:
    from privmigrate.callsites.analysis import Analysis

# a word of a name, in either style: RootwrapProcessHelper is not remote
_REMOTE: Final = re.compile(r"(?:^|[_.]|(?<=[a-z]))(?:[Ss][Ss][Hh]|[Rr]emote|winrm)(?=[_.A-Z]|$)")


class Calls:
    """What each call means."""

    def __init__(self, analysis: "Analysis") -> None:
        self.analysis = analysis

    def value(self, ev: Evaluator, node: ast.Call, before: int) -> Value:
        """Evaluate a call, and record it where it runs a command."""
        start = ev.state.copy()
        base: Value | None = None
        match node.func:
            case ast.Attribute(value=inner):
                base = ev.value(inner)
                callee = self._member(ev, node.func, base)
            case _:
                callee = ev.value(node.func)
        callee = self.analysis.passed.expanded(self.analysis.given_back(callee))
        arguments = self._arguments(ev, node)
        text = ast.unparse(node.func)
        call = Invocation(ev, node, callee, base, arguments, start, before, text)
        made = made_of_words(call)
        if made is not None:
            return made
        for _, option in options_of(callee):
            self.analysis.passed.note(option, arguments)
        if text.rpartition(".")[2] in self.analysis.names:
            self.analysis.called[node] = callee
        ran = self._run(call)
        if ran or not is_pure_call(node):
            ev.effect()
        if ran:
            return Opaque(ev.hole(node, before, origin=Origin.OUTPUT))
        return _result(call)

    def _member(self, ev: Evaluator, node: ast.Attribute, base: Value) -> Value:
        found = self._of_super(ev, node) or self.analysis.constants.attribute(base, node.attr)
        if found is None or isinstance(found, Reason):
            return Opaque(ev.hole(node))
        return found

    def _of_super(self, ev: Evaluator, node: ast.Attribute) -> Value | None:
        """The method that ``super()`` leads to."""
        function = ev.frame.function
        match node.value:
            case ast.Call(ast.Name("super")) if function is not None and function.owner is not None:
                own = function.owner
                for each in self.analysis.project.ancestors(own)[1:]:
                    if node.attr in each.methods:
                        return Ref(each.methods[node.attr], Instance(own, own=True))
            case _:
                pass
        return None

    def _arguments(self, ev: Evaluator, node: ast.Call) -> Arguments:
        positional: list[tuple[Value, bool]] = []
        for each in node.args:
            if isinstance(each, ast.Starred):
                positional.append((self.analysis.opened(ev.value(each.value)), True))
            else:
                positional.append((_written(ev, each, ev.value(each)), False))
        keywords = Dict()
        for keyword in node.keywords:
            value = ev.value(keyword.value)
            if keyword.arg is not None:
                keywords = keywords.with_item(keyword.arg, value)
            elif isinstance(value, Dict):
                over = {**dict(value.over), **dict(keywords.over)}
                keywords = Dict(tuple(over.items()), value.rest, value.under)
            elif isinstance(value, Opaque):
                keywords = Dict(keywords.over, value.hole, keywords.under)
            elif isinstance(value, OneOf):
                keywords = _one_dict(value, keywords)
        return Arguments(tuple(positional), keywords)

    def _run(self, call: Invocation) -> bool:
        """Record a call that runs a command, or may; False where it is none."""
        settings = self.analysis.settings
        doubts = tuple(dict.fromkeys(self._doubts(call)))
        if any(
            named(target, settings.ignore) or named(call.text, settings.ignore)
            for target, _ in call.targets
        ):
            return False
        options = [(PASSED in guards, option) for guards, option in options_of(call.callee)]
        given = [option for passed, option in options if passed]
        own = [option for passed, option in options if not passed]
        # objects may add that it runs as root, which nothing else at the call tells
        objects = [each for each in given if isinstance(each, Instance)]
        if self._any(
            call, [*objects, *(each for each in own if isinstance(each, Instance))], doubts
        ):
            return True
        if self._any(call, [each for each in own if not isinstance(each, Instance)], doubts):
            return True
        # nothing is known of it: then its name and its keywords count
        loose = not all(map(target_name, own)) or _takes_any_words(call)
        if loose and self._direct(call, "", doubts):
            return True
        return self._any(call, [each for each in given if not isinstance(each, Instance)], doubts)

    def _any(self, call: Invocation, options: list[Value], doubts: tuple[Reason, ...]) -> bool:
        """Record the call of the first of these that runs commands."""
        for option in options:
            each = self._as_function(call, option)
            target = target_name(each.callee)
            if isinstance(option, Instance) and not isinstance(each.callee, Ref):
                continue
            if target and (
                self._direct(each, target, doubts) or self._through(each, each.callee, doubts)
            ):
                return True
        return False

    def _as_function(self, call: Invocation, option: Value) -> Invocation:
        """The call of what may be called, with the arguments that it gets then."""
        callee, arguments = called_as(self.analysis, option, call.arguments)
        return replace(call, callee=callee, arguments=arguments)

    def _doubts(self, call: Invocation) -> Iterator[Reason]:
        if named(call.text, self.analysis.settings.local) or self._said_local(call):
            return
        shown = [call.text]
        for target, option in call.targets:
            whole = option.whole
            made = option.target if isinstance(option, Instance) else None
            of = made.qualified if isinstance(made, Class) else target
            shown.append(of or (ast.unparse(whole.node) if whole is not None else ""))
        if any(_REMOTE.search(each.rpartition(".")[2]) for each in shown):
            yield Reason.REMOTE

    def _executor(self, callee: Callee) -> Executor | None:
        settings = self.analysis.settings
        for patterns, name in (
            (settings.executors, "processutils"),
            (settings.root_executors, "rooted"),
            (settings.list_executors, "lists"),
        ):
            if named(callee.target, patterns) or named(callee.text, patterns):
                return EXECUTORS[name]
        return next((each for each in EXECUTORS.values() if each.recognises(callee)), None)

    def _direct(self, call: Invocation, target: str, doubts: tuple[Reason, ...]) -> bool:
        """Record the call of an executor."""
        callee = Callee(call.text, target, call.rooted, call.forwards, call.sudo)
        executor = self._executor(callee)
        if executor is None:
            return False
        ev, keywords = call.evaluator, call.arguments.keywords
        if executor.CONVENTION is Convention.LIST:
            segments = self._list(call, callee.sudo if executor.SENTINEL else 0)
            segments = segments[1:] if executor.SENTINEL else segments
            keywords = keywords.without("cmd")
        else:
            segments = words_of(call.arguments)
        says = "run_as_root" in keywords.items() or keywords.rest is not None
        if executor.ALWAYS_ROOT:
            keywords = keywords.with_item("run_as_root", Plain(True))
        raw = RawSite(
            node=call.node,
            frame=ev.frame,
            executor=call.text,
            convention=executor.CONVENTION,
            segments=segments,
            keywords=keywords,
            start=call.start,
            sentinel=executor.SENTINEL,
            netns=_namespace(call) if executor.IN_NAMESPACE else None,
            also_outside=executor.IN_NAMESPACE and says,
        )
        if said := self._said_local(call):
            raw = replace(raw, declared=(said,))
        passed = (Reason.INJECTED,) if not target and not said and self._is_passed_in(call) else ()
        self.analysis.record(ev.frame, raw.doubted((*executor.DOUBTS, *doubts, *passed)))
        return True

    def _is_passed_in(self, call: Invocation) -> bool:
        """Whether what ran it is an argument of its function, or of a constructor that keeps it."""
        holder = _holder(call)
        return holder is not None and self.analysis.declared.injected(*holder)

    def _said_local(self, call: Invocation) -> str:
        """The declaration that what is passed in there runs on this machine, or ""."""
        holder = _holder(call)
        return "" if holder is None else self.analysis.declared.of(*holder)

    def _list(self, call: Invocation, position: int) -> Segments:
        """The words of a list that is one of the arguments."""
        row = call.arguments.positional
        given = row[position][0] if position < len(row) else call.arguments.keywords.get("cmd")
        if given is None or isinstance(given, Str):
            return (Splice(call.evaluator.hole(call.node)),)
        return spliced(self.analysis.opened(given))

    def _through(self, call: Invocation, option: Value, doubts: tuple[Reason, ...]) -> bool:
        """Record the call of a wrapper: what the wrapper runs, with this call's words in it."""
        function = function_of(option)
        if function is None:
            return False
        found = False
        for inner in self.analysis.wrapped(function):
            found = True
            raw = self.analysis.filled(inner, function, option, call.arguments)
            if root_of(raw.keywords) is False:
                continue
            # os-brick's own adds what an entrypoint's policy does as well
            plain = function.qualified in TIMED_EXECUTORS or self.analysis.is_plain(function)
            raw = raw.called(function.qualified, plain=plain)
            frame = call.evaluator.frame
            raw = raw.at(call.node, frame, call.text, call.start)
            if said := self._said_local(call):
                raw = replace(raw, declared=(said,))
            self.analysis.record(frame, raw.doubted(doubts))
        return found


def _holder(call: Invocation) -> tuple[Class | Function, str] | None:
    """The class and its attribute, or the function and its parameter, that is called."""
    match call.node.func, call.base:
        case ast.Attribute(attr=name), Instance(Class() as made):
            return made, name
        case ast.Name(id=name), _ if call.evaluator.frame.function is not None:
            return call.evaluator.frame.function, name
        case _:
            return None


def _takes_any_words(call: Invocation) -> bool:
    """Whether it is a function that takes any words, but of which no command is known."""
    functions = [function_of(option) for _, option in call.targets]
    return any(each is not None and each.node.args.vararg is not None for each in functions)


def _namespace(call: Invocation) -> Str:
    """The namespace of ``wrapper.netns.execute``: what the wrapper was made with."""
    ev = call.evaluator
    func = call.node.func
    wrapper: ast.expr = func
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Attribute):
        wrapper = func.value.value
    value = ev.value(wrapper)
    made = ast.Attribute(wrapper, "namespace", ast.Load())
    hole = Hole(made, ev.frame, ev.hole(wrapper).stamp, ("namespace",), Origin.ATTRIBUTE)
    if isinstance(value, Instance) and value.arguments is not None:
        given = value.arguments.keywords.get("namespace")
        if given is None and value.arguments.positional:
            given = value.arguments.positional[0][0]
        if given is not None:
            return Str(ev.word(call.node, given).parts, hole)
    return Str((hole,), hole)


def _result(call: Invocation) -> Value:
    """What a call gives that runs nothing."""
    origin = Origin.CALL
    base = call.base
    if isinstance(base, Opaque) and base.hole.origin in (Origin.OUTPUT, Origin.CONFIGURATION):
        origin = base.hole.origin
    hole = call.evaluator.hole(call.node, call.before, origin=origin)
    match call.callee:
        case Ref(Class() as made):
            return Instance(made, hole, arguments=call.arguments)
        case Ref(str() as name) if name == PARTIAL or name.rpartition(".")[2][:1].isupper():
            return Instance(name, hole, arguments=call.arguments)
        case Ref(Function() as function):
            return Opaque(hole, (function, call.arguments))
        case _:
            return Opaque(hole)


def words_of(arguments: Arguments) -> Segments:
    """The words of positional arguments."""
    found: list[Segments] = []
    for value, starred in arguments.positional:
        if starred:
            found.append(spliced(value))
        else:
            found.append((as_word(value),))
    return tuple(segment for each in found for segment in each)


def _written(ev: Evaluator, node: ast.expr, value: Value) -> Value:
    """An argument, with the expression that it is."""
    if value.whole is not None:
        return value
    match value:
        case Seq(segments):
            return Seq(segments, ev.hole(node))
        case Ref(target, instance):
            return Ref(target, instance, ev.hole(node))
        case OneOf(options):
            return OneOf(options, ev.hole(node))
        case _:
            return value


def _one_dict(value: OneOf, keywords: Dict) -> Dict:
    """Keywords from one of several dictionaries: what differs is one of several values."""
    options = [(guards, option) for guards, option in options_of(value) if isinstance(option, Dict)]
    over: dict[str, Value] = {}
    under: dict[str, Value] = {}
    for name in dict.fromkeys(name for _, option in options for name, _ in option.over):
        rows = []
        for guards, option in options:
            item = dict(option.over).get(name, dict(option.under).get(name, Plain(None)))
            rows.append((guards[-1], item))
        same = all(item == rows[0][1] for _, item in rows)
        over[name] = rows[0][1] if same else OneOf(tuple(rows))
    for _, option in options:
        under.update(option.under)
    rests = [option.rest for _, option in options if option.rest is not None]
    return Dict(
        tuple({**over, **dict(keywords.over)}.items()),
        rests[0] if rests else keywords.rest,
        tuple({**under, **dict(keywords.under)}.items()),
    )
