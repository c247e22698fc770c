"""From the words of a rule to fixed words and parameters.

A pattern becomes the most precise specification that there is (`argv/regex.py`); what is fixed in
it becomes part of the generated command line. Here it is also decided what is read more narrowly
than it was written, and what a parameter may be called.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

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
    PathWithin,
)
from privmigrate.convert import patterns, vocabulary
from privmigrate.convert.operation import Hole, Kind, Lit, Param, Word
from privmigrate.diagnostics import shortened

NO_TEXT: Final = "it matches no text at all"  # what argv/regex.py says of such a pattern
OPERAND: Final = Any(operand=True, newline=False)
ARGUMENT: Final = Any()

INLINE_FLAGS: Final = re.compile(r"\(\?[aiLmsux]+\)")
_FLAG: Final = re.compile(r"(--?)([A-Za-z][\w-]*)\Z")
_KEYWORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]+\Z")
_FIXED_PART: Final = re.compile(r"-[A-Za-z]|[\w.-]+[=:](?!//)")
VALUE_FLAGS: Final = frozenset(("-t", "-o", "--type", "--format", "-n", "-p", "-L"))
"""Options whose value is a word of its own, and often a fixed one."""
_QUOTED: Final = re.compile(r"""u?['"]([^'"]*)['"]\Z""")
_NAME: Final = re.compile(r"[A-Za-z_][\w.]*\Z")


@dataclass(frozen=True, slots=True)
class Words:
    """What the words of a rule became.

    `never` says why no command line matches; `narrower` how the words are read more narrowly.
    """

    words: tuple[Word, ...] = ()
    params: tuple[Param, ...] = ()
    narrower: tuple[str, ...] = ()
    never: str | None = None


def read_patterns(command: str, written: Sequence[str], comments: Sequence[str]) -> Words:
    """Read the patterns of a RegExpFilter, without the one for the command's own name."""
    specs: list[ArgSpec] = []
    narrower: dict[str, None] = {}
    for number, pattern in enumerate(written, start=1):
        reading = patterns.read(pattern)
        if isinstance(reading.spec, Never):
            return Words(never=f"word {number} ({shortened(pattern)}): {reading.spec.why}")
        spec, why = _narrow(reading.spec)
        if reading.literal_dots:
            why += ("an unescaped dot is a dot",)
        if isinstance(spec, Matches | AbsolutePath) and spec.no_dotdot and "\\.\\." not in pattern:
            why += ("no component of a path begins with two dots",)
        narrower.update(dict.fromkeys(why))
        specs.append(spec)
    return replace(_assemble(command, specs, comments), narrower=tuple(narrower))


def read_constraints(command: str, constraints: Sequence[str], comments: Sequence[str]) -> Words:
    """Read the constraints of a PathFilter: ``pass``, a folder, or the word itself."""
    specs: list[ArgSpec] = []
    for constraint in constraints:
        if constraint == "pass":
            specs.append(OPERAND)
        elif constraint.startswith("/"):
            specs.append(PathWithin(constraint))
        else:
            specs.append(Const(constraint))
    return _assemble(command, specs, comments)


def _narrow(spec: ArgSpec) -> tuple[ArgSpec, tuple[str, ...]]:
    """Close what the author can hardly have meant: options in the place of operands."""
    match spec:
        case Any(operand=False):
            return replace(spec, operand=True), ("no operand begins with -",)
        case Matches(pattern) if "-" not in pattern and patterns.may_begin_with_dash(pattern):
            flags = INLINE_FLAGS.match(pattern)
            start = flags[0] if flags else ""
            narrowed = f"{start}(?!-)(?:{pattern[len(start) :]})"
            return replace(spec, pattern=narrowed), ("no operand begins with -",)
        case _:
            return spec, ()


def _assemble(command: str, specs: Sequence[ArgSpec], comments: Sequence[str]) -> Words:
    split = [_split(spec) for spec in specs]
    # every word as text where it is fixed, so that a parameter can look at what stands before it
    texts = [spec.text if isinstance(spec, Const) else None for _, spec, _ in split]
    called = _names_in_comments(command, texts, comments)
    words: list[Word] = []
    params: list[Param] = []
    bare = 0
    for number, (prefix, spec, suffix) in enumerate(split):
        if isinstance(spec, Const):
            words.append(Lit(spec.text))
            continue
        given = named(command, texts, number, prefix)
        hints = [*given, *called.get(number, ())]
        if not given:
            hints.extend(operand_names(command, bare, spec))
            bare += 1
        hints.sort(key=lambda hint: len(hint) == 1)  # one letter says little
        words.append(Hole(len(params), prefix, suffix))
        params.append(Param(Kind.WORD, spec, tuple(hints), keyword=bool(given)))
    return Words(tuple(words), tuple(params))


def _split(spec: ArgSpec) -> tuple[str, ArgSpec, str]:
    """Separate what is fixed at either end of a word from what its parameter says."""
    match spec:
        case Int(prefix=prefix, suffix=suffix):
            return prefix, replace(spec, prefix="", suffix=""), suffix
        case Key(prefix, value, suffix):
            before, inner, after = _split(value)
            if isinstance(inner, Const):
                return "", Const(prefix + before + inner.text + after + suffix), ""
            return prefix + before, inner, after + suffix
        case Choice(values):
            fixed = _common_part(values)
            if fixed and all(len(value) > len(fixed) for value in values):
                return fixed, Choice(tuple(value[len(fixed) :] for value in values)), ""
        case _:
            pass
    return "", spec, ""


def _common_part(values: Sequence[str]) -> str:
    """``-c`` of ``-c0`` and ``-c1``, ``conv=`` of ``conv=notrunc`` and ``conv=fsync``."""
    first, last = min(values), max(values)
    length = next(
        (n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first)
    )
    found = _FIXED_PART.match(first[:length])
    return found[0] if found else ""


def named(command: str, texts: Sequence[str | None], number: int, prefix: str) -> list[str]:
    """Names from ``key=`` in the word itself, or from the flag or keyword before it."""
    if prefix:
        # the key of ``of=/dev/`` too
        key = (prefix.partition("=")[0] if "=" in prefix else prefix).lstrip("-").rstrip("=:")
        flag = vocabulary.FLAG_NAMES.get((command, prefix.rstrip("=:")))
        if _KEYWORD.match(key.rpartition(".")[2]) or flag:
            return [*([flag] if flag else []), key.rpartition(".")[2]]
    before = texts[number - 1] if number else None
    if before is None:
        return []
    flag = vocabulary.FLAG_NAMES.get((command, before))
    if flag:
        return [flag]
    if found := _FLAG.match(before):
        plain = command in vocabulary.FLAGS_WITHOUT_VALUE or before in vocabulary.PLAIN_FLAGS
        return [] if plain else [found[2]]
    if number > 1 and texts[number - 2] in VALUE_FLAGS:
        return []  # what stands before is a value itself
    # the first word after the command says what is done, not what follows
    if number > 1 and _KEYWORD.match(before) and not vocabulary.is_verb(before):
        return [before]
    return []


def operand_names(command: str, bare: int, spec: ArgSpec) -> list[str]:
    """Names for the operand with this number, counted among the operands alone."""
    return [*vocabulary.OPERANDS.get(command, ())[bare : bare + 1], _role(spec)]


def _role(spec: ArgSpec) -> str:
    """What a value is, going by its form alone."""
    match spec:
        case AbsolutePath() | PathWithin():
            return "path"
        case Int():
            return "number"
        case Choice(values):
            return "option" if all(value.startswith("-") for value in values) else "choice"
        case Matches(pattern):
            return next((role for mark, role in _ROLES if mark in pattern), "word")
        case _:
            return "word"


_ROLES: Final = (
    ("://", "url"),
    ("[0-9A-Fa-f:]", "address"),
    ("[0-9\\.]", "address"),
    ("[0-9.]", "address"),
    ("/", "path"),
)


def _names_in_comments(
    command: str, texts: Sequence[str | None], comments: Sequence[str]
) -> dict[int, tuple[str, ...]]:
    """Names out of ``# path/of.py: 'chown', owner, path`` where it fits word by word."""
    for comment in comments:
        quoted = re.search(r"u?['\"]", comment)
        parts = [part.strip() for part in comment[quoted.start() :].split(",")] if quoted else []
        if len(parts) != len(texts) + 1 or _unquote(parts[0]).rpartition("/")[2] != command:
            continue
        names: dict[int, tuple[str, ...]] = {}
        for number, (part, text) in enumerate(zip(parts[1:], texts, strict=True)):
            if text is not None:
                if _QUOTED.match(part) and _unquote(part) != text:
                    break
            elif _NAME.match(part):
                names[number] = (part.rpartition(".")[2],)
        else:
            return names
    return {}


def quoted_argv(command: str, comments: Sequence[str]) -> str | None:
    """The command line that a comment has: ``'chown', owner, path`` is ``chown OWNER PATH``.

    It is cut off with ``...`` at the first word that is neither a quoted text nor a name.
    """
    for comment in comments:
        quoted = re.search(r"u?['\"]", comment)
        parts = [part.strip() for part in comment[quoted.start() :].split(",")] if quoted else []
        if not parts or _unquote(parts[0]).rpartition("/")[2] != command:
            continue
        words = [command]
        for part in parts[1:]:
            if _QUOTED.match(part):
                words.append(_unquote(part))
            elif _NAME.match(part):
                words.append(part.rpartition(".")[2].upper())
            else:
                words.append("...")
                break
        if len(words) > 1 and words[1] != "...":
            return " ".join(words)
    return None


def _unquote(text: str) -> str:
    found = _QUOTED.match(text)
    return found[1] if found else text
