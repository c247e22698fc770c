"""Calls that were replaced by entrypoints: what the lock remembers of them, so that they count on.

A replaced call runs no command any more, and no site asks for its entrypoint. What it was is
remembered instead, as long as its function calls the entrypoint: converting the filters again then
makes of the same calls the same package.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from privmigrate.callsites.files import SourceFile, parse
from privmigrate.callsites.index import Module
from privmigrate.callsites.site import (
    AS_BUILT,
    Given,
    Optional,
    Repeated,
    Segment,
    Site,
    Template,
    Text,
    Word,
)
from privmigrate.convert.encoding import decode, encode
from privmigrate.convert.made import call_of
from privmigrate.diagnostics import Diagnostic, Span

NOWHERE: Final = Span("")
_LETTER: Final = re.compile(rb"\w")
# before a module's name; `privileged_files` is how files of hacking's style name an import
_BEFORE: Final = re.compile(rb"[^\W_]")


@dataclass(frozen=True, slots=True)
class Replaced:
    """One call.

    Attributes:
        key: of the operation that became the entrypoint.
        entrypoint: as ``module.name``.
        site: the call as it was, without what only matters where it stood.
        before: itself as tests know it, without the words of its command; "" where names alone
            cannot make it again.
    """

    key: str
    entrypoint: str
    site: Site
    before: str = ""


def remembered(key: str, entrypoint: str, site: Site, before: str = "") -> Replaced:
    """What is kept of a call; the same wherever the sources lie."""
    kept = replace(
        site,
        span=Span(call_of(site).file, site.span.line, site.span.column),
        templates=tuple(map(_template, site.templates)),
        handlers=(),
        building=(),
        given=_given(site),
    )
    return Replaced(key, entrypoint, kept, before)


def _given(site: Site) -> Given | None:
    """How many callers a wrapper's own call had: where they are changes."""
    if site.given is None:
        return None
    return Given(tuple(replace(each, route=()) for each in site.given.callers))


def _template(template: Template) -> Template:
    return replace(
        template,
        segments=tuple(map(_segment, template.segments)),
        environment=tuple((name, _word(word)) for name, word in template.environment),
        netns=None if template.netns is None else _word(template.netns),
        prefix=tuple(map(_word, template.prefix)),
    )


def _segment(segment: Segment) -> Segment:
    match segment:
        case Word():
            return _word(segment)
        case Optional() | Repeated():
            inner = tuple(map(_segment, segment.segments))
            return replace(segment, segments=inner, span=NOWHERE)


def _word(word: Word) -> Word:
    parts = tuple(p if isinstance(p, Text) else replace(p, span=NOWHERE) for p in word.parts)
    return replace(word, parts=parts, span=None)


def as_json(replaced: Replaced) -> dict[str, object]:
    """Plain values for the lock."""
    data = {"key": replaced.key, "entrypoint": replaced.entrypoint, "site": encode(replaced.site)}
    return data | ({"before": replaced.before} if replaced.before else {})


def parse_replaced(data: Mapping[str, object]) -> Replaced:
    """Read it back; raise ValueError, TypeError or KeyError for anything else."""
    site = decode(Site, data["site"])
    if not isinstance(site, Site) or set(site.reasons) - AS_BUILT or not site.templates:
        raise ValueError("a call that was never replaced")
    before = str(data.get("before", ""))
    return Replaced(str(data["key"]), str(data["entrypoint"]), site, before)


def still_called(
    replaced: Sequence[Replaced], files: Sequence[SourceFile], *, elsewhere: bool = False
) -> tuple[Replaced, ...]:
    """Those whose function calls their entrypoint; `elsewhere`: what is said of other files."""
    by_module = {file.module: file for file in files}
    wanted = {each.site.module for each in replaced}
    texts = {name: _texts(by_module[name]) for name in sorted(wanted & by_module.keys())}
    found = []
    for each in replaced:
        functions = texts.get(each.site.module)
        if functions is None:
            alive = elsewhere
        else:
            text = functions.get(each.site.function)
            alive = text is not None and occurs(each.entrypoint.encode(), text)
        if alive:
            found.append(each)
    return tuple(found)


def withdrawn(replaced: Sequence[Replaced], said: Sequence[str]) -> Iterator[str]:
    """What to say of calls that were replaced by a person's word which no longer stands."""
    for each in replaced:
        for name in each.site.declared:
            if name not in said:
                function = f"{each.site.module}.{each.site.function}".rstrip(".")
                yield (
                    f"{function} calls {each.entrypoint}, because local-injected in "
                    f"pyproject.toml said {name}, which it does not say any more (say it again, "
                    f"or call {each.site.executor} there as before)"
                )


def _texts(file: SourceFile) -> dict[str, bytes]:
    """The text of each function, and of the module as a whole."""
    tree = parse(file)
    if isinstance(tree, Diagnostic):
        return {}
    return {"": file.data, **dict(_functions(Module(file, tree)))}


def _functions(module: Module) -> Iterator[tuple[str, bytes]]:
    for each in module.functions:
        lines = module.file.lines[each.node.lineno - 1 : each.node.end_lineno]
        yield each.name, b"\n".join(lines)


def occurs(name: bytes, text: bytes) -> bool:
    """Whether the dotted name is there, and not only as the part of a longer one."""
    place = text.find(name)
    while place >= 0:
        end = place + len(name)
        before = text[place - 1 : place] if place else b""
        if not _BEFORE.match(before) and not _LETTER.match(text[end : end + 1]):
            return True
        place = text.find(name, end)
    return False
