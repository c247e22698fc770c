"""What one rule allows of the shape of a call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from privmigrate.argv import template as argv
from privmigrate.argv.spec import Any, ArgSpec, Choice, Const, Int, Key
from privmigrate.argv.word import word_test
from privmigrate.convert.intersect import excluding, intersect, unframed
from privmigrate.convert.lower.special import canonical_signal
from privmigrate.convert.operation import Cat, Hole, Kill, Lit, Op, Prefix, Word
from privmigrate.convert.shape import Shape, Slot
from privmigrate.convert.words import ARGUMENT

_MOST_VARIANTS: Final = 64
_MOST_TIMES: Final = 3
_EXEC_FORMS: Final = "e|ex|exe|exec"
_ENTERS: Final = frozenset(("netns", "vrf"))


def rule_spec(word: Word, rule: Op | Prefix) -> ArgSpec:
    """What a word of a rule may be."""
    match word:
        case Lit(text):
            return Const(text)
        case Hole(number, prefix, suffix):
            spec = rule.params[number].spec or ARGUMENT
            return Key(prefix, spec, suffix) if prefix or suffix else spec


def admit(rule: Op, shape: Shape) -> Iterator[Shape]:
    """What a rule allows of a shape: nothing, or one shape, or some of its variants."""
    first, *segments = shape.template.segments
    match rule.native:
        case Kill():
            if signal_of(rule, segments) is not None:
                yield shape
            return
        case Cat(path):
            if segments == [argv.Lit(path)]:
                yield shape
            return
        case None:
            pass
    if rule.rest is not None:
        required = sum(isinstance(each, argv.Lit | argv.Hole) for each in segments)
        rest = _Rest(rule.rest.spec).hold(segments)
        if rest is not None and required >= rule.rest.minimum:
            yield replace(shape, template=argv.Template((first, *rest)))
        return
    specs = [rule_spec(word, rule) for word in rule.plain_words]
    for variant in islice(_variants(segments), _MOST_VARIANTS):
        words = _intersected(specs, variant, shape)
        if words is not None:
            yield replace(shape, template=argv.Template((first, *words)))


def signal_of(rule: Op, segments: Sequence[argv.Segment]) -> str | None:
    """The signal that a kill sends, if the rule has it and one process is hit."""
    allowed = next(p.spec.values for p in rule.params if isinstance(p.spec, Choice))
    match segments:
        case [argv.Hole()]:
            return "TERM" if "TERM" in allowed else None
        case [argv.Lit(text), argv.Hole()]:
            signal = canonical_signal(text)
            return signal if signal in allowed else None
        case _:
            return None


@dataclass(frozen=True, slots=True)
class _Rest:
    """What a wide rule says of every word; one of IpFilter that nothing executes another."""

    spec: ArgSpec

    def hold(self, segments: Sequence[argv.Segment]) -> tuple[argv.Segment, ...] | None:
        """The words that are left, or None where one cannot be had."""
        if self.spec == ARGUMENT:
            return tuple(segments)
        left: list[argv.Segment] = []
        before: str | None = ""
        for segment in segments:
            held = self._segment(segment, before)
            if held is None:
                return None
            left.append(held)
            before = segment.text if isinstance(segment, argv.Lit) else None
        return tuple(left)

    def _segment(self, segment: argv.Segment, before: str | None) -> argv.Segment | None:
        match segment:
            case argv.Lit(text):
                return segment if word_test(self.spec)(text) is None else None
            case argv.Hole(name, spec):
                if before is not None and before not in _ENTERS:
                    return segment
                kept = excluding(spec, _EXEC_FORMS)
                return None if kept is None else argv.Hole(name, kept)
            case argv.Opt(name, inner) | argv.Rep(name, inner):
                held = self.hold((argv.Hole("", Any(operand=True, newline=False)), *inner))
                return None if held is None else type(segment)(name, held[1:])


def _variants(segments: Sequence[argv.Segment]) -> Iterator[tuple[argv.Segment, ...]]:
    """The rows that optional and repeated parts make by being there, or not, or a few times."""
    for number, segment in enumerate(segments):
        before, after = tuple(segments[:number]), tuple(segments[number + 1 :])
        match segment:
            case argv.Opt(_, inner):
                yield from _variants((*before, *inner, *after))
                yield from _variants((*before, *after))
                return
            case argv.Rep(_, inner):
                for times in range(_MOST_TIMES + 1):
                    copies = (_copy(each, time) for time in range(times) for each in inner)
                    yield from _variants((*before, *copies, *after))
                return
            case _:
                pass
    yield tuple(segments)


def _copy(segment: argv.Segment, time: int) -> argv.Segment:
    match segment:
        case argv.Lit():
            return segment
        case argv.Hole(name, spec):
            return argv.Hole(f"{name}.{time}", spec)
        case argv.Opt(name, inner) | argv.Rep(name, inner):
            copies = tuple(_copy(each, time) for each in inner)
            return type(segment)(f"{name}.{time}", copies)


def _intersected(
    rule: Sequence[ArgSpec], segments: Sequence[argv.Segment], shape: Shape
) -> tuple[argv.Segment, ...] | None:
    if len(rule) != len(segments):
        return None
    left: list[argv.Segment] = []
    for wanted, segment in zip(rule, segments, strict=True):
        match segment:
            case argv.Lit(text):
                if word_test(wanted)(text) is not None:
                    return None
                left.append(segment)
            case argv.Hole(name, spec):
                both = intersect(wanted, spec)
                if both is None:
                    return None
                left.append(argv.Hole(name, _fitting(both, shape.slots.get(name))))
            case _:
                return None
    return tuple(left)


def _fitting(spec: ArgSpec, slot: Slot | None) -> ArgSpec:
    """The specification so that what the caller has is its value, or the whole word is."""
    if isinstance(spec, Const):
        return Choice((spec.text,))  # still the caller's to give, so that it is compared
    if slot is not None and frame_of(spec)[::2] != (slot.prefix, slot.suffix):
        return unframed(spec)
    return spec


def frame_of(spec: ArgSpec) -> tuple[str, ArgSpec, str]:
    """What stands around the value in the word, and what the value may be."""
    match spec:
        case Key(prefix, value, suffix):
            return prefix, value, suffix
        case Int(prefix=prefix, suffix=suffix):
            return prefix, replace(spec, prefix="", suffix=""), suffix
        case _:
            return "", spec, ""
