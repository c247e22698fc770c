"""From the segments of one call to its templates: alternatives apart, prefixes off, words final."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from privmigrate.argv.spec import Choice
from privmigrate.callsites.motion import Motion
from privmigrate.callsites.programs import SHELLS, free_program
from privmigrate.callsites.programs import Piece as ProgramWord
from privmigrate.callsites.site import (
    Optional,
    Reason,
    Repeated,
    Segment,
    Template,
    Text,
    Value,
    Word,
)
from privmigrate.callsites.source import expression, guard_text, shown, span_of
from privmigrate.callsites.values import (
    Each,
    Either,
    Growing,
    Guard,
    Hole,
    Lost,
    Maybe,
    Piece,
    Row,
    Segments,
    Splice,
    Str,
    joined,
)
from privmigrate.diagnostics import Span

MAX_TEMPLATES: Final = 48
MAX_WORDS: Final = 400
_NICE: Final = frozenset({"ionice", "nice"})


@dataclass(slots=True)
class Shapes:
    """The templates of one call, and what is doubtful about them."""

    motion: Motion
    netns: Word | None = None
    templates: list[Template] = field(default_factory=list)
    reasons: dict[Reason, None] = field(default_factory=dict)
    cuts: list[tuple[Template, int]] = field(default_factory=list)

    def add(self, segments: Segments) -> None:
        """Make the templates of a command line."""
        rows = _rows(segments)
        if rows is None or any(len(row) > MAX_WORDS for _, row in rows):
            self.reasons[Reason.TOO_MANY] = None
            return
        for guards, row in rows:
            self.reasons.update({each.reason: None for each in guards if each.reason})
            self._add_row(guards, row)
        if len(rows) == len(self.templates) == len(("one", "other")):
            (first, _), (second, _) = rows
            if len(first) == 1 and second == (first[0].opposite(),):
                self._choose(*self.templates)

    def _choose(self, one: Template, other: Template) -> None:
        """Two templates that differ in one fixed word are one, with a choice in it."""
        if not one.guard or replace(one, segments=(), guard="") != replace(
            other, segments=(), guard=""
        ):
            return
        pairs = list(zip(one.segments, other.segments, strict=False))
        places = [index for index, (a, b) in enumerate(pairs) if _placeless(a) != _placeless(b)]
        if len(one.segments) != len(other.segments) or len(places) != 1:
            return
        texts = [s.text if isinstance(s, Word) else None for s in pairs[places[0]]]
        if texts[0] is None or texts[1] is None:
            return
        source = f"{texts[0]!r} if {one.guard} else {texts[1]!r}"
        value = Value(source, self._span(), movable=one.movable, spec=Choice((texts[0], texts[1])))
        segments = list(one.segments)
        segments[places[0]] = Word((value,), source, value.span, one.movable)
        self.templates[:] = [replace(one, segments=tuple(segments), guard="", movable=True)]

    def _add_row(self, guards: tuple[Guard, ...], row: Segments) -> None:
        if not row or not isinstance(row[0], Str):
            split = row and isinstance(row[0], Splice) and row[0].reason
            self.reasons[split or Reason.FREE_COMMAND] = None
            return
        segments = self._segments(row)
        texts = [guard_text(guard) for guard in guards]
        known = bool(texts) and all(texts)
        guard = " and ".join(text if len(texts) == 1 else f"({text})" for text in texts)
        movable = all(self.motion.movable(each.hole) for each in guards)
        guard = guard if known else ""
        whole = Template(segments, netns=self.netns, guard=guard, movable=movable)
        template = self._peel(whole)
        if template is None:
            return
        self._judge_command(template)
        if template not in self.templates:
            self.templates.append(template)

    def _judge_command(self, template: Template) -> None:
        commands = template.commands
        if not commands:
            self.reasons[Reason.FREE_COMMAND] = None
        elif {command.rpartition("/")[2] for command in commands} & SHELLS or free_program(
            tuple(_pieces(template.segments)), quoted=True
        ):
            self.reasons[Reason.SHELL] = None

    # words

    def _segments(self, row: Segments, bound: tuple[str, ...] = ()) -> tuple[Segment, ...]:
        found: list[Segment] = []
        for segment in row:
            match segment:
                case Str():
                    found.append(self.word(segment, bound))
                case Maybe(guard, inner):
                    found.append(
                        Optional(
                            guard_text(guard),
                            self._segments(inner, bound),
                            span_of(guard.hole) or self._span(),
                            self.motion.movable(guard.hole, bound),
                        )
                    )
                case Each():
                    found.append(self._repeated(segment, bound))
                case Splice(hole, reason=reason):
                    self.reasons[reason] = None
                    movable = self.motion.movable(hole, bound) and not segment.skip
                    source = expression(hole)
                    span = span_of(hole) or self._span()
                    found.append(Repeated(source, (), span, movable=movable))
                case _:
                    self.reasons[Reason.TOO_MANY] = None
                    found.append(Repeated("", (), self._span(), movable=False))
        return tuple(found)

    def _repeated(self, segment: Each, bound: tuple[str, ...]) -> Repeated:
        source = segment.source
        names = (*bound, segment.element) if segment.element else bound
        if source is None or not segment.element:
            # what the elements are made of cannot be written at the call
            names = bound
        return Repeated(
            expression(source) if source is not None else "",
            self._segments(segment.segments, names),
            span_of(source) or self._span(),
            segment.element,
            bool(segment.element) and self.motion.movable(source, bound),
        )

    def _span(self) -> Span:
        return self.motion.raw.frame.module.file.span(self.motion.raw.node)

    def word(self, word: Str, bound: tuple[str, ...]) -> Word:
        """The word of a template that a word of the list is."""
        parts = tuple(self._part(part, bound) for part in joined(list(word.parts)))
        whole = word.whole
        if whole is None or whole.frame is not self.motion.raw.frame or word.text is not None:
            return Word(parts)
        return Word(parts, expression(whole), span_of(whole), self.motion.movable(whole, bound))

    def _part(self, piece: Piece, bound: tuple[str, ...]) -> Text | Value:
        if not isinstance(piece, Hole):
            return piece
        if piece.reason is not None:
            self.reasons[piece.reason] = None
        return Value(
            shown(piece),
            span_of(piece) or self._span(),
            piece.names,
            piece.origin,
            self.motion.movable(piece, bound),
            piece.spec,
        )

    # prefixes

    def _peel(self, template: Template) -> Template | None:
        """Take off what only stands in front of the command."""
        segments = template.segments
        environment = dict(template.environment)
        netns = template.netns
        prefix = list(template.prefix)
        count = 0
        for _ in range(MAX_TEMPLATES):
            size = 0
            match segments:
                case (Word() as env, Word() as first, *_) if _is(env, "env") and _variable(first):
                    size = 1
                    for word in segments[1:]:
                        variable = _variable(word)
                        if variable is None:
                            break
                        environment[variable[0]] = variable[1]
                        size += 1
                case (Word() as ip, Word() as one, Word() as two, Word() as name, Word(), *_) if (
                    _is(ip, "ip") and _is(one, "netns") and _is(two, "exec") and netns is None
                ):
                    netns = name
                    size = 4
                case (Word() as nice, *_) if nice.text in _NICE:
                    size = _nice_size(segments)
                    prefix.extend(word for word in segments[:size] if isinstance(word, Word))
            if not size or size >= len(segments):
                break
            segments = segments[size:]
            count += size
        if not segments or not isinstance(segments[0], Word):
            self.reasons[Reason.FREE_COMMAND] = None
            return None
        peeled = replace(
            template,
            segments=segments,
            environment=tuple(environment.items()),
            netns=netns,
            prefix=tuple(prefix),
            front=tuple(word for word in template.segments[:count] if isinstance(word, Word)),
        )
        self.cuts.append((peeled, count))
        return peeled


def _placeless(segment: Segment) -> Segment:
    """A word as it is anywhere."""
    if not isinstance(segment, Word):
        return segment
    nowhere = Span("")
    parts = (p if isinstance(p, Text) else replace(p, span=nowhere) for p in segment.parts)
    return replace(segment, parts=tuple(parts), span=None)


def _is(word: Word, text: str) -> bool:
    return (word.text or "").rpartition("/")[2] == text


def _variable(word: Segment) -> tuple[str, Word] | None:
    """The name and value of ``NAME=value``."""
    if not isinstance(word, Word) or not word.parts or not isinstance(word.parts[0], Text):
        return None
    name, equals, rest = word.parts[0].text.partition("=")
    if not equals or not name.isidentifier():
        return None
    head: tuple[Text | Value, ...] = (Text(rest),) if rest else ()
    return name, Word((*head, *word.parts[1:]))


def _nice_size(segments: tuple[Segment, ...]) -> int:
    """How many words ``ionice -c3 -n 7`` are."""
    size = 1
    while size < len(segments):
        word = segments[size]
        text = word.text if isinstance(word, Word) else None
        if text is None or not text.startswith("-"):
            break
        size += 2 if text in ("-c", "-n") else 1
    return size


def _rows(segments: Segments) -> list[tuple[tuple[Guard, ...], Segments]] | None:
    """Every row of segments without alternatives; None where they are too many."""
    rows: list[tuple[tuple[Guard, ...], Segments]] = [((), ())]
    for segment in segments:
        choices = _choices(segment, first=all(_is_prefix(row) for _, row in rows))
        if choices is None or len(rows) * len(choices) > MAX_TEMPLATES:
            return None
        rows = [
            ((*guards, *more), (*row, *added))
            for guards, row in rows
            for more, added in choices
            if not _contradict(guards, more)
        ]
    return rows


def _is_prefix(row: Segments) -> bool:
    """Whether a row is nothing yet, or variables that are set for what follows."""
    if not row:
        return True
    texts = [each.parts[0] if isinstance(each, Str) and each.parts else None for each in row]
    return texts[0] == Text("env") and all(
        isinstance(text, Text) and "=" in text.text for text in texts[1:]
    )


_Choices = list[tuple[tuple[Guard, ...], Segments]] | None


def _choices(segment: object, *, first: bool) -> _Choices:
    """What may stand in the place of a segment; None where that is too much."""
    match segment:
        case Either(branches):
            return _of_either(branches)
        case Maybe(guard, inner):
            return _of_maybe(guard, inner, first=first)
        case Each(source, element, inner, node):
            rows = _rows(inner)
            if rows is None or len(rows) > 1:
                return None
            return [((), (Each(source, element, rows[0][1], node),))]
        case Row(_, whole):
            return [((), (Str((whole,), whole),))]
        case Str() | Splice() | Growing() | Lost():
            return [((), (segment,))]
        case _:
            return None


def _of_either(branches: tuple[tuple[Guard, Segments], ...]) -> _Choices:
    found: list[tuple[tuple[Guard, ...], Segments]] = []
    for guard, inner in branches:
        rows = _rows(inner)
        if rows is None or len(found) + len(rows) > MAX_TEMPLATES:
            return None
        found.extend(((guard, *guards), row) for guards, row in rows)
    return found


def _of_maybe(guard: Guard, inner: Segments, *, first: bool) -> _Choices:
    rows = _rows(inner)
    if rows is None:
        return None
    if not first and len(rows) == 1:
        return [((), (Maybe(guard, rows[0][1]),))]
    there = [((guard, *guards), row) for guards, row in rows]
    return [*there, ((guard.opposite(),), ())]


def _contradict(guards: tuple[Guard, ...], more: tuple[Guard, ...]) -> bool:
    return any(each.hole is not None and each.opposite() in guards for each in more)


def _pieces(segments: Sequence[Segment]) -> Iterator[ProgramWord]:
    """The words, as if every part of the command line that may be left out were there."""
    for segment in segments:
        match segment:
            case Word(parts):
                yield _piece(parts)
            case Optional(_, inner):
                yield from _pieces(inner)
            case Repeated(_, inner):
                yield from _pieces(inner) if inner else (ProgramWord("", fixed=False),)


def _piece(parts: Sequence[Text | Value]) -> ProgramWord:
    text = ""
    for part in parts:
        match part:
            case Text(more):
                text += more
            case Value(spec=Choice(values)) if not any(each.startswith("-") for each in values):
                text += values[0]
            case _:
                return ProgramWord(text, fixed=False)
    return ProgramWord(text)
