"""From what was found in a function to what is said of it: `RawSite` to `Site`."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from privmigrate.callsites.building import building
from privmigrate.callsites.motion import Motion
from privmigrate.callsites.raw import RawSite, forwarded, root_of
from privmigrate.callsites.shapes import Shapes
from privmigrate.callsites.site import (
    KNOWN_OPTIONS,
    TIMED_EXECUTORS,
    TIMED_OPTIONS,
    Convention,
    Option,
    Reason,
    Result,
    Root,
    Site,
    Template,
    Word,
)
from privmigrate.callsites.source import expression, unparse
from privmigrate.callsites.state import settle
from privmigrate.callsites.values import Dict, Hole, OneOf, Plain, Seq, Str, Value

if TYPE_CHECKING:
    from privmigrate.callsites.analysis import Analysis

_ROOT: Final = frozenset({"run_as_root", "root_helper"})
_QUIET: Final = frozenset({"loglevel"})  # what wrappers add, and no caller notices
_ENVIRONMENT: Final = ("addl_env", "env_variables")
_MOST_CUTS: Final = 4
_SUPPRESSED: Final = frozenset({"_", "__", "_err", "__err", "_stderr"})


def finish(analysis: "Analysis", raws: list[RawSite]) -> Site | None:
    """Say what is known of one call, which may be several through a wrapper; None if not root."""
    kept = [raw for raw in raws if root_of(raw.keywords) is not False]
    if not kept:
        return None
    first = kept[0]
    root, condition = _root(first)
    if root is None:
        return None
    reasons: dict[Reason, None] = {}
    templates: list[Template] = []
    cuts: list[tuple[Template, int]] = []
    motions: list[Motion] = []
    for raw in kept:
        segments = settle(raw.segments, analysis.grown)
        motion = Motion(raw, segments)
        motions.append(motion)
        shapes = Shapes(motion)
        if raw.netns is not None:
            shapes.netns = shapes.word(raw.netns, ())
        shapes.add(segments)
        templates += [each for each in shapes.templates if each not in templates]
        reasons.update(shapes.reasons)
        reasons.update(dict.fromkeys(raw.doubts))
        cuts += shapes.cuts
        if forwarded(raw):
            reasons[Reason.WRAPPER] = None
            reasons.pop(Reason.FREE_WORDS, None)
            reasons.pop(Reason.FREE_COMMAND, None)
    options = tuple(_options(first))
    if _has_unknown_options(first, options):
        reasons[Reason.OPTIONS] = None
    function = first.frame.function
    return Site(
        span=first.frame.module.file.span(first.node),
        module=first.frame.module.name,
        function=function.name if function is not None else "",
        executor=first.executor,
        convention=first.convention,
        root=root,
        condition=condition,
        templates=tuple(_with_environment(each, first) for each in templates),
        reasons=tuple(sorted(reasons, key=lambda reason: reason.value)),
        words_source=_words_source(first, cuts),
        list_source="" if first.via else _whole_list(first),
        options=options,
        result=_result(first),
        handlers=tuple(_handlers(first)),
        building=building(first, motions[0]) if not first.via else (),
        via=first.via,
        through=first.through,
        sentinel=first.sentinel,
        also_outside=first.also_outside,
    )


def _root(raw: RawSite) -> tuple[Root | None, str]:
    match root_of(raw.keywords):
        case True:
            return Root.ALWAYS, ""
        case False | Hole():
            # who passes everything on is a wrapper, and its callers say it
            return None, ""
        case value:
            return Root.CONDITIONAL, _source(value, raw)


def _source(value: Value, raw: RawSite) -> str:
    keyword = next((k for k in raw.node.keywords if k.arg == "run_as_root"), None)
    if keyword is not None:
        return raw.frame.module.file.segment(keyword.value) or unparse(keyword.value)
    whole = None if isinstance(value, Dict) else value.whole
    return expression(whole)


def _options(raw: RawSite) -> Iterator[Option]:
    written_here = {k.arg: k.value for k in raw.node.keywords if k.arg is not None}
    for name, value in sorted(raw.keywords.items().items()):
        if name in _ROOT:
            continue
        node = written_here.get(name)
        if node is not None:
            text = raw.frame.module.file.segment(node) or unparse(node)
            yield Option(name, text, _is_literal(node))
            continue
        if name in _QUIET or (isinstance(value, Plain) and value.value is None):
            continue
        yield Option(name, *_option_source(value))


def _option_source(value: Value) -> tuple[str, bool]:
    match value:
        case Plain(constant):
            return repr(constant), True
        case Str() if value.text is not None:
            return repr(value.text), True
        case Dict() | OneOf():
            return "", False
        case Seq():
            whole = value.whole
            node = whole.node if whole is not None else None
            return expression(whole), node is not None and _is_literal(node)
        case _:
            return expression(value.whole), False


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _has_unknown_options(raw: RawSite, options: tuple[Option, ...]) -> bool:
    if raw.keywords.rest is not None:
        return True
    known = KNOWN_OPTIONS
    if TIMED_EXECUTORS & {*raw.via, *raw.through}:
        known |= TIMED_OPTIONS
    for option in options:
        if option.name in _ENVIRONMENT:
            if _environment(raw) is None:
                return True
        elif option.name not in known or not option.source:
            return True
    return False


def _environment(raw: RawSite) -> dict[str, str] | None:
    """The variables that a keyword argument sets, where they are constants."""
    found: dict[str, str] = {}
    for name in _ENVIRONMENT:
        value = raw.keywords.get(name)
        match value:
            case None | Plain(None):
                continue
            case Dict(rest=None):
                for key, each in value.items().items():
                    if not isinstance(each, Str) or each.text is None:
                        return None
                    found[key] = each.text
            case _:
                return None
    return found


def _with_environment(template: Template, raw: RawSite) -> Template:
    from dataclasses import replace

    from privmigrate.callsites.site import Text

    found = _environment(raw)
    if not found:
        return template
    more = tuple((name, Word((Text(value),))) for name, value in found.items())
    return replace(template, environment=(*template.environment, *more))


def _words_source(raw: RawSite, cuts: list[tuple[Template, int]]) -> str:
    """An expression for the whole list, without what was taken off its beginning."""
    whole = "" if raw.via else _whole_list(raw)
    counts = dict.fromkeys(count for _, count in cuts)
    if not whole or not any(counts):
        return whole
    simple = whole if whole.isidentifier() or whole.startswith("[") else f"({whole})"
    if len(counts) == 1:
        return f"{simple}[{next(iter(counts))}:]"
    guards = [template.guard for template, _ in cuts]
    if len(counts) > _MOST_CUTS or not all(guards) or not all(each.movable for each, _ in cuts):
        return ""
    *first, (_, last) = cuts
    texts = [f"{_cut(simple, count)} if {each.guard} else " for each, count in first]
    return "".join(texts) + _cut(simple, last)


def _cut(whole: str, count: int) -> str:
    return f"{whole}[{count}:]" if count else whole


def _whole_list(raw: RawSite) -> str:
    file = raw.frame.module.file
    texts = [file.segment(each) or unparse(each) for each in raw.node.args]
    if raw.convention is Convention.LIST:
        return texts[0] if texts else ""
    if len(texts) == 1 and isinstance(raw.node.args[0], ast.Starred):
        return texts[0].removeprefix("*")
    return f"[{', '.join(texts)}]"


# how the caller uses it


def _result(raw: RawSite) -> Result:
    parents = raw.frame.module.parents
    node: ast.AST = raw.node
    parent = parents.get(node)
    if isinstance(parent, ast.Await):
        node, parent = parent, parents.get(parent)
    text = raw.convention is Convention.LIST and raw.keywords.get("return_stderr") is None
    match parent:
        case ast.Expr():
            return Result.IGNORED
        case ast.Return():
            return Result.RETURNED
        case _ if text:
            return Result.STDOUT
        case ast.Assign([ast.Tuple([_, second])]):
            ignored = isinstance(second, ast.Name) and (
                second.id in _SUPPRESSED or _is_unused(raw, second.id)
            )
            return Result.STDOUT if ignored else Result.PAIR
        case ast.Subscript(_, ast.Constant(0)):
            return Result.STDOUT
        case _:
            return Result.WHOLE


def _is_unused(raw: RawSite, name: str) -> bool:
    function = raw.frame.function
    if function is None:
        return False
    named = raw.frame.module.body(function.node).names.get(name, ())
    return not any(isinstance(each.ctx, ast.Load) for each in named)


def _handlers(raw: RawSite) -> Iterator[str]:
    parents = raw.frame.module.parents
    node: ast.AST = raw.node
    while (parent := parents.get(node)) is not None:
        if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return
        if isinstance(parent, ast.Try) and node in parent.body:
            for handler in parent.handlers:
                if handler.type is None:
                    yield "BaseException"
                elif isinstance(handler.type, ast.Tuple):
                    yield from (unparse(each) for each in handler.type.elts)
                else:
                    yield unparse(handler.type)
        node = parent
