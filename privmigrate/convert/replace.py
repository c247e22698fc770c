"""One call site and its entrypoint → the expression that takes the call's place, or why not.

Nothing is guessed: where evaluation order, a name or an option could change the meaning, the call
stays.
"""

import ast
import builtins
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from privmigrate.callsites.site import AS_BUILT, TIMED_OPTIONS, Convention, Reason, Root
from privmigrate.convert.arguments import by_name, one_line, written
from privmigrate.convert.document import (
    Document,
    bound_names,
    loaded_names,
    parse_expression,
)
from privmigrate.convert.effects import Effect, effect, filled, keeps_order, only_builds, pieces
from privmigrate.convert.spelling import Call, spell
from privmigrate.convert.use import Form, Use
from privmigrate.diagnostics import Span


class Because(Enum):
    """Why a call stays as it is, besides what the site and the conversion say."""

    SITE = "site"  # one of the site's reasons
    UNLINKED = "unlinked"  # one of the conversion's
    MOVED = "moved"  # not where it was found
    OPTIONS = "options"
    ORDER = "order"
    NAME = "name"
    SCOPE = "scope"
    NESTED = "nested"
    RUNTIME = "runtime"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    WRAPPER = "wrapper"


@dataclass(frozen=True, slots=True)
class Left:
    """A call that stays, and what a person should know about it."""

    span: Span
    because: Because
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """A call that goes.

    Attributes:
        call: the node that is replaced.
        before, after: as it is written, and what is written in its place, on one line.
        expression: the tree of `after`.
        form: the layout-free parts of `after`.
        imports: (module, name) of what it needs besides the entrypoint's module.
    """

    use: Use
    call: ast.Call
    before: str
    expression: ast.expr
    form: Call
    imports: tuple[tuple[str, str], ...]

    @property
    def after(self) -> str:
        """What is written in its place, on one line."""
        return spell(self.form)


@dataclass(frozen=True, slots=True)
class Target:
    """The generated package.

    Attributes:
        policies: its runtime's entrypoints have `policy`, `neutron` and `local`.
        entrypoints: what it has, as ``module.name``.
    """

    package: str
    policies: bool = True
    entrypoints: frozenset[str] = frozenset()


# Reasons for which a call is never replaced, and what is said then.
_NEVER: Final = {
    Reason.REMOTE: "may go to another host",
    Reason.REASSIGNED: "takes a word from a 'constant' that is assigned elsewhere as well",
    Reason.INJECTED: "runs what was passed in as its executor, and not every one is known",
    Reason.OPTIONS: "has keyword arguments that no entrypoint has",
    Reason.SHELL: "runs a shell's program",
    Reason.WRAPPER: "forwards what its callers give it",
    Reason.UNPARSED: "stands in a file that is no Python 3",
}
ABOUT_ROOT: Final = frozenset({"run_as_root", "root_helper", "privsep_exec"})
# Options of an executor -> (what it means where it is not given).
_OPTIONS: Final[Mapping[Convention, Mapping[str, Sequence[object]]]] = {
    Convention.OSLO: {
        "check_exit_code": (True, 0, [0], (0,), None),
        "attempts": (1,),
        "delay_on_retry": (True,),
        "log_errors": (None, 0),
        "loglevel": (10,),
        "timeout": (None, 0),
        "interval": (),
        "backoff_rate": (2,),
        "raise_timeout": (None,),
    },
    Convention.LIST: {
        "check_exit_code": (True,),
        "extra_ok_codes": (None, [], ()),
        "log_fail_as_error": (True,),
        "return_stderr": (False,),
    },
}
_BUILTINS: Final = frozenset(dir(builtins))
_IN_FRONT: Final = frozenset({"env", "ip", "sudo"})
_OTHER_EXECUTORS: Final = frozenset({"trycmd", "ssh_execute", "execute_rootwrap_daemon"})


class _Stays(Exception):  # noqa: N818 - an outcome, caught in `replace`
    def __init__(self, because: Because, text: str, code: str = "") -> None:
        super().__init__(text)
        self.because, self.text, self.code = because, text, code or because.value


def replace(use: Use, document: Document, callee: str, target: Target) -> Replacement | Left:
    """Replace the call of a use; `callee` is how this file names the entrypoint's module."""
    try:
        return _replace(use, document, callee, target)
    except _Stays as stays:
        return Left(use.site.span, stays.because, stays.code, stays.text)
    except (SyntaxError, RecursionError, ValueError) as error:
        text = f"its arguments cannot be written here: {error}"
        return Left(use.site.span, Because.SCOPE, Because.SCOPE.value, text)


def _replace(use: Use, document: Document, callee: str, target: Target) -> Replacement:
    site = use.site
    _check_reasons(use)
    if f"{use.op.module}.{use.op.name}" not in target.entrypoints:
        raise _Stays(
            Because.MISSING,
            f"{target.package}.{use.op.module} has no {use.op.name} (run privmigrate convert "
            "with --callsites first)",
        )
    call = document.find_call(site)
    if call is None:
        raise _Stays(Because.MOVED, f"no call of {site.executor} begins here")
    if use.form is Form.TYPED and any(each.command is None for each in site.templates):
        raise _Stays(Because.SITE, "runs one of several commands", "several-commands")
    _check_way(call, use, document)
    netns = _netns(call, use)
    if netns:
        use = dataclasses.replace(use, under="", imports=())
    options = _options(call, use)
    judged = _judged(use, [*options_of(site.convention, options), *_rooted(call, netns)], target)
    given = written(use, call, document)
    positional = [each.text for each in given if not each.keyword]
    keywords = [str(each) for each in given if each.keyword]
    form = Call(f"{callee}.{use.op.name}", judged, (*positional, *keywords))
    if not _in_order(use, call, form, document):
        if positional and keywords and use.form is Form.TYPED:
            # by name, arguments can stand in any order
            form = Call(form.callee, judged, tuple(by_name(use, given)))
        if not _in_order(use, call, form, document):
            raise _Stays(
                Because.ORDER, "its arguments have effects, and would be evaluated in another order"
            )
    _check_scope(use, call, form, document)
    expression = parse_expression(spell(form))
    return Replacement(use, call, document.source(call), expression, form, use.imports)


def _check_reasons(use: Use) -> None:
    site = use.site
    for reason in site.reasons:
        if reason in _NEVER and not (use.as_built and reason in AS_BUILT):
            raise _Stays(Because.SITE, _NEVER[reason], reason.value)
    if site.via:
        raise _Stays(Because.WRAPPER, f"goes through {site.via[0]}", "through-wrapper")
    name = site.executor.rpartition(".")[2]
    if name in _OTHER_EXECUTORS:
        raise _Stays(Because.OPTIONS, f"{name} gives back something else than execute does")


def _check_way(call: ast.Call, use: Use, document: Document) -> None:
    """Make sure that what is called is given the command line, and gives back its result."""
    first = call.args[0] if call.args else None
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        prefixes = {word.text for each in use.site.templates for word in each.prefix}
        commands = {command for each in use.site.templates for command in each.commands}
        if first.value not in {use.op.command, *commands, *prefixes, *_IN_FRONT}:
            raise _Stays(
                Because.WRAPPER, f"is given {first.value!r} before the command", "through-wrapper"
            )
    passing = {each.rpartition(".")[2] for each in use.site.through}
    for function in (each for name in passing for each in document.functions.get(name, ())):
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
                raise _Stays(
                    Because.WRAPPER,
                    f"goes through {function.name}, which gives back something else as well",
                    "through-wrapper",
                )


def _options(call: ast.Call, use: Use) -> dict[str | None, ast.expr]:
    """The options of a call that say how its result is judged."""
    site = use.site
    known = _OPTIONS[site.convention].keys() - (frozenset() if site.timed else TIMED_OPTIONS)
    found: dict[str | None, ast.expr] = {}
    for keyword in call.keywords:
        if keyword.arg in known:
            found[keyword.arg] = keyword.value
        else:
            _check_option(keyword, use)
    for option in site.options:  # what a function in between adds
        if option.name not in known or option.name in found:
            continue
        if not option.constant:
            raise _Stays(Because.OPTIONS, f"{option.name} is not written at the call")
        found[option.name] = parse_expression(option.source)
    if site.convention is Convention.LIST and len(call.args) > 1:
        raise _Stays(Because.OPTIONS, "has options that are given by position")
    return found


def _check_option(keyword: ast.keyword, use: Use) -> None:
    """Pass an option that the entrypoint is given otherwise, or that says how to become root."""
    match keyword.arg:
        case None:
            raise _Stays(Because.OPTIONS, "has options that are not written at the call")
        case "process_input":
            if not use.stdin and not _is_none(keyword.value):
                raise _Stays(Because.OPTIONS, "feeds the command something, and its entrypoint not")
        case "addl_env":
            if not any(each.environment for each in use.site.templates):
                raise _Stays(Because.OPTIONS, "has an environment that is not known")
        case name if name not in ABOUT_ROOT:
            raise _Stays(Because.OPTIONS, f"{name} is nothing that an entrypoint has")
        case _:
            return


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _netns(call: ast.Call, use: Use) -> str:
    """The namespace of neutron's ``wrapper.netns.execute``, which may be none; or ""."""
    match call.func:
        case ast.Attribute(value=ast.Attribute(value=wrapper, attr="netns"), attr="execute"):
            if effect(wrapper) is not Effect.ACTS:
                return f"{ast.unparse(wrapper)}.namespace"
        case _:
            return ""
    match parse_expression(use.under or "None"):
        case ast.Call(func=ast.Name(id="Netns"), args=[name]):
            return ast.unparse(name)
        case _:
            raise _Stays(Because.SCOPE, "is executed in a namespace that is not known here")


def _rooted(call: ast.Call, netns: str) -> list[str]:
    """Where it runs, and as whom where there is no namespace."""
    says = any(each.arg == "run_as_root" for each in call.keywords)
    return [f"netns={netns}", *([] if says else ["run_as_root=False"])] if netns else []


def _judged(use: Use, given: list[str], target: Target) -> tuple[str, tuple[str, ...]]:
    """The method that judges the result, and its arguments; "" where the default does."""
    convention = use.site.convention
    if use.condition or use.site.root is Root.CONDITIONAL:
        given.append(f"run_as_root={one_line(use.condition or use.site.condition)}")
    if convention is Convention.OSLO and not given:
        return "", ()
    if not target.policies:
        raise _Stays(Because.RUNTIME, "oslo.privsep's entrypoints cannot judge a result otherwise")
    return ("policy" if convention is Convention.OSLO else "neutron"), tuple(given)


def options_of(convention: Convention, options: Mapping[str | None, ast.expr]) -> dict[str, None]:
    """Those options that do not say what is meant without them, as they are written."""
    known = _OPTIONS[convention]
    return {
        f"{name}={ast.unparse(value)}": None
        for name, value in options.items()
        if not _is_default(value, known.get(name or "", ()))
    }


def _is_default(node: ast.expr, defaults: Sequence[object]) -> bool:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node) in {"logging.DEBUG", "processutils.LogErrors.DEFAULT"}
    return any(type(value) is type(each) and value == each for each in defaults)


def _in_order(use: Use, call: ast.Call, form: Call, document: Document) -> bool:
    function = document.function(call)
    prefixes = {name for _, name in use.imports}  # making one does nothing else
    if function is not None and function.args.kwarg is not None:
        prefixes.add(f"{function.args.kwarg.arg}.get")
    tree = parse_expression(spell(form))
    after: list[ast.expr] = []
    while isinstance(tree, ast.Call):
        after[:0] = pieces(tree, frozenset(prefixes))
        tree = tree.func.value if isinstance(tree.func, ast.Attribute) else tree.func
    kept = {ast.dump(each) for each in after}
    before = [
        each
        for each in pieces(_without_root_helper(call))
        if ast.dump(each) in kept or not _builds(each, document)
    ]
    return keeps_order(before, after)


def _without_root_helper(call: ast.Call) -> ast.Call:
    keywords = [each for each in call.keywords if each.arg != "root_helper"]
    return ast.Call(call.func, call.args, keywords)


def _builds(node: ast.expr, document: Document) -> bool:
    """Whether this calls a function of the same file that does nothing but build words."""
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
    functions = document.functions.get(name, [])
    only = functions[0] if len(functions) == 1 else None
    return isinstance(only, ast.FunctionDef) and only_builds(only)


def _check_scope(use: Use, call: ast.Call, form: Call, document: Document) -> None:
    if any(isinstance(each, ast.Await) for each in list(document.around(call))[:1]):
        raise _Stays(Because.SCOPE, "is awaited")
    inner = list(document.inner_scopes(call))
    within = {name for each in inner for name in bound_names(each)}
    needed = {name for _, name in use.imports} | {form.callee.partition(".")[0]}
    moved = set(loaded_names(parse_expression(spell(form)))) - set(loaded_names(call)) - needed
    if moved & within:
        raise _Stays(Because.SCOPE, f"{min(moved & within)} is another name in this expression")
    if unknown := moved - document.visible_names(call) - _BUILTINS:
        raise _Stays(Because.SCOPE, f"{min(unknown)} is no name that is known here")
    if moved and any(isinstance(each, ast.Lambda) for each in inner):
        raise _Stays(Because.SCOPE, "is called later than its command line is built")
    if _after_error(call, document):
        raise _Stays(Because.SCOPE, "its command line is built where an error may come in between")
    scope = document.scope(call)
    if moved and not all(_within(scope, span) for span in use.site.building):
        raise _Stays(Because.SCOPE, "its command line is built outside of its function")
    executor = ast.dump(call.func)
    others = (each for each in ast.walk(call) if isinstance(each, ast.Call) and each is not call)
    if any(ast.dump(each.func) == executor for each in others):
        raise _Stays(Because.NESTED, "holds another call of its executor")


def _after_error(call: ast.Call, document: Document) -> bool:
    """Whether the call stands in a handler, and its words are put together in what is tried."""
    names = set(loaded_names(call))
    inside: ast.AST = call
    for each in document.around(call):
        if isinstance(each, ast.Try) and inside not in (*each.body, *each.orelse):
            tried = (node for statement in each.body for node in ast.walk(statement))
            if any(names & set(filled(node)) for node in tried):
                return True
        inside = each
    return False


def _within(scope: ast.AST, span: Span) -> bool:
    first, last = getattr(scope, "lineno", 0), getattr(scope, "end_lineno", 1 << 30)
    return bool(first <= span.line <= last)
