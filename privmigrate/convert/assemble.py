"""From a template to the words and parameters of an entrypoint, and to a caller's arguments.

A part that may be left out becomes a keyword parameter, a part that is repeated a parameter that
takes a tuple. Where a part has more values than one, no single parameter says whether it is there:
then the command line is taken as a list.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from privmigrate.argv import template as argv
from privmigrate.argv.spec import ArgSpec
from privmigrate.convert import vocabulary
from privmigrate.convert.admit import frame_of
from privmigrate.convert.bind import Absent, Always, Binding, Bound, bind
from privmigrate.convert.operation import Each, Hole, Kind, Lit, Option, Param, Segment
from privmigrate.convert.shape import Part, Shape, Slot
from privmigrate.convert.words import named, operand_names

_LONG_FLAG: Final = re.compile(r"--([A-Za-z][\w-]*)(?:=.*)?\Z", re.DOTALL)
_SIMPLE: Final = re.compile(r"(?:not )?(?:\w+\.)*(\w+)\Z")
_FLAG: Final = re.compile(r"-+([A-Za-z][\w-]*)\Z")
_FROM_REFERENCE: Final = frozenset(("chgrp", "chmod", "chown"))
# An expression that is the same, however often it is evaluated in one call.
_STEADY: Final = re.compile(r"[A-Za-z_]\w*(?:\.\w+|\[(?:'[\w-]+'|\"[\w-]+\")\])*\Z")
# Names that say nothing of what a value is.
_GENERIC: Final = frozenset(
    ("arg", "args", "argument", "cmd", "command", "data", "item", "opts", "params", "self", "value",
     "val", "values", "x", "i", "o", "opt", "option", "options", "kwargs", "param")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where a parameter stands: the names of its hole, and of the part around it, or ""."""

    key: str
    part: str = ""
    prefix: str = ""
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Assembled:
    """Words and parameters, and for each parameter its place in the template."""

    words: tuple[Segment, ...]
    params: tuple[Param, ...]
    places: tuple[Place, ...]


class _Untypable(Exception):  # noqa: N818 - leaves the walk where it ended
    """A part that no single parameter decides on."""


@dataclass(slots=True)
class _Assembly:
    command: str
    texts: list[str | None]
    called: Mapping[str, Sequence[str]]
    params: list[Param] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    place: int = -1
    bare: int = 0

    def segments(self, segments: Sequence[argv.Segment]) -> Iterator[Segment]:
        for segment in segments:
            match segment:
                case argv.Lit() | argv.Hole():
                    yield self.word(segment, Kind.WORD)
                case argv.Opt(name, inner):
                    yield self.option(name, inner)
                case argv.Rep(name, inner):
                    yield self.each(name, inner)

    def inner(
        self, part: str, segments: Sequence[argv.Segment], kind: Kind
    ) -> tuple[Lit | Hole, ...]:
        """The words of a part, which has one value at most, and for a repeated one exactly one."""
        holes = 0
        words: list[Lit | Hole] = []
        for segment in segments:
            if not isinstance(segment, argv.Lit | argv.Hole):
                raise _Untypable
            holes += isinstance(segment, argv.Hole)
            words.append(self.word(segment, kind, part))
        if holes > 1 or (kind is Kind.ITEMS and not holes):
            raise _Untypable
        return tuple(words)

    def option(self, name: str, segments: Sequence[argv.Segment]) -> Option:
        before = len(self.params)
        words = self.inner(name, segments, Kind.WORD)
        if len(self.params) > before:
            self.params[-1] = replace(self.params[-1], optional=True, keyword=True)
            return Option(before, words)
        hints = [*_flag_names(self.command, words), *self.called.get(name, ())]
        hints.sort(key=lambda hint: len(hint) == 1)
        self.params.append(Param(Kind.FLAG, hints=tuple(hints), keyword=True))
        self.places.append(Place("", name))
        return Option(before, words)

    def each(self, name: str, segments: Sequence[argv.Segment]) -> Each:
        words = self.inner(name, segments, Kind.ITEMS)
        param = self.params[-1]
        if not param.keyword and len(words) == 1:
            # a list is called by its own name, unless something fixed names its items
            several = (hint if hint.endswith("s") else f"{hint}s" for hint in param.hints)
            self.params[-1] = replace(param, hints=(*self.called.get(name, ()), *several))
        return Each(len(self.params) - 1, words)

    def word(self, segment: argv.Lit | argv.Hole, kind: Kind, part: str = "") -> Lit | Hole:
        self.place += 1
        if isinstance(segment, argv.Lit):
            given = named(self.command, self.texts, self.place, "")
            self.bare += not given and not segment.text.startswith("-")
            return Lit(segment.text)
        prefix, spec, suffix = frame_of(segment.spec)
        number = len(self.params)
        given = named(self.command, self.texts, self.place, prefix)
        hints = self._hints(given, segment.name, spec)
        self.params.append(Param(kind, spec, tuple(hints), keyword=bool(given)))
        self.places.append(Place(segment.name, part, prefix, suffix))
        return Hole(number, prefix, suffix)

    def _hints(self, given: Sequence[str], key: str, spec: ArgSpec) -> list[str]:
        known = self.called.get(key, ())
        if given:
            hints = [*given, *known]
        else:
            *operand, role = operand_names(self.command, self.bare, spec)
            self.bare += 1
            hints = [*operand, *known, role]
        hints.sort(key=lambda hint: len(hint) == 1)
        return hints


def assemble(command: str, template: argv.Template, shapes: Sequence[Shape]) -> Assembled | None:
    """Make words and parameters of a template, or None where it has to be taken as a list.

    `shapes` are those that it was made from: they say what its parameters may be called.
    """
    segments = template.segments[1:]
    texts = list(_texts(segments))
    assembly = _Assembly(command, texts, _called(template, shapes))
    # what it is taken from stands in the first operand's place
    assembly.bare = int(command in _FROM_REFERENCE and any(map(_is_reference, segments)))
    try:
        words = tuple(assembly.segments(segments))
    except _Untypable:
        return None
    return Assembled(words, tuple(assembly.params), tuple(assembly.places))


def _is_reference(segment: argv.Segment) -> bool:
    match segment:
        case argv.Hole(_, spec):
            return frame_of(spec)[0].startswith("--reference=")
        case argv.Lit(text):
            return text.startswith("--reference")
        case _:
            return False


def _texts(segments: Sequence[argv.Segment]) -> Iterator[str | None]:
    for segment in segments:
        match segment:
            case argv.Lit(text):
                yield text
            case argv.Hole():
                yield None
            case argv.Opt(_, inner) | argv.Rep(_, inner):
                yield from _texts(inner)


def _flag_names(command: str, words: Sequence[Lit | Hole]) -> Iterator[str]:
    for word in words:
        if isinstance(word, Lit) and (command, word.text) in vocabulary.SWITCHES:
            yield vocabulary.SWITCHES[command, word.text]
    for word in words:
        if isinstance(word, Lit) and (found := _LONG_FLAG.match(word.text)):
            yield found[1]
    for word in words:
        if isinstance(word, Lit) and (found := _FLAG.match(word.text)):
            yield found[1]


def _called(template: argv.Template, shapes: Sequence[Shape]) -> dict[str, tuple[str, ...]]:
    """Names for every hole and part: those on which most calls agree come first."""
    votes: dict[str, dict[str, int]] = {}
    for shape in shapes:
        for key, bound in (bind(template, shape.template) or {}).items():
            for rank, name in enumerate(_names(bound, shape)):
                count = votes.setdefault(key, {})
                generic = name.strip("_").lower() in _GENERIC or len(name) == 1
                count[name] = count.get(name, 0) + max(1, 10 - rank) - (8 if generic else 0)
    return {
        key: tuple(sorted(count, key=lambda name: (-count[name], name)))
        for key, count in votes.items()
    }


def _names(bound: Bound, shape: Shape) -> Sequence[str]:
    match bound:
        case argv.Hole(name):
            slot = shape.slots.get(name)
            return slot.names if slot else ()
        case argv.Opt(name) | argv.Rep(name):
            part = shape.parts.get(name)
            found = _SIMPLE.match(part.source) if part else None
            return (found[1],) if found else ()
        case _:
            return ()


def arguments(assembled: Assembled, binding: Binding, shape: Shape) -> dict[int, str] | None:
    """Python for the parameters that a caller gives, by their number; None if it cannot say one."""
    given: dict[int, str] = {}
    for number, (param, place) in enumerate(zip(assembled.params, assembled.places, strict=True)):
        part = binding[place.part] if place.part else Always()
        value: str | None
        if isinstance(part, Absent):
            continue
        if param.kind is Kind.FLAG:
            value = "True"
            if isinstance(part, argv.Opt):
                value = f"bool({shape.parts[part.name].source})"
        elif isinstance(part, argv.Rep):
            value = _items(place, binding[place.key], shape.parts[part.name], shape)
        else:
            value = _value(place, binding[place.key], shape)
            if isinstance(part, argv.Opt) and value is not None:
                guard = shape.parts[part.name].source
                value = f"{value} or None" if value == guard else f"{value} if {guard} else None"
        if value is None:
            return None
        given[number] = value
    return given


def _value(place: Place, bound: Bound, shape: Shape) -> str | None:
    match bound:
        case argv.Lit(text):
            return repr(text[len(place.prefix) : len(text) - len(place.suffix)])
        case argv.Hole(name):
            return slot_value(shape.slots[name], place.prefix, place.suffix)
        case _:
            return None


def slot_value(slot: Slot, prefix: str = "", suffix: str = "") -> str | None:
    """Python for what stands between these two in a word."""
    if (prefix, suffix) == (slot.prefix, slot.suffix):
        return slot.expression or None
    return slot.whole or None if not prefix and not suffix else None


def _items(place: Place, bound: Bound, part: Part, shape: Shape) -> str | None:
    if not isinstance(bound, argv.Hole):
        return None
    value = slot_value(shape.slots[bound.name], place.prefix, place.suffix)
    if value is None or part.element in {"", value}:
        return value and f"tuple({part.source})"
    return f"tuple({value} for {part.element} in {part.source})"


def share(assembled: Assembled, template: argv.Template, shapes: Sequence[Shape]) -> Assembled:
    """Make parameters one for which every call gives the same value."""
    given = [
        arguments(assembled, binding, shape)
        for shape in shapes
        if (binding := bind(template, shape.template)) is not None
    ]
    first: dict[object, int] = {}
    kept: list[int] = []
    number_of: dict[int, int] = {}
    for number, param in enumerate(assembled.params):
        values = tuple((each or {}).get(number, "") for each in given)
        plain = param.kind is Kind.WORD and not param.optional
        same = (param.spec, values)
        if plain and values and all(map(_STEADY.match, values)) and same in first:
            number_of[number] = first[same]
            continue
        number_of[number] = len(kept)
        if plain:
            first.setdefault(same, len(kept))
        kept.append(number)
    if len(kept) == len(assembled.params):
        return assembled
    return Assembled(
        tuple(_renumbered(word, number_of) for word in assembled.words),
        tuple(assembled.params[number] for number in kept),
        tuple(assembled.places[number] for number in kept),
    )


def _renumbered(word: Segment, number_of: Mapping[int, int]) -> Segment:
    match word:
        case Lit():
            return word
        case Hole(number):
            return replace(word, number=number_of[number])
        case Option(number, inner) | Each(number, inner):
            words = tuple(
                each if isinstance(each, Lit) else replace(each, number=number_of[each.number])
                for each in inner
            )
            return replace(word, number=number_of[number], words=words)
