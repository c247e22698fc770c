"""The command line that a test expects an executor to get → what the entrypoint gets instead."""

import ast
from collections.abc import Mapping, Sequence

from privmigrate.callsites import site as sites
from privmigrate.callsites.site import Convention, Site
from privmigrate.convert.operation import Each, Hole, Kind, Lit, Op, Option, Segment
from privmigrate.convert.replace import ABOUT_ROOT, Replacement, options_of
from privmigrate.convert.use import Form


def words_of(call: ast.Call) -> list[ast.expr]:
    """The words of a command line that is expected, in either convention."""
    if len(call.args) == 1 and isinstance(call.args[0], ast.List):
        return call.args[0].elts
    return call.args


def arguments_of(expected: ast.Call, replacement: Replacement) -> tuple[str, ...] | None:
    """The arguments that the entrypoint gets, where an executor was expected to get these."""
    use = replacement.use
    is_list = bool(expected.args) and isinstance(expected.args[0], ast.List)
    words = words_of(expected)
    if is_list is not (use.site.convention is Convention.LIST) or use.under:
        return None
    options = {each.arg: each.value for each in expected.keywords if each.arg not in ABOUT_ROOT}
    stdin = options.pop("process_input", None)
    if (stdin is None) is bool(use.stdin):
        return None
    if options_of(use.site.convention, options) != dict.fromkeys(replacement.form.judged[1]):
        return None
    if any(isinstance(each, ast.Starred) for each in words):
        return None
    found = _checked(words, use.op) if use.form is Form.CHECKED else None
    if use.form is Form.TYPED and words and match_word(Lit(use.op.command), words[0]) is not None:
        bound = _match(use.op.words, words[1:], use.op)
        found = None if bound is None else _spelled(bound, replacement)
    if found is None:
        return None
    return (*found, f"stdin={ast.unparse(stdin)}") if stdin is not None else found


def _checked(words: Sequence[ast.expr], op: Op) -> tuple[str, ...] | None:
    """The whole line as a list, where it is written out and the entrypoint takes it."""
    texts = [each.value for each in words if isinstance(each, ast.Constant)]
    argv = tuple(text for text in texts if isinstance(text, str))
    known = any(isinstance(each.match(argv), Mapping) for each in op.lines)
    return (f"[{', '.join(map(repr, argv))}]",) if len(argv) == len(words) and known else None


def _spelled(bound: Mapping[int, str], replacement: Replacement) -> tuple[str, ...] | None:
    """In the form in which the replacing call gives its arguments; None where it gives others."""
    given = replacement.expression
    if not isinstance(given, ast.Call):
        return None
    named = {each.arg: each.value for each in given.keywords if each.arg != "stdin"}
    params = replacement.use.op.params
    positional = [n for n in sorted(bound) if not params[n].keyword and params[n].name not in named]
    if len(positional) != len(given.args):
        return None
    values = {params[n].name: bound[n] for n in sorted(bound) if n not in positional}
    for name, value in named.items():
        # what is optional is passed in any case
        values.setdefault(str(name), _absent(value, replacement))
    if not all(values.values()) or values.keys() != named.keys():
        return None
    return (*(bound[n] for n in positional), *(f"{name}={values[str(name)]}" for name in named))


def _absent(value: ast.expr, replacement: Replacement) -> str:
    """What the call passes for words that are not there; "" where nobody can tell."""
    source = ast.unparse(value)
    guards = {
        each.guard
        for template in replacement.use.site.templates
        for each in template.segments
        if isinstance(each, sites.Optional)
    }
    match value:
        case ast.IfExp(orelse=ast.Constant(value=None)):
            return "None"
        case ast.Call(func=ast.Name(id="bool")) | ast.UnaryOp(op=ast.Not()) | ast.Compare():
            return "False"
        case _:
            return "None" if f"{source} is not None" in guards else ""


def _match(segments: Sequence[Segment], words: Sequence[ast.expr], op: Op) -> dict[int, str] | None:
    """What stands for each parameter in a row of words; None where the row is another one."""
    if not segments:
        return None if words else {}
    first, *rest = segments
    match first:
        case Lit() | Hole():
            one = match_word(first, words[0]) if words else None
            others = _match(rest, words[1:], op) if one is not None else None
            if one is None or others is None:
                return None
            # one parameter may stand for several words, which are the same then
            same = all(others.get(number, text) == text for number, text in one.items())
            return {**one, **others} if same else None
        case Option(number, inner):
            size = len(inner)
            there = _match(inner, words[:size], op) if len(words) >= size else None
            if there is not None and (others := _match(rest, words[size:], op)) is not None:
                value = "True" if op.params[number].kind is Kind.FLAG else there.get(number, "")
                return {**there, number: value, **others} if value else None
            return _match(rest, words, op)
        case Each(number, inner):
            items: list[str] = []
            size = len(inner)
            left = list(words)
            while len(left) >= size and (one := _match(inner, left[:size], op)) is not None:
                items.append(one.get(number, ""))
                left = left[size:]
            others = _match(rest, left, op)
            return None if others is None else {number: f"[{', '.join(items)}]", **others}


def match_word(word: Lit | Hole, given: ast.expr) -> dict[int, str] | None:
    """What stands for the parameter of a word, if any; None where the word is another one."""
    constant = given.value if isinstance(given, ast.Constant) else None
    match word:
        case Lit(text):
            return {} if constant == text and isinstance(constant, str) else None
        case Hole(number, "", ""):
            return {number: ast.unparse(given)}
        case Hole(number, prefix, suffix) if isinstance(constant, str):
            if constant.startswith(prefix) and constant.endswith(suffix):
                return {number: repr(constant[len(prefix) : len(constant) - len(suffix)])}
            return None
        case _:
            return None


def may_run(site: Site, expected: ast.Call) -> bool:
    """Whether a call has a shape that the expected command line could be of.

    What is not known to run this very command says nothing about it.
    """
    words = words_of(expected)
    known = (each for each in site.templates if each.command is not None)
    return any(_fits(each.segments, words) for each in known)


def _fits(segments: Sequence[sites.Segment], words: Sequence[ast.expr]) -> bool:
    if not segments:
        return not words
    first, *rest = segments
    match first:
        case sites.Word():
            return bool(words) and _may_be(first, words[0]) and _fits(rest, words[1:])
        case sites.Optional(segments=inner):
            return _fits([*inner, *rest], words) or _fits(rest, words)
        case sites.Repeated():
            # any number of words, which is more than it may be
            return any(_fits(rest, words[taken:]) for taken in range(len(words) + 1))


def _may_be(word: sites.Word, given: ast.expr) -> bool:
    if word.text is None or not isinstance(given, ast.Constant):
        return True
    return word.text == str(given.value)
