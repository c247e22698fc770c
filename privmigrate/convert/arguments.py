"""The arguments of a replacing call, as a person would have written them at this call.

What the analysis found behind a name is the same value; but where the call itself, or the list
that it is given, has an expression for a whole word, that one is kept.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from privmigrate.callsites.site import Convention
from privmigrate.convert.document import (
    Document,
    Function,
    bound_names,
    loaded_names,
    parse_expression,
)
from privmigrate.convert.effects import filled
from privmigrate.convert.operation import Each, Hole, Kind, Lit, Option
from privmigrate.convert.use import Form, Use

_NAMED: Final = (ast.Name, ast.Attribute)


@dataclass(frozen=True, slots=True)
class Given:
    """One argument: the parameter, the expression, and whether it is given by name."""

    name: str
    text: str
    keyword: bool

    def __str__(self) -> str:
        """As it is written by name."""
        return f"{self.name}={self.text}"


def written(use: Use, call: ast.Call, document: Document) -> list[Given]:
    """The arguments in the order of the entrypoint's parameters, those by name last."""
    function = document.function(call)
    kept = _kept(use, call, function) if use.form is Form.TYPED else {}
    words = {param.name for param in use.op.params if param.kind in {Kind.WORD, Kind.VARIABLE}}
    optional = {param.name for param in use.op.params if param.optional and param.name in words}
    found = []
    for each in use.arguments:
        node = kept.get(each.name) or _short(parse_expression(each.source), function)
        if each.name in words:
            node = _as_text(_concatenated(node, function))
        if each.name in optional and not _may_be_left_out(node):
            node = _str(node)  # None would leave it out, and was a word before
        node = _unconditional(node)
        same = each.name not in kept and ast.dump(node) == ast.dump(parse_expression(each.source))
        text = one_line(each.source) if same else _text(node, document)
        found.append(Given(each.name, text, each.keyword))
    for name, source in (("stdin", use.stdin), ("under", use.under)):
        if source:
            found.append(Given(name, one_line(source), keyword=True))
    return found


def by_name(use: Use, given: Sequence[Given]) -> Iterator[str]:
    """All arguments by name, in the order in which the command line has them."""
    numbers = [word.number for word in use.op.words if isinstance(word, Hole | Option | Each)]
    order = [use.op.params[number].name for number in numbers]
    texts = {each.name: str(each) for each in given}
    for name in dict.fromkeys([*order, *texts]):
        if name in texts:
            yield texts[name]


def one_line(source: str) -> str:
    """An expression on one line, as it is written where it is on one."""
    if "\n" not in source and "\r" not in source:
        return source.strip()
    return ast.unparse(parse_expression(source))


def _text(node: ast.expr, document: Document) -> str:
    """As the file has it, where it is from there."""
    if getattr(node, "lineno", 0) and node in document.parents:
        return one_line(document.source(node))
    return ast.unparse(node)


def _kept(use: Use, call: ast.Call, function: Function | None) -> dict[str, ast.expr]:
    """The expressions that the call, or its list, has for whole words, by parameter."""
    words = _words(use, call, function)
    first = words[0] if words else None
    if not isinstance(first, ast.Constant) or first.value != use.op.command:
        return {}
    if use.under or len(use.site.templates) != 1:
        return {}
    found: dict[str, ast.expr] = {}
    for word, node in zip(use.op.words, words[1:], strict=False):
        if isinstance(node, ast.Starred):
            break
        match word:
            case Hole(number, "", "") if node is not None:
                found[use.op.params[number].name] = node
            case Lit(text) if not isinstance(node, ast.Constant) or node.value == text:
                continue
            case Hole(number, prefix, suffix):
                inner = _between(prefix, suffix, node) if node is not None else None
                if inner is not None:
                    found[use.op.params[number].name] = inner
            case _:
                break  # from here on words may be missing
    return found


def _between(prefix: str, suffix: str, node: ast.expr) -> ast.expr | None:
    """What stands between two texts in an expression that puts a word together."""
    match node:
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod(), right=value):
            whole = f"{prefix.replace('%', '%%')}%s{suffix.replace('%', '%%')}"
            if isinstance(value, ast.Tuple):
                return value.elts[0] if text == whole and len(value.elts) == 1 else None
            return value if text == whole and isinstance(value, _NAMED) else None
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Add(), right=value):
            # only text can be added to text, so that nothing else is meant
            return value if (text, "") == (prefix, suffix) and isinstance(value, _NAMED) else None
        case _:
            return None


def _words(use: Use, call: ast.Call, function: Function | None) -> Sequence[ast.expr | None]:
    """The words one by one: at the call, or in a list that is bound once and never added to.

    None stands for one that may be another one by now.
    """
    words = list(call.args)
    only = words[0] if len(words) == 1 else None
    if use.site.convention is Convention.OSLO:
        if not isinstance(only, ast.Starred):
            return words
        only = only.value
    if isinstance(only, ast.List | ast.Tuple):
        return only.elts
    if not isinstance(only, ast.Name) or function is None:
        return []
    literal = _bound_once(only.id, function)
    if not isinstance(literal, ast.List | ast.Tuple):
        return []
    # what stands in it may be read later if it is bound once as well
    return [each if _is_stable(each, function) else None for each in literal.elts]


def _bound_once(name: str, function: Function) -> ast.expr | None:
    """What a name is bound to, by the only statement of a function that touches it."""
    found = None
    for node in ast.walk(function):
        if name in filled(node):
            return None
        if isinstance(node, ast.Assign) and [ast.unparse(each) for each in node.targets] == [name]:
            found = node.value
    return found if list(bound_names(function)).count(name) == 1 else None


def _is_stable(node: ast.expr, function: Function) -> bool:
    if isinstance(node, ast.Constant):
        return True
    if not isinstance(node, ast.Name):
        return False
    return list(bound_names(function)).count(node.id) <= 1


def _as_text(node: ast.expr) -> ast.expr:
    """An executor takes `str` of each word, and an entrypoint text or an integer."""
    match node:
        case ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return _str(node)
        case ast.Constant(value=bool() | float()):
            return _str(node)
        case ast.BinOp(op=ast.Div()):
            return _str(node)
        case _:
            return node


def _may_be_left_out(node: ast.expr) -> bool:
    """Whether None means what it says, or cannot be: of text, and where a condition chooses it."""
    match node:
        case ast.IfExp() | ast.BoolOp(op=ast.Or()) | ast.JoinedStr():
            return True
        case ast.Constant(value=value):
            return value is not None
        case ast.BinOp(op=ast.Mod(), left=ast.Constant()):
            return True
        case ast.BinOp(left=left, right=right):
            return _may_be_left_out(left) or _may_be_left_out(right)
        case ast.Call(func=called):
            name = called.attr if isinstance(called, ast.Attribute) else ast.unparse(called)
            return name in {"str", "join", "format", "get"}
        case _:
            return False


def _str(node: ast.expr) -> ast.expr:
    return ast.Call(ast.Name("str", ast.Load()), [node], [])


def _concatenated(node: ast.expr, function: Function | None) -> ast.expr:
    """What the function concatenates by `+` is not formatted: that takes text and nothing else."""
    parts = _pieces(node)
    if function is None or len(parts) < 2:  # noqa: PLR2004 - nothing to put together
        return node
    values = [ast.dump(each) for each in parts if not isinstance(each, ast.Constant)]
    for each in ast.walk(function):
        if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Add):
            added = [ast.dump(one) for one in _sum(each) if not isinstance(one, ast.Constant)]
            if added == values and set(loaded_names(each)) == set(loaded_names(node)):
                text = parts[0]
                for part in parts[1:]:
                    text = ast.BinOp(text, ast.Add(), part)
                return text
    return node


def _pieces(node: ast.expr) -> list[ast.expr]:
    """The parts of formatted text; none where it formats a value in a way of its own."""
    match node:
        case ast.JoinedStr(values=values):
            parts: list[ast.expr] = []
            for value in values:
                match value:
                    case ast.FormattedValue(value=inner, conversion=-1, format_spec=None):
                        parts.append(inner)
                    case ast.Constant():
                        parts.append(value)
                    case _:
                        return []
            return parts
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format"),
            args=arguments,
            keywords=[],
        ) if text.count("{}") == len(arguments) and text.count("{") == len(arguments):
            pieces: list[ast.expr] = []
            for number, constant in enumerate(text.split("{}")):
                pieces += [ast.Constant(constant)] if constant else []
                pieces += arguments[number : number + 1]
            return pieces
        case _:
            return []


def _sum(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_sum(node.left), *_sum(node.right)]
    return [node]


def _short(node: ast.expr, function: Function | None) -> ast.expr:
    """``kwargs['x'] if 'x' in kwargs else None`` is ``kwargs.get('x')``."""
    keywords = function.args.kwarg.arg if function is not None and function.args.kwarg else ""
    match node:
        case ast.IfExp(
            test=ast.Compare(
                left=ast.Constant(value=key), ops=[ast.In()], comparators=[ast.Name(id=name)]
            ),
            body=ast.Subscript(value=ast.Name(id=same), slice=ast.Constant(value=also)),
            orelse=ast.Constant(value=None),
        ) if name == same == keywords and key == also:
            get = ast.Attribute(ast.Name(name, ast.Load()), "get", ast.Load())
            return ast.Call(get, [ast.Constant(key)], [])
        case _:
            return node


def _unconditional(node: ast.expr) -> ast.expr:
    """``x if x is not None else None`` is ``x``, for a name."""
    match node:
        case ast.IfExp(
            test=ast.Compare(
                left=ast.Name(id=name), ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]
            ),
            body=ast.Name(id=same) as body,
            orelse=ast.Constant(value=None),
        ) if name == same:
            return body
        case _:
            return node
