"""Arguments for entrypoints as a hostile client makes them: likely ones, and ones changed."""

import inspect
import math
import re._parser as sre  # type: ignore[import-not-found]
from collections.abc import Sequence
from random import Random
from typing import Any, Final

from privmigrate.argv import spec as specs
from privmigrate.argv import template as argv
from privmigrate.convert.operation import Kind, Op, Param

WORDS: Final = (
    "", " ", "-", "--", "-x", "--help", "-rf", "--opt=value", "-o", "/", "//", ".", "..", "../..",
    "/..", "/etc/../etc/shadow", "/etc/shadow", "/dev/../etc/shadow", "/dev/sda",
    "/proc/self/root", "/var/lib/images-evil/x", "a\n", "\n", "1\n", "\r", "\t", "\u0663",
    "\uff10", "²", "0", "00", "-1", "+1", "1.5", "1e3", "1_0", "exec", "netns", "a=b", "A=", "=",
    "e", "b", "batch", "x y", "a;b", "$(id)", "root", "/tmp/x", "http://h/", "10.0.0.1", "::1",
    "if=/etc/shadow", "of=/etc/passwd", "é", "\udcff", "\ud800", "a\x00b", "\x1b[31m", "a,b",
    "a,b=c", "a/b", "a:b", "a@b", "x" * 5000, "%s", "//.//.//.kernel.core_pattern=|/x", "!", "(",
    "*", ";id", "&id", "|id", "`id`", "'; id; '", '"; id; "', "\nid\n", ">/tmp/x", "$IFS", "\\",
    "@/etc/shadow", "\u2028", "-\u0301", "\u2010x",
)  # fmt: skip
"""Words that attackers try."""

_VALUES: Final[tuple[object, ...]] = (
    None, True, False, 0, 1, -1, 2**63, 2**64 - 1, -(2**63), 1.5, math.nan, math.inf, b"x", b"-x",
    [], ["-x"], ["a", ["b"]], ["a", "b"], {}, {"a": "b"}, {"prefix": "Netns"}, "x" * 70_000,
)  # fmt: skip
"""Values of other types than are wanted, and numbers at their ends."""

_UNDER: Final[tuple[object, ...]] = (
    None, ["q-1", "Netns"], ["../x", "Netns"], ["-x", "Netns"], ["a b", "Netns"], ["", "Netns"],
    ["a\n", "Netns"], [".x", "Netns"], ["q-1"], "Netns", ["q", "Other"], [], ["q", "Netns", "x"],
)  # fmt: skip
_STRAY: Final = (
    "user", "env", "under", "stdin", "words", "_wrap_timeout", "capabilities", "self", "args",
    "run_as_root", "check_exit_code", "attempts", "cwd", "netns", "",
)  # fmt: skip
_CHARACTERS: Final = "ab0/.-=,:@ \n%é"
_MOST_TIMES: Final = 3


class Maker:
    """Makes calls of one entrypoint."""

    def __init__(self, random: Random, op: Op, signature: inspect.Signature) -> None:
        self._random = random
        self._op = op
        self._parameters = list(signature.parameters.values())
        self._params = {param.name: param for param in op.params}

    def call(self) -> tuple[list[object], dict[str, object]]:
        """Arguments by position and by name."""
        random = self._random
        positional: list[object] = []
        named: dict[str, object] = {}
        by_name = self._happens(0.2)  # now and then
        for parameter in self._parameters:
            if parameter.kind is parameter.VAR_POSITIONAL:
                positional += [self.word(None) for _ in range(random.randrange(5))]
            elif parameter.default is not parameter.empty and self._happens(0.4):
                by_name = True
            elif parameter.kind is parameter.KEYWORD_ONLY or by_name:
                named[parameter.name] = self.value(parameter.name)
            else:
                positional.append(self.value(parameter.name))
        if self._happens(0.03):  # seldom: it is refused
            named[random.choice(_STRAY)] = random.choice((*_VALUES, *WORDS))
        if self._happens(0.02):  # the same
            positional.append(random.choice(WORDS))
        return positional, named

    def _happens(self, share: float) -> bool:
        return self._random.random() < share

    def value(self, name: str) -> object:
        """A value for a parameter."""
        random = self._random
        if self._happens(0.04):  # of another type, seldom
            return random.choice(_VALUES)
        if name == "under":
            return random.choice(_UNDER)
        if name == "stdin":
            return random.choice((None, "a", b"\x00", "a\x00b", "\udcff"))
        if name == "words" and self._op.templates:
            return self.line()
        param = self._params.get(name)
        if param is None:
            return random.choice(WORDS)
        match param.kind:
            case Kind.FLAG:
                return random.choice((True, True, False, 0, 1, "x"))
            case Kind.ITEMS:
                return [self.word(param.spec) for _ in range(random.randrange(4))]
            case Kind.PID:
                return random.choice((1, 0, -1, "1", "-1", 2**22, 2**22 + 1, "0x1", "\u0663"))
            case Kind.SIGNAL:
                return random.choice((*_choices(param), "KILL", "9", "-9", "STOP", ""))
            case _:
                return self.word(param.spec)

    def line(self) -> object:
        """A command line of a checked list, perhaps with a word changed, more or fewer."""
        random = self._random
        made = list(self._row(random.choice(self._op.lines).segments))
        if self._happens(0.5):  # half of them stay whole
            place = random.randrange(len(made) + 1)
            new: list[object] = [random.choice((*WORDS, *map(str, made), 1))]
            match random.randrange(3):
                case 0:
                    made[place:place] = new
                case 1:
                    made[place : place + 1] = new
                case _:
                    del made[place : place + 1]
        if made and self._happens(0.1):  # the executable is another's to choose
            made[0] = f"/tmp/evil/{made[0]}"
        return made

    def _row(self, segments: Sequence[argv.Segment]) -> list[object]:
        made: list[object] = []
        for segment in segments:
            match segment:
                case argv.Lit(text):
                    made.append(text)
                case argv.Hole(_, spec):
                    framed = isinstance(spec, specs.Key | specs.Int)
                    inner = self.word(spec)
                    if framed and isinstance(spec, specs.Key | specs.Int):
                        inner = f"{spec.prefix}{inner}{spec.suffix}"
                    made.append(inner)
                case argv.Opt(_, within):
                    made += self._row(within) if self._happens(0.5) else []
                case argv.Rep(_, within):
                    for _ in range(self._random.randrange(_MOST_TIMES)):
                        made += self._row(within)
        return made

    def word(self, spec: specs.ArgSpec | None) -> object:
        """A word that the specification may accept, changed now and then."""
        random = self._random
        made = self._likely(spec)
        match random.randrange(8):
            case 0:
                return random.choice(WORDS)
            case 1:
                return random.choice(WORDS) + made
            case 2:
                return made + random.choice(WORDS)
            case 3 if made:
                place = random.randrange(len(made))
                return made[:place] + random.choice((*WORDS, *_CHARACTERS)) + made[place:]
            case 4 if made.isdigit() and made.isascii():
                return int(made)
            case _:
                return made

    def _likely(self, spec: specs.ArgSpec | None) -> str:
        random = self._random
        match spec:
            case specs.Choice(values):
                return random.choice(values)
            case specs.Int():
                return str(random.randrange(10 ** random.randrange(1, 12)))
            case specs.Matches(pattern):
                return self._text(sre.parse(pattern))
            case specs.AbsolutePath():
                return spec.below + spec.stem + self._letters()
            case specs.PathWithin(base):
                return f"{base}/{self._letters()}"
            case specs.Key(_, value, _):
                return self._likely(value)
            case _:
                return random.choice(("a", "/a", "1", "/dev/x", "a/b", "10.0.0.1", self._letters()))

    def _letters(self) -> str:
        return "".join(self._random.choices(_CHARACTERS, k=self._random.randrange(6)))

    def _text(self, tree: Any) -> str:
        """A text of a pattern; what it must not be is left to luck."""
        return "".join(self._piece(str(code), what) for code, what in tree)

    def _piece(self, code: str, what: Any) -> str:
        random = self._random
        match code:
            case "LITERAL":
                return chr(what)
            case "NOT_LITERAL":
                return random.choice([c for c in _CHARACTERS if ord(c) != what])
            case "ANY":
                return random.choice(_CHARACTERS.replace("\n", ""))
            case "IN":
                return self._one_of(what)
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, inner = what
                times = random.randint(least, max(least, min(int(most), least + 3)))
                return "".join(self._text(inner) for _ in range(times))
            case "SUBPATTERN":
                return self._text(what[-1])
            case "BRANCH":
                return self._text(random.choice(what[1]))
            case _:
                return ""

    def _one_of(self, members: Any) -> str:
        if str(members[0][0]) == "NEGATE":
            excluded = {what for code, what in members[1:] if str(code) == "LITERAL"}
            return self._random.choice([c for c in _CHARACTERS if ord(c) not in excluded])
        code, what = self._random.choice(members)
        match str(code):
            case "RANGE":
                return chr(self._random.randint(*what))
            case "LITERAL":
                return chr(what)
            case _:
                return "1"


def _choices(param: Param) -> tuple[str, ...]:
    return param.spec.values if isinstance(param.spec, specs.Choice) else ("TERM",)
