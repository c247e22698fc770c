"""What one word of a command line may be.

A specification is a value: it is printed into generated code as the metadata of an `Annotated`
type (``Annotated[str, PathWithin("/var/lib/images")]``), and the daemon compiles it into a check.
Every specification refuses NUL; what else it refuses is said at each.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Const:
    """Exactly this text. Becomes a constant of the generated argv, never a parameter."""

    text: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these texts; printed as `Literal[...]`."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Int:
    """ASCII decimal digits without sign, given as `int` or `str`, within the bounds.

    `prefix` and `suffix` stand around the digits in the word (``count=4``); they are printed by
    the generated function, and are no part of the parameter's value. `leading_zeros` says whether
    ``007`` is accepted, which an `int` cannot express; `min_digits` and `max_digits` bound the
    length of the text (0: no bound).
    """

    minimum: int | None = None
    maximum: int | None = None
    prefix: str = ""
    suffix: str = ""
    leading_zeros: bool = True
    min_digits: int = 1
    max_digits: int = 0


@dataclass(frozen=True, slots=True)
class Matches:
    """Text that this pattern matches as a whole (`re.fullmatch`, so no trailing newline).

    The pattern is written in the syntax of `re`; it is executed by a matcher that cannot blow up.
    With `no_dotdot` no part between slashes may begin with ``..``: a pattern for paths below a
    directory does not lead out of it.
    """

    pattern: str
    no_dotdot: bool = False


@dataclass(frozen=True, slots=True)
class PathWithin:
    """An absolute path whose real path is `base` or lies below it.

    Symlinks, ``..`` and siblings with the same beginning (``/var/lib/images-evil``) do not lead
    out. The checked value is the real path, as oslo.rootwrap's PathFilter passes on.
    """

    base: str


@dataclass(frozen=True, slots=True)
class AbsolutePath:
    """Text that begins with ``/``.

    `below` is a directory prefix the text must begin with, ``/`` terminated; with `no_dotdot` no
    component after it may begin with ``..``; `components` bounds the number of components after
    it (0: no bound), so that ``/[^/]*`` is ``AbsolutePath(components=1)``; `bare` says whether
    `below` itself is accepted, with nothing after it; `empty_components` says whether ``//`` may
    occur and whether a ``/`` may end the text; `newline` says whether a newline may occur. With
    `stem` what comes after `below` begins with this text, and `bare` is about both.
    """

    below: str = "/"
    no_dotdot: bool = False
    components: int = 0
    bare: bool = True
    empty_components: bool = True
    newline: bool = False
    stem: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """A fixed text followed by a checked value in one word: ``if=/dev/zero``.

    As with `Int`, the parameter's value is what stands between `prefix` and `suffix`.
    """

    prefix: str
    value: "ArgSpec"
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Any:
    """Any text; without `operand` also text that a tool may take for an option.

    An `operand` may not begin with ``-``; `empty` and `newline` say what else is accepted.
    """

    operand: bool = False
    empty: bool = True
    newline: bool = True


@dataclass(frozen=True, slots=True)
class Never:
    """No text at all: the pattern cannot match, or cannot be executed safely. `why` says which."""

    why: str


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes or text of any content, for a command's standard input: no word, so NUL is allowed."""


ArgSpec = Const | Choice | Int | Matches | PathWithin | AbsolutePath | Key | Any | Never


class Whole(ABC):
    """Base of what describes a list of words as a whole, in the metadata of its type."""

    @abstractmethod
    def convert(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """Check the words and return what may be executed; raise `Refused`."""
