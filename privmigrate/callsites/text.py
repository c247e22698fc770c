"""Sites as a person reads them, and as plain values for machines."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from privmigrate.argv.spec import Any, ArgSpec, Choice
from privmigrate.callsites.reasons import EXPLAINED
from privmigrate.callsites.site import (
    Given,
    Optional,
    Part,
    Repeated,
    Root,
    Segment,
    Site,
    Template,
    Text,
    Value,
    Word,
)

_SHORT: Final = 40


def template_text(template: Template) -> str:
    """One line: ``LC_ALL=C lvs --noheadings [-o {columns}] {vg_name}``."""
    row: list[str] = []
    if template.netns is not None:
        row.append(f"(netns {word_text(template.netns)})")
    row += [f"{name}={word_text(word)}" for name, word in template.environment]
    row += [word_text(word) for word in template.prefix]
    row += [segment_text(segment) for segment in template.segments]
    return " ".join(row)


def segment_text(segment: Segment) -> str:
    """A word, ``[words that may be there]``, or ``(words)...`` that are repeated."""
    match segment:
        case Word():
            return word_text(segment)
        case Optional(_, segments):
            return f"[{' '.join(map(segment_text, segments))}]"
        case Repeated(source, ()):
            return f"{{*{_name(source, ())}}}"
        case Repeated(_, segments):
            return f"({' '.join(map(segment_text, segments))})..."


def word_text(word: Word) -> str:
    """A word as a shell would need it, its holes in braces."""
    fixed = "".join(part.text for part in word.parts if isinstance(part, Text))
    shown = "".join(map(_part_text, word.parts))
    return shown if shlex.quote(fixed or "x") == (fixed or "x") and shown else f"'{shown}'"


def _part_text(part: Part) -> str:
    match part:
        case Text(text):
            return text
        case Value(spec=Choice(values)):
            return f"{{{'|'.join(values)}}}"
        case Value(source, _, names):
            return f"{{{_name(source, names)}}}"


def _name(source: str, names: Sequence[str]) -> str:
    text = names[0] if names else " ".join(source.split())
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 3]}..."


def root_text(site: Site) -> str:
    """Whether it runs as root."""
    return "root" if site.root is Root.ALWAYS else f"root if {site.condition or '?'}"


def options_text(site: Site) -> str:
    """The keyword arguments that matter."""
    return " ".join(f"{each.name}={_name(each.source, ())}" for each in site.options)


def site_json(site: Site) -> dict[str, object]:
    """Everything that is known of a site, as plain values."""
    return {
        "file": site.span.file,
        "line": site.span.line,
        "column": site.span.column,
        "end_line": site.span.end_line,
        "module": site.module,
        "function": site.function,
        "executor": site.executor,
        "convention": site.convention.value,
        "root": site.root.value,
        "condition": site.condition,
        "templates": [_template_json(each) for each in site.templates],
        "reasons": [
            {"code": each.value, "why": EXPLAINED[each.value].why} for each in site.reasons
        ],
        "words": site.words_source,
        "list": site.list_source,
        "options": [asdict(each) for each in site.options],
        "result": site.result.value,
        "handlers": list(site.handlers),
        "building": [each.line for each in site.building],
        "via": list(site.via),
        "through": list(site.through),
        "declared": list(site.declared),
        "direct": site.direct,
        "resolved": site.resolved,
        "typable": site.typable,
        "checkable": site.checkable,
        "covered": site.covered,
        "given": None if site.given is None else _given_json(site.given),
    }


def _given_json(given: Given) -> dict[str, object]:
    return {
        "callers": [[str(span) for span in each.route] for each in given.callers],
        "why": given.why,
        "templates": [_template_json(each) for each in given.templates],
        "reasons": [
            {"code": each.value, "why": EXPLAINED[each.value].why} for each in given.reasons
        ],
    }


def _template_json(template: Template) -> dict[str, object]:
    return {
        "text": template_text(template),
        "commands": list(template.commands),
        "segments": [_segment_json(each) for each in template.segments],
        "environment": {name: _segment_json(word) for name, word in template.environment},
        "netns": None if template.netns is None else _segment_json(template.netns),
        "prefix": [_segment_json(each) for each in template.prefix],
        "guard": template.guard,
    }


def _segment_json(segment: Segment) -> dict[str, object]:
    match segment:
        case Word(parts, source):
            return {"word": [_part_json(each) for each in parts], "source": source}
        case Optional(guard, segments):
            return {"optional": [_segment_json(each) for each in segments], "guard": guard}
        case Repeated(source, segments):
            return {
                "repeated": [_segment_json(each) for each in segments],
                "source": source,
                "element": segment.element,
            }


def _part_json(part: Part) -> object:
    match part:
        case Text(text):
            return text
        case Value():
            return {
                "source": part.source,
                "names": list(part.names),
                "origin": part.origin.value,
                "movable": part.movable,
                "type": _spec_json(part.spec),
            }


def _spec_json(spec: ArgSpec) -> object:
    if spec == Any():
        return "any"
    return {type(spec).__name__.lower(): asdict(spec)}
