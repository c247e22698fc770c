"""From the template of a call site to the template of an argv, and what the caller has for it.

A word of a site is text and values; here it gets the specification of what the whole word may be:
what the site tells of its values, and where it tells nothing, an operand that no tool takes for
an option. A directory that the site fixes is one that no value leads out of.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from privmigrate.argv.spec import Any, ArgSpec, Choice, Const, Int, Key, Matches
from privmigrate.argv.template import Hole, Lit, Opt, Rep, Segment, Template
from privmigrate.callsites import site as sites
from privmigrate.callsites.site import Text, Value
from privmigrate.convert.intersect import unframed
from privmigrate.convert.words import INLINE_FLAGS, OPERAND

FREE: Final = Any(newline=False)
"""A value behind something fixed, which makes an operand of it whatever it is."""
BELOW: Final = Matches(".+", no_dotdot=True)
"""What follows a directory."""
CHOSEN_OPTION: Final = Matches("[A-Za-z0-9][A-Za-z0-9_-]*")
"""What follows a dash: the name of an option that the caller chooses."""
_CHOSEN_OPTIONS: Final = MappingProxyType(
    # ip(8) takes any beginning of an option's name: -batch takes a file of commands, and -netns,
    # -family, -loops and -rcvbuf take the next word away, so that another one is the object
    {
        "ip": Matches(
            r"(?!(b(a|at|atc|atch)?|n(e|et|etn|etns)?|f(a|am|ami|amil|amily)?|l(o|oo|oop|oops)?"
            r"|rc(v|vb|vbu|vbuf)?)\Z)[A-Za-z0-9][A-Za-z0-9_-]*"
        )
    }
)
_NAMESPACE: Final = Matches(r"[^/\s.-][^/\s]*")
"""What `ip netns exec` enters: a file of /run/netns, whose /etc/netns/NAME it mounts over /etc."""
_SYSCTL_NAME: Final = r"[^=/\s*?[{]+(?:/[^=/\s*?[{]+)*"
"""A part of a name in sysctl(8): ``//`` is ``..``, and ``=`` makes a write of it without -w.

Some of its versions expand names as glob(3) does.
"""
_BARE: Final = MappingProxyType(
    # dd(1) has no operands but these: a word that the call chooses is no other file
    {"dd": Matches("(?!-|if=|of=).*"), "sysctl": Matches(r"(?!-)[^=\n]*")}
)

_REMOTE: Final = r"[%+-:=@-Z_a-z]*"
"""What follows ``ssh HOST``: a shell there reads it, so that it is what adds no command to any."""

_ENTERING: Final = ("netns", "exec")
_WRITING: Final = frozenset(("-w", "--write"))
_ANYTHING: Final = ".*"
_SEPARATORS: Final = MappingProxyType({"ovs-ofctl": r",\s"})
"""What stands between the fields of a list, where that is not the comma alone."""
_REPEATED: Final = re.compile(r"(?:\.\*){2,}")
_PLAIN_EXPRESSION: Final = re.compile(r"[\w.\[\]()]+\Z")


@dataclass(frozen=True, slots=True)
class Slot:
    """What a caller has for a hole.

    Attributes:
        prefix, suffix: what stands around the value in the word.
        expression: Python for the value where the call stands, or "" where there is none.
        whole: the same for the whole word.
        names: what it may be called, best first.
    """

    prefix: str
    suffix: str
    expression: str
    whole: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """What decides over an optional or a repeated part: a condition, or a list and its element."""

    source: str
    element: str
    movable: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape of a site's command line.

    Attributes:
        template: the command and its words; its holes and parts have numbers for names.
        slots, parts: what the caller has for them, by these names.
        free: a part of it is words of which nothing is known.
    """

    template: Template
    slots: Mapping[str, Slot] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)
    free: bool = False

    @property
    def movable(self) -> bool:
        """Whether everything can be told where the call stands."""
        return (
            not self.free
            and all(slot.expression or slot.whole for slot in self.slots.values())
            and all(part.movable for part in self.parts.values())
        )


@dataclass(slots=True)
class _Building:
    """Numbers what it meets; `command` is the base name of what is run, also in a namespace."""

    command: str = ""
    before: tuple[str, str] = ("", "")
    entered: bool = False
    writes: bool = False
    slots: dict[str, Slot] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    free: bool = False

    def name(self) -> str:
        return str(len(self.slots) + len(self.parts) + 1)

    def segments(self, written: Sequence[sites.Segment]) -> Iterator[Segment]:
        for segment in written:
            match segment:
                case sites.Word():
                    made = self.word(segment)
                    self.meet(made)
                    yield made
                case sites.Optional():
                    name = self.name()
                    self.parts[name] = Part(segment.guard, "", segment.movable)
                    yield Opt(name, tuple(self.segments(segment.segments)))
                case sites.Repeated():
                    name = self.name()
                    self.parts[name] = Part(segment.source, segment.element, segment.movable)
                    if not segment.segments:
                        self.free = True
                    yield Rep(name, tuple(self.segments(segment.segments)))

    def word(self, word: sites.Word) -> Segment:
        values = [part for part in word.parts if isinstance(part, Value)]
        if not values:
            return Lit(word.text or "".join(p.text for p in word.parts if isinstance(p, Text)))
        name = self.name()
        prefix, inner, suffix = _frame(word.parts)
        spec = _framed(prefix, self.spec(inner, prefix, suffix), suffix)
        if isinstance(spec, Const):
            return Lit(spec.text)
        whole = _whole(word, values)
        expression = _joined(inner) if all(value.movable for value in values) else ""
        if whole and not expression and (prefix or suffix):
            spec, prefix, suffix = unframed(spec), "", ""
        if not prefix and not suffix:
            expression = whole
        self.slots[name] = Slot(prefix, suffix, expression, whole, _names_of(values))
        return Hole(name, spec)

    def meet(self, segment: Segment) -> None:
        """Remember what the next word follows."""
        text = segment.text if isinstance(segment, Lit) else ""
        if self.entered:
            self.command = text.rpartition("/")[2]
        self.entered = self.command == "ip" and self.before == _ENTERING
        self.before = (self.before[1], text)
        self.writes = self.writes or text in _WRITING

    def spec(self, inner: Sequence[sites.Part], prefix: str, suffix: str) -> ArgSpec:
        if self.command == "ssh":
            inner = tuple(map(_unknown, inner))
        found = _spec_of(inner, prefix, suffix, self.command)
        if found is CHOSEN_OPTION:
            return _CHOSEN_OPTIONS.get(self.command, found)
        if found != OPERAND:
            return found
        if self.command == "ip" and self.before == _ENTERING:
            return _NAMESPACE
        if self.command == "sysctl" and self.writes:
            return found
        return _BARE.get(self.command, found)


def _whole(word: sites.Word, values: Sequence[Value]) -> str:
    """Python for a word, preferably as it is written."""
    if word.source and word.movable:
        return word.source
    return _joined(word.parts) if all(value.movable for value in values) else ""


def shape_of(written: Sequence[sites.Segment]) -> Shape:
    """Say what argv the words of a site make, the command first."""
    building = _Building(_command_of(written))
    segments = tuple(building.segments(written))
    return Shape(Template(segments), building.slots, building.parts, building.free)


def _command_of(written: Sequence[sites.Segment]) -> str:
    match written:
        case (sites.Word() as first, *_):
            return (first.text or "").rpartition("/")[2]
        case _:
            return ""


def slot_of(word: sites.Word) -> Slot | str:
    """A single word: its text, or what the caller has for it."""
    building = _Building()
    match building.word(word):
        case Lit(text):
            return text
        case _:
            return building.slots["1"]


def _frame(parts: Sequence[sites.Part]) -> tuple[str, Sequence[sites.Part], str]:
    """Separate the text at either end from the values and what is between them."""
    first = next(n for n, part in enumerate(parts) if isinstance(part, Value))
    last = next(n for n in reversed(range(len(parts))) if isinstance(parts[n], Value))
    prefix = "".join(part.text for part in parts[:first] if isinstance(part, Text))
    suffix = "".join(part.text for part in parts[last + 1 :] if isinstance(part, Text))
    return prefix, parts[first : last + 1], suffix


def _spec_of(inner: Sequence[sites.Part], prefix: str, suffix: str, command: str) -> ArgSpec:
    below = "/" in prefix
    anything = _anything(inner, prefix, suffix, command)
    match inner:
        case (Value(spec=Any()),):
            (allowed,) = anything
            if prefix and not prefix.strip("-"):
                return CHOSEN_OPTION
            if not prefix and "=" not in allowed:
                return replace(OPERAND, empty=not suffix)
            if allowed != _ANYTHING:
                return Matches(allowed if prefix else f"(?!-){allowed}", no_dotdot=below)
            return BELOW if below else FREE
        case (Value(spec=spec),):
            return spec
        case _:
            pattern = "".join(map(_pattern_of, inner, anything))
            pattern = _REPEATED.sub(_ANYTHING, pattern)
            if pattern == _ANYTHING:
                only = replace(_first_value(inner), spec=Any())
                return _spec_of((only,), prefix, suffix, command)
            # what is known of the first piece may also be an option
            free = not prefix.strip("-") and pattern.startswith(anything[0])
            start = "(?!-)" if free else ""
            return Matches(start + pattern, no_dotdot=below)


def _unknown(part: sites.Part) -> sites.Part:
    """The part, of whose value nothing counts but that it is one of a few, or a number."""
    if isinstance(part, Text) or isinstance(part.spec, Choice | Int):
        return part
    return replace(part, spec=Any())


def _first_value(parts: Sequence[sites.Part]) -> Value:
    return next(part for part in parts if isinstance(part, Value))


def _anything(
    inner: Sequence[sites.Part], prefix: str, suffix: str, command: str
) -> tuple[str, ...]:
    """What each part may be where it is a value of which nothing is known.

    In a list of options, as mount(8) takes one, it is never a further option; in a key, never the
    end of it.
    """
    texts = [part.text if isinstance(part, Text) else "" for part in inner]
    commas = any("," in text for text in (prefix, *texts, suffix))
    separators = _SEPARATORS.get(command, r",\n") if commas else ""
    found: list[str] = []
    for number in range(len(inner)):
        before = prefix + "".join(texts[:number])
        after = "".join(texts[number + 1 :]) + suffix
        named = "=" not in before.rpartition(",")[2]
        if command == "ssh":
            found.append(_REMOTE)
        elif command == "sysctl" and named and before:
            found.append(_SYSCTL_NAME)
        elif named and "=" in after.partition(",")[0]:
            found.append(f"[^={separators}]*" if commas else r"[^=\n]*")
        else:
            found.append(f"[^{separators}]*" if commas else _ANYTHING)
    return tuple(found)


def _pattern_of(part: sites.Part, anything: str) -> str:
    match part:
        case Text(text):
            return re.escape(text)
        case Value(spec=Choice(values)):
            return f"(?:{'|'.join(map(re.escape, values))})"
        case Value(spec=Int(prefix="", suffix="", minimum=None, maximum=None)):
            return "[0-9]+"
        case Value(spec=Matches(pattern)) if not INLINE_FLAGS.match(pattern):
            return f"(?:{pattern})"
        case Value():
            return anything


def _framed(prefix: str, spec: ArgSpec, suffix: str) -> ArgSpec:
    """The specification of the whole word."""
    if not prefix and not suffix:
        return Const(spec.values[0]) if isinstance(spec, Choice) and len(spec.values) == 1 else spec
    match spec:
        case Choice((text,)) | Const(text):
            return Const(prefix + text + suffix)
        case _:
            return Key(prefix, spec, suffix)


def _joined(parts: Sequence[sites.Part]) -> str:
    """Python for the parts put together."""
    match parts:
        case (Value(source=source),):
            return source
        case _:
            pass
    values = [part.source for part in parts if isinstance(part, Value)]
    if all(_PLAIN_EXPRESSION.match(value) for value in values):
        text = "".join(
            f"{{{part.source}}}" if isinstance(part, Value) else _escaped(part.text)
            for part in parts
        )
        return f"f{text!r}"
    text = "".join("{}" if isinstance(part, Value) else _escaped(part.text) for part in parts)
    return f"{text!r}.format({', '.join(values)})"


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _names_of(values: Sequence[Value]) -> tuple[str, ...]:
    first, *others = values
    if others and all(value.names for value in values):
        return ("_".join(dict.fromkeys(value.names[0] for value in values)), *first.names)
    return first.names
