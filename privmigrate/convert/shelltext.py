"""What may stand for the values in a shell's program, so that none of them adds a command.

``rm -f /.*`` as the text of ``sh -c`` allows ``rm -f /x; reboot``. Between single quotes a value
may be anything but the quote; outside of them it is what a shell reads as a part of one word, and
at the beginning of a word no option. Where a value is what is run, where the command may take its
operands for a program, or where the text has more of the shell's grammar than is followed here,
there is no such narrowing.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from privmigrate.argv.spec import Choice, Const
from privmigrate.argv.syntax import Alt, Char, Node, Repeat, Seq, Unsupported, parse, unparse
from privmigrate.callsites.programs import SHELLS, Piece, free_program, shell_operand
from privmigrate.convert.intersect import start_of
from privmigrate.convert.patterns import matches, read

_ASCII: Final = "".join(map(chr, range(128)))
# Nothing that quotes, expands, separates or redirects, in any shell and any place of a word.
_PATH_LIKE: Final = frozenset(filter(str.isalnum, _ASCII)) | frozenset("_./:,@%+-")
_METACHARACTERS: Final = re.compile(r"[\\.^$*+?{}\[\]|()]")
_QUOTE: Final = "'"
_BLANKS: Final = " \t"
_BEGIN_COMMAND: Final = ";&|\n"
_UNFOLLOWED: Final = "$`\\(){}!#~=<"
"""What is followed nowhere but between single quotes."""
SHELL_TEXT: Final = "no value in the shell's text adds a command or an option"
SHELL_WRITES: Final = f"{SHELL_TEXT}; which file it writes to, the caller says"
_TAKES_NO_PROGRAM: Final = frozenset(
    ("cat", "chgrp", "chmod", "chown", "cp", "echo", "grep", "head", "kill", "ls", "mkdir", "mv",
     "rm", "rmdir", "sleep", "stat", "sync", "tail", "touch", "wc")
)  # fmt: skip
"""Commands that run nothing, whatever operands they have."""


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The patterns of a rule with the program narrowed, or why that cannot be had.

    Attributes:
        how: what that means for the values in it.
    """

    patterns: tuple[str, ...]
    why_not: str = ""
    how: str = SHELL_TEXT


def narrow_program(command: str, patterns: Sequence[str]) -> Narrowed | None:
    """Narrow the program among a command's arguments; None if no value is in one."""
    pieces = tuple(map(_piece, patterns))
    what = free_program((Piece(command), *pieces))
    if what is None:
        return None
    found = shell_operand(pieces) if command in SHELLS else None
    if found is None or not found[1] or pieces[found[0]].fixed:
        return Narrowed((), caller_writes(what))
    number, _ = found
    reader = _Reader()
    try:
        text = "".join(reader.narrow(_items(parse(patterns[number]))))
    except (_NotFollowed, Unsupported) as error:
        why = f"a value in the shell's text '{patterns[number]}' may add a command: {error}"
        return Narrowed((), why)
    how = SHELL_WRITES if reader.writes else SHELL_TEXT
    return Narrowed((*patterns[:number], text, *patterns[number + 1 :]), how=how)


def caller_writes(what: str) -> str:
    """Why a rule is refused under which the program for this one is not fixed."""
    return f"the caller would write what {what} runs"


def _piece(pattern: str) -> Piece:
    match read(pattern).spec:
        case Const(text):
            return Piece(text)
        case Choice(values):
            return Piece(values[0], not any(value.startswith("-") for value in values))
        case spec:
            return Piece(start_of(spec), fixed=False)


def _items(node: Node) -> tuple[Node, ...]:
    return node.items if isinstance(node, Seq) else (node,)


class _NotFollowed(Exception):  # noqa: N818 - leaves the walk where it ended
    """A place of which it is not certain that a value stays a value there."""


@dataclass(slots=True)
class _Reader:
    """Where in the text it is.

    Attributes:
        quote: the quote that is open, or "".
        command: the first word of this command as far as it was read, None behind it.
        begins: no character of this word was read.
        target: this word is where the output goes.
        writes: a value says where that is.
    """

    quote: str = ""
    command: str | None = ""
    begins: bool = True
    runs: str = ""
    target: bool = False
    writes: bool = False

    def narrow(self, items: Iterable[Node]) -> Iterator[str]:
        """The pattern for each item."""
        for item in items:
            literal = item.literal if isinstance(item, Char) else None
            if literal is None:
                yield self.value(item)
            else:
                self.fixed(literal)
                yield _METACHARACTERS.sub(r"\\\g<0>", literal)
        if self.quote:
            raise _NotFollowed("a quote is not closed")

    def fixed(self, character: str) -> None:
        """Read a character of the rule's own."""
        if self.quote == _QUOTE:
            self.quote = "" if character == _QUOTE else self.quote
            return
        if character in _UNFOLLOWED:
            raise _NotFollowed(f"{character} stands there")
        if self.quote:
            self.quote = "" if character == self.quote else self.quote
        elif character in _BEGIN_COMMAND:
            self.command, self.begins, self.target = "", True, False
        elif character in _BLANKS:
            self.target = self.target and self.begins
            self.begins = True
            if self.command:
                self.runs, self.command = self.command, None
        else:
            self.of_a_word(character)

    def of_a_word(self, character: str) -> None:
        """Read a character of a word, or what quotes or redirects; the command is a plain word."""
        special = character in "'\">"
        if special and self.command is not None:
            raise _NotFollowed(f"{character} stands in what is run")
        if character in "'\"":
            self.quote = character
        else:
            self.begins = special
            self.target = self.target or special
        if self.command is not None:
            self.command += character

    def value(self, node: Node) -> str:
        """Read what the caller chooses."""
        if self.command is not None:
            raise _NotFollowed("it is what is run")
        if self.runs.rpartition("/")[2] not in _TAKES_NO_PROGRAM:
            raise _NotFollowed(f"nothing is known here of the operands of {self.runs}")
        self.writes = self.writes or self.target
        start = "(?!-)" if self.begins else ""
        self.begins = False
        if isinstance(node, Repeat):
            times = f"{{{node.low},{'' if node.high is None else node.high}}}"
            times = {"{0,}": "*", "{1,}": "+", "{0,1}": "?"}.get(times, times)
            return f"{start}{self.characters(node.item)}{times}"
        return start + self.characters(node)

    def characters(self, node: Node) -> str:
        """The class of those of these characters that are harmless here."""
        branches = node.branches if isinstance(node, Alt) else (node,)
        chars = tuple(each for each in branches if isinstance(each, Char))
        if len(chars) < len(branches):
            raise _NotFollowed("its pattern is not simple enough")
        allowed = {c for c in _ASCII if any(matches(unparse(each), c) for each in chars)}
        if self.quote == _QUOTE:
            allowed.discard(_QUOTE)
            if any(map(_has_all_beyond_ascii, chars)):
                return f"[^{_ranges(set(_ASCII) - allowed)}]"
        else:
            allowed &= _PATH_LIKE
        if not allowed:
            raise _NotFollowed("none of its characters is harmless")
        return f"[{_ranges(allowed)}]"


def _has_all_beyond_ascii(char: Char) -> bool:
    return (
        char.negated
        and not char.categories
        and not char.flags
        and all(high < len(_ASCII) for _, high in char.ranges)
    )


def _ranges(characters: Iterable[str]) -> str:
    """What stands in a class for these characters."""
    text = ""
    codes = sorted(map(ord, characters))
    starts = [code for code in codes if code - 1 not in codes]
    ends = [code for code in codes if code + 1 not in codes]
    for low, high in zip(starts, ends, strict=True):
        text += _in_class(low) if low == high else f"{_in_class(low)}-{_in_class(high)}"
    return text


def _in_class(code: int) -> str:
    character = chr(code)
    if character in "\\]^-[":
        return f"\\{character}"
    return character if character.isprintable() else f"\\x{code:02x}"
