"""Prints the parameter that takes a whole command line, and what it may be."""

from collections.abc import Iterable, Sequence
from typing import Final

from privmigrate.argv import template
from privmigrate.convert.annotate import Imports, specification
from privmigrate.convert.layout import Expression, Group, Text
from privmigrate.convert.operation import Op
from privmigrate.convert.text import quote

LINES: Final = "privmigrate.privsep.lines"
WORDS: Final = "words"
"""The parameter's name."""
GIVEN: Final = "given"
"""What a body calls its parts."""


def words_parameter(lines: Sequence[template.Template], imports: Imports) -> Expression:
    """Print the parameter as it stands in a signature."""
    annotated = imports.use("typing", "Annotated")
    known = Group(
        f"{imports.use(LINES, 'CommandLines')}(",
        tuple(_call("line", each.segments, imports) for each in lines),
        ")",
    )
    return Group(f"{WORDS}: {annotated}[", (imports.use(LINES, "Words"), known), "]")


def taken_apart(op: Op, imports: Imports) -> Iterable[str]:
    """Print the statement that takes variables off, where a list may begin with them."""
    if op.assigned:
        yield f"    {GIVEN} = {imports.use(LINES, 'parts_of')}({WORDS})"


def _call(
    function: str, segments: Sequence[template.Segment], imports: Imports, name: str = ""
) -> Expression:
    items: list[Expression] = [quote(name)] if name else []
    for segment in segments:
        match segment:
            case template.Lit(text):
                items.append(Text(text))
            case template.Hole(called, spec):
                inner = specification(spec, imports)
                items.append(Group(f"{imports.use(LINES, 'hole')}(", (quote(called), inner), ")"))
            case template.Opt(called, inner):
                items.append(_call("optional", inner, imports, called))
            case template.Rep(called, inner):
                items.append(_call("repeated", inner, imports, called))
    return Group(f"{imports.use(LINES, function)}(", tuple(items), ")")


def usage_of(line: template.Template) -> str:
    """A command line that is taken as a list, as docstrings show it."""
    return f"``{' '.join(_shown_segments(line.segments))}``"


def _shown_segments(segments: Sequence[template.Segment]) -> Iterable[str]:
    for segment in segments:
        match segment:
            case template.Lit(text):
                yield text or "''"
            case template.Hole(name, spec):
                del spec
                yield name.upper().strip("_")
            case template.Opt(_, inner):
                yield f"[{' '.join(_shown_segments(inner))}]"
            case template.Rep(_, inner):
                yield f"[{' '.join(_shown_segments(inner))}]..."
