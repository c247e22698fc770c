r"""A word of a RegExpFilter becomes a specification, or a matcher that cannot blow up.

Facts. oslo.rootwrap accepts a word where ``re.match(pattern + '$', word)`` finds something
(oslo.rootwrap 7.10, RegExpFilter.match). So a newline may follow, ``\d`` takes any Unicode digit,
in ``a|b`` the ``$`` belongs to ``b`` alone so that ``a`` may be followed by anything, and a
pattern such as ``^[/]*([^/\0]+(/+)?)*$`` needs exponential time: 24 characters took 1.2 s, in which
`re` holds the interpreter's lock. The first three are wider than their authors meant, the last
stops a daemon.

What does not work. `re.fullmatch` has the last problem too. A time limit cannot interrupt `re`.
Recognising "dangerous" patterns by their looks misses some and refuses harmless ones.

Solution. The word's language here is that of ``re.fullmatch(pattern + '$', word)`` with ASCII
digits for ``\d``: by construction a part of what oslo.rootwrap accepts. `re` executes it where a
proof says that it needs linear time (`linear`); otherwise an automaton does (`automaton`), which
always needs linear time and knows every construct but references to groups, conditions on them,
atomic groups and possessive quantifiers. A pattern with one of these accepts nothing (`matcher`).

Trade-offs. The automaton is slower (some 0.1 us per character), and the idioms that most patterns
consist of become code (`specialise`): constants, alternatives, digits, absolute paths, ``key=``.
There, two things that authors write but hardly mean are read more narrowly than written: an
unescaped dot between two letters or digits is a dot, and a pattern that fixes a directory does not
lead out of it by ``..``.
"""

import re
from dataclasses import dataclass
from typing import Final

from privmigrate.argv.matcher import Matcher, compile_pattern
from privmigrate.argv.spec import (
    AbsolutePath,
    Any,
    ArgSpec,
    Choice,
    Const,
    Int,
    Key,
    Matches,
    Never,
)
from privmigrate.argv.syntax import (
    ANY,
    ANYTHING,
    Alt,
    At,
    Char,
    Look,
    Node,
    Repeat,
    Seq,
    Unsupported,
    Where,
    parse,
    sequence,
)

__all__ = ["Matcher", "Reading", "compile_pattern", "is_literal_with_dots", "read", "specialise"]

MAX_CHOICES: Final = 64
_DIGIT: Final = Char(((48, 57),))
_NONZERO: Final = Char(((49, 57),))
_NO_SLASH: Final = Char(((47, 47),), negated=True)
_KEY: Final = re.compile(r"-{0,2}[A-Za-z][\w.-]*[=:]\Z")
_DIRECTORY: Final = re.compile(r"/[^/]+/")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a pattern was read as, and whether dots that were not escaped were read as dots."""

    spec: ArgSpec
    literal_dots: bool = False


def specialise(pattern: str) -> ArgSpec:
    """Say in the most precise specification what a RegExpFilter's pattern accepts."""
    return read(pattern).spec


def is_literal_with_dots(pattern: str) -> bool:
    """Say whether `specialise` reads unescaped dots of this pattern as nothing but dots."""
    return read(pattern).literal_dots


def read(pattern: str) -> Reading:
    """Do the work of `specialise`, and say whether unescaped dots were read as dots."""
    matcher = compile_pattern(pattern)
    if matcher.why_never is not None:
        return Reading(Never(matcher.why_never))
    tree = parse(pattern)
    if spec := _specialise(tree, pattern):
        return Reading(spec)
    dotted = _with_literal_dots(tree)
    if dotted != tree and (spec := _specialise(dotted, pattern)):
        return Reading(spec, literal_dots=True)
    return Reading(Matches(pattern, no_dotdot=_is_below_a_directory(tree)))


def _specialise(tree: Node, pattern: str) -> ArgSpec | None:
    if integer := _integer(tree):
        return integer
    words = _enumerate(tree)
    if words is not None:
        if not words:
            return Never("it matches no text at all")
        return Const(words[0]) if len(words) == 1 else Choice(words)
    return _any(tree) or _PATH_IDIOMS.get(tree) or _absolute_path(tree) or _key(tree, pattern)


def _enumerate(node: Node) -> tuple[str, ...] | None:
    """List the texts, in the order in which they are written; None where they are too many."""
    match node:
        case Char(ranges, (), False, flags):
            if sum(high - low + 1 for low, high in ranges) > MAX_CHOICES or (
                flags & re.IGNORECASE and node.literal is None
            ):
                return None
            return tuple(chr(code) for low, high in ranges for code in range(low, high + 1))
        case Seq(items):
            return _joined(items)
        case Alt(branches):
            lists = [_enumerate(branch) for branch in branches]
            known = [words for words in lists if words is not None]
            found = tuple(dict.fromkeys(word for words in known for word in words))
            return found if len(known) == len(lists) and len(found) <= MAX_CHOICES else None
        case Repeat(item, low, high) if high is not None and high <= MAX_CHOICES:
            # `a?` lists "a" first, as it is written
            counts = range(high, low - 1, -1)
            return _enumerate(Alt(tuple(sequence([item] * count) for count in counts)))
        case _:
            return None


def _joined(items: tuple[Node, ...]) -> tuple[str, ...] | None:
    words: tuple[str, ...] = ("",)
    for item in items:
        ends = _enumerate(item)
        if ends is None:
            return None
        words = tuple(dict.fromkeys(word + end for word in words for end in ends))
        if len(words) > MAX_CHOICES:
            return None
    return words


def _any(tree: Node) -> Any | None:
    match tree:
        case Repeat(item, (0 | 1) as low, None) if item in _ANY_CHARACTER:
            return Any(empty=low == 0, newline=item != ANY)
        case _:
            return None


def _integer(tree: Node) -> Int | None:
    r"""``count=\d+``: a fixed text, digits, a fixed text."""
    items = tree.items if isinstance(tree, Seq) else (tree,)
    prefix = _leading_text(items)
    items = items[len(prefix) :]
    digits: list[Node] = []
    for item in items:
        if _repeated(item) not in (_DIGIT, _NONZERO):
            break
        digits.append(item)
    suffix = _leading_text(items[len(digits) :])
    if (
        _DIGIT not in map(_repeated, digits)
        or len(digits) + len(suffix) != len(items)
        or suffix[:1].isdigit()
    ):
        return None
    low, high, nonzero = 0, 0, digits[0] == _NONZERO
    for place, item in enumerate(digits):
        least, most = (item.low, item.high) if isinstance(item, Repeat) else (1, 1)
        if _repeated(item) == _NONZERO and (place or not nonzero):
            return None
        low += least
        high = -1 if most is None or high < 0 else high + most
    if low == 0 or prefix[-1:].isdigit():
        return None
    return Int(
        minimum=1 if nonzero else None,
        prefix=prefix,
        suffix=suffix,
        leading_zeros=not nonzero,
        min_digits=low,
        max_digits=max(high, 0),
    )


def _repeated(item: Node) -> Node:
    return item.item if isinstance(item, Repeat) else item


def _leading_text(items: tuple[Node, ...]) -> str:
    text = ""
    for item in items:
        if not isinstance(item, Char) or item.literal is None:
            break
        text += item.literal
    return text


def _absolute_path(tree: Node) -> AbsolutePath | None:
    r"""``/etc/(?!\.\.).*``: a fixed directory, perhaps the beginning of a name, and anything."""
    if not isinstance(tree, Seq):
        return None
    prefix = _leading_text(tree.items)
    rest = tree.items[len(prefix) :]
    below, slash, stem = prefix.rpartition("/")
    below += slash
    if not prefix.startswith("/") or "//" in below or "/.." in below or stem.startswith(".."):
        return None
    no_dotdot = prefix != "/"
    if rest and rest[0] in _NO_DOTDOT and not stem:
        rest, no_dotdot = rest[1:], True
    match rest:
        case (Repeat(item, (0 | 1) as low, None),) if item in (*_ANY_CHARACTER, _NO_SLASH):
            return AbsolutePath(
                below=below,
                no_dotdot=no_dotdot,
                components=1 if item == _NO_SLASH else 0,
                # with a stem, `bare` speaks of the stem: ``/dev/sd.+`` is more than ``/dev/sd``
                bare=low == 0,
                newline=item in _ANY_CHARACTER and item != ANY,
                stem=stem,
            )
        case _:
            return None


def _key(tree: Node, pattern: str) -> Key | None:
    r"""``if=\S+``: a key and the pattern of its value."""
    if not isinstance(tree, Seq):
        return None
    text = _leading_text(tree.items)
    cut = text.find("=") + 1 or len(text)
    key, rest = text[:cut], sequence(tree.items[cut:])
    if not _KEY.match(key) or _looks_back(rest):
        return None
    # The value's pattern is the rest of the text, provided that it means the same on its own.
    value = _without_escaped_prefix(pattern, key)
    try:
        if value is None or parse(value) != rest:
            return None
    except Unsupported:
        return None
    reading = read(value)
    return None if reading.literal_dots else Key(key, reading.spec)


def _looks_back(node: Node) -> bool:
    """Whether what stands before decides: cut off from that, the node means something else."""
    match node:
        case At(where):
            return where not in {Where.END, Where.TEXT_END}
        case Look(item, _, behind):
            return behind or _looks_back(item)
        case Seq(items) | Alt(items):
            return any(map(_looks_back, items))
        case Repeat(item):
            return _looks_back(item)
        case _:
            return False


def _without_escaped_prefix(pattern: str, text: str) -> str | None:
    pattern = pattern.removeprefix("^")
    for character in text:
        pattern = pattern.removeprefix("\\")
        if not pattern.startswith(character):
            return None
        pattern = pattern[1:]
    return pattern


def _with_literal_dots(node: Node) -> Node:
    """Read a dot between two letters or digits as that, everywhere in the tree."""
    match node:
        case Seq(items):
            inner = [_with_literal_dots(item) for item in items]
            for place in range(1, len(items) - 1):
                if (
                    items[place] == ANY
                    and _is_word(items[place - 1])
                    and _is_word(items[place + 1])
                ):
                    inner[place] = Char(((46, 46),))
            return sequence(inner)
        case Alt(branches):
            return Alt(tuple(_with_literal_dots(branch) for branch in branches))
        case Repeat(item, low, high):
            return Repeat(_with_literal_dots(item), low, high)
        case _:
            return node


def _is_word(node: Node) -> bool:
    if not isinstance(node, Char) or node.literal is None:
        return False
    return node.literal.isalnum() or node.literal == "_"


def _is_below_a_directory(tree: Node) -> bool:
    """Say whether every text begins with one and the same kind of fixed directory."""
    heads: tuple[str, ...] = ("",)
    for item in tree.items if isinstance(tree, Seq) else (tree,):
        ends = _enumerate(item)
        if ends is None or len(heads) * len(ends) > MAX_CHOICES:
            break
        heads = tuple(head + end for head in heads for end in ends)
    return all(_DIRECTORY.match(head) and "/.." not in head for head in heads)


_ANY_CHARACTER: Final = (
    ANY,
    ANYTHING,
    *(
        parse(text)
        for text in (r"[\s\S]", r"[\S\s]", r"[\d\D]", r"[\w\W]", r".|\n", r"(.|\n)", r"\n|.")
    ),
)
_NO_DOTDOT: Final = tuple(
    parse(text) for text in (r"(?!\.\.)", r"(?!.*/\.\.)", r"(?!\.\.|.*/\.\.)")
)
_PATH_IDIOMS: Final[dict[Node, ArgSpec]] = {
    # Written for "an absolute path"; they accept any text, and need exponential time.
    parse(r"^[/]*([^/\0]+(/+)?)*$"): AbsolutePath(),
    parse(r"[/]*([^/]+(/+)?)*"): AbsolutePath(),
    parse(r"(/[^/\0]*)+"): AbsolutePath(),
    parse(r"(/[^/]*)+"): AbsolutePath(),
    parse(r"(/[^/\0]+)+"): AbsolutePath(bare=False, empty_components=False),
    parse(r"(/[^/]+)+"): AbsolutePath(bare=False, empty_components=False),
}
