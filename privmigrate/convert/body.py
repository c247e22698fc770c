"""Prints what the body of an entrypoint does, and how its docstring shows the command line."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from keyword import iskeyword

from privmigrate.convert.annotate import RUNTIME, Imports
from privmigrate.convert.layout import Clauses, Expression, Group, Text
from privmigrate.convert.listing import GIVEN, WORDS
from privmigrate.convert.operation import (
    Cat,
    Each,
    Hole,
    Kill,
    Kind,
    Lit,
    Op,
    Option,
    Param,
    Segment,
    Word,
)
from privmigrate.convert.text import quote, quote_formatted


def call(op: Op, executable: Expression, imports: Imports) -> Expression:
    """Print the expression that an entrypoint returns; `executable` is what runs."""
    match op.native:
        case Kill(programs):
            names = (param.name for param in op.params)
            native = imports.use(RUNTIME, "natives")
            return Group(f"{native}.kill(", (*names, *map(quote, programs)), ")")
        case Cat(path):
            return Group(f"{imports.use(RUNTIME, 'natives')}.cat(", (quote(path),), ")")
        case None:
            pass
    name = imports.use(RUNTIME, "natives" if op.natively else "run")
    items = (executable, *_arguments(op, imports))
    return Group(f"{name}.do(" if op.natively else f"{name}(", items, ")")


def _arguments(op: Op, imports: Imports) -> Iterator[Expression]:
    """The words, and what else the command gets."""
    yield from (_segment(word, op.params) for word in op.words)
    if op.assigned:
        yield f"*{GIVEN}.args"
        yield f"env={GIVEN}.env"
    elif op.templates:
        yield f"*{WORDS}[1:]"
    if op.rest:
        yield from (f"argument_{number}" for number in range(1, op.rest.minimum + 1))
        yield "*args"
    if op.environment:
        yield _environment(op, imports)
    if op.stdin:
        yield "stdin=stdin"
    if op.run_as != "root":
        yield f"user={quote(op.run_as)}"
    if op.prefixes:
        yield "under=under"
    if op.within:
        yield f"within={quote(op.within)}"


def _segment(segment: Segment, params: Sequence[Param]) -> Expression:
    match segment:
        case Option(number, words):
            param = params[number]
            test = param.name if param.kind is Kind.FLAG else f"{param.name} is not None"
            there = Group("(", tuple(_word(word, params) for word in words), ")", lonely=True)
            return Clauses("*(", (there, f"if {test}", "else ()"), ")")
        case Each(number, words):
            return _each(params[number].name, words, {param.name for param in params})
        case Lit() | Hole():
            return _word(segment, params)


def _word(word: Word, params: Sequence[Param]) -> Expression:
    match word:
        case Lit(text):
            return Text(text)
        case Hole(number, "", ""):
            return params[number].name
        case Hole(number, prefix, suffix):
            return quote_formatted(prefix, params[number].name, suffix)


def _each(name: str, words: Sequence[Lit | Hole], taken: Collection[str]) -> Expression:
    """Splice the words in once for every item."""
    match words:
        case (Hole(_, "", ""),):
            return f"*{name}"
        case _:
            pass
    item, word_name = (
        next(name for name in names if name not in taken)
        for names in (("item", "each", "item_", "each_"), ("word", "part", "word_", "part_"))
    )
    printed: list[Expression] = []
    for word in words:
        match word:
            case Lit(text):
                printed.append(Text(text))
            case Hole(_, "", ""):
                printed.append(item)
            case Hole(_, prefix, suffix):
                printed.append(quote_formatted(prefix, item, suffix))
    if len(printed) == 1:
        return Clauses("*(", (printed[0], f"for {item} in {name}"), ")")
    each = Group(f"for {word_name} in (", tuple(printed), ")")
    return Clauses("*(", (word_name, f"for {item} in {name}", each), ")")


def _environment(op: Op, imports: Imports) -> Expression:
    environment = op.environment
    if environment is None:
        raise AssertionError("only an EnvFilter has an environment")
    fixed = tuple(f"{quote(name)}: {quote(value)}" for name, value in environment.fixed)
    items: list[Expression] = [Group("{", fixed, "}") if fixed else "{}"]
    if len(environment.combinations) > 1:
        items.extend(row([quote(name) for name in names]) for names in environment.combinations)
    variables = [param for param in op.params if param.kind is Kind.VARIABLE]
    plain = [param for param in variables if _is_keyword(param.text)]
    others = [param for param in variables if not _is_keyword(param.text)]
    items.extend(f"{param.text}={param.name}" for param in plain)
    if others:
        pairs = tuple(f"{quote(param.text)}: {param.name}" for param in others)
        items.append(Group("**{", pairs, "}"))
    return Group(f"env={imports.use(RUNTIME, 'environment')}(", tuple(items), ")")


def _is_keyword(text: str) -> bool:
    return text.isidentifier() and text.isascii() and not iskeyword(text)


def row(items: Sequence[str]) -> Expression:
    """A tuple of these."""
    return Group("(", tuple(items), ")", lonely=True) if items else "()"


def usage(
    command: str, words: Sequence[Segment], params: Sequence[Param], *, rest: bool = False
) -> str:
    """The command line as docstrings show it: ``lvs --name NAME [-v] ...``."""
    parts = [command, *_shown(words, params)]
    return f"``{' '.join([*parts, '...'] if rest else parts)}``"


def _shown(words: Sequence[Segment], params: Sequence[Param]) -> Iterable[str]:
    for word in words:
        match word:
            case Lit(text):
                yield text or "''"
            case Hole(number, prefix, suffix):
                yield prefix + params[number].name.upper().strip("_") + suffix
            case Option(_, inner):
                yield f"[{' '.join(_shown(inner, params))}]"
            case Each(_, inner):
                yield f"[{' '.join(_shown(inner, params))}]..."
