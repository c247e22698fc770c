"""Check text against a specification: once compiled, in a fraction of a microsecond.

A *word* is what stands in the command line; a parameter's *value* is the word without the prefix
and suffix that its specification names. Messages say what is wrong with a text and never repeat
it: it may be a secret.
"""

import functools
import os
import stat
from collections.abc import Callable
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
from privmigrate.errors import Refused

MAX_SYMLINKS: Final = 40  # as the kernel, path_resolution(7)
_SHORT: Final = 400  # digits that `int` converts without a thought

# None: accepted. Else why not, as the continuation of "the value ...".
Test = Callable[[str], str | None]
Conversion = Callable[[str], str]


def accepts(spec: ArgSpec, text: str) -> bool:
    """Say whether a word is what the specification says, prefix and suffix included."""
    return word_test(spec)(text) is None


def why_not(spec: ArgSpec, text: str) -> str | None:
    """Say what is wrong with a word, or None."""
    return word_test(spec)(text)


def describe(spec: ArgSpec) -> str:
    """Say in a few words what is accepted: for messages and docstrings."""
    match spec:
        case Const(text):
            return repr(text)
        case Choice(values):
            return f"one of {', '.join(map(repr, values))}"
        case Int():
            return _framed(spec.prefix, _describe_digits(spec), spec.suffix)
        case Matches(pattern, no_dotdot):
            return f"text that matches {pattern}{' without ..' if no_dotdot else ''}"
        case PathWithin(base):
            return f"a path within {base}"
        case AbsolutePath():
            return _describe_path(spec)
        case Key(prefix, value, suffix):
            return _framed(prefix, describe(value), suffix)
        case Any(operand, empty, _):
            text = "any text" if empty else "text that is not empty"
            return f"{text} that does not begin with -" if operand else text
        case Never(why):
            return f"nothing at all: {why}"


def _framed(prefix: str, text: str, suffix: str) -> str:
    parts = (repr(prefix) if prefix else "", text, repr(suffix) if suffix else "")
    return ", ".join(part for part in parts if part)


def _describe_digits(spec: Int) -> str:
    text = "digits" if spec.leading_zeros else "digits without leading zeros"
    if spec.min_digits > 1 or spec.max_digits:
        most = spec.max_digits or "more"
        text += f", {spec.min_digits} to {most} of them"
    if spec.minimum is not None:
        text += f", at least {spec.minimum}"
    if spec.maximum is not None:
        text += f", at most {spec.maximum}"
    return text


def _describe_path(spec: AbsolutePath) -> str:
    text = "an absolute path" if spec.below == "/" else f"a path below {spec.below}"
    if spec.stem:
        text += f" that goes on with {spec.stem}"
    if spec.components:
        text += f" of {spec.components} component{'s' if spec.components > 1 else ''}"
    return f"{text} without .." if spec.no_dotdot else text


@functools.cache
def word_test(spec: ArgSpec) -> Test:
    """Compile the test of a whole word."""
    match spec:
        case Int(prefix=prefix, suffix=suffix) | Key(prefix=prefix, suffix=suffix):
            test = value_test(spec)
            return _framed_test(prefix, test, suffix) if prefix or suffix else test
        case _:
            return value_test(spec)


@functools.cache
def value_test(spec: ArgSpec) -> Test:
    """Compile the test of a parameter's value, which lacks the prefix and suffix of the word."""
    match spec:
        case Const(text):
            return _choice_test((text,), f"is not {text!r}")
        case Choice(values):
            return _choice_test(values, f"is not {describe(spec)}")
        case Int():
            return _digits_test(spec)
        case Matches():
            return _pattern_test(spec)
        case PathWithin(base):
            return _within_test(base)
        case AbsolutePath():
            return _absolute_test(spec)
        case Key(_, value, _):
            return word_test(value)
        case Any():
            return _any_test(spec)
        case Never(why):
            refusal = f"is never accepted: {why}"
            return lambda _: refusal


@functools.cache
def conversion(spec: ArgSpec) -> Conversion:
    """Compile test and conversion of a value; it raises `Refused`."""
    if isinstance(spec, PathWithin):
        base = spec.base
        return lambda text: resolve_within(base, text)
    test = value_test(spec)

    def convert(text: str) -> str:
        refusal = test(text)
        if refusal is not None:
            raise Refused(refusal)
        return text

    return convert


def text_problem(text: str) -> str | None:
    """Say why a text can be no word of any command line, or None."""
    if "\0" in text:
        return "contains NUL"
    if not text.isascii():
        try:
            os.fsencode(text)
        except UnicodeEncodeError:
            return "contains characters that no file name can have"
    return None


def _framed_test(prefix: str, test: Test, suffix: str) -> Test:
    def check(text: str) -> str | None:
        inner = len(text) - len(prefix) - len(suffix)
        if inner < 0 or not text.startswith(prefix):
            return f"does not begin with {prefix!r}"
        if not text.endswith(suffix):
            return f"does not end with {suffix!r}"
        return test(text[len(prefix) : len(prefix) + inner])

    return check


def _choice_test(values: tuple[str, ...], refusal: str) -> Test:
    known = frozenset(value for value in values if text_problem(value) is None)
    return lambda text: None if text in known else refusal


def _digits_test(spec: Int) -> Test:
    refusal = f"is not {_describe_digits(spec)}"
    shortest = max(spec.min_digits, 1)
    bounded = spec.minimum is not None or spec.maximum is not None

    def check(text: str) -> str | None:
        if (
            not text.isascii()
            or not text.isdigit()
            or len(text) < shortest
            or (spec.max_digits and len(text) > spec.max_digits)
            or (not spec.leading_zeros and len(text) > 1 and text[0] == "0")
            or (bounded and not in_bounds(text))
        ):
            return refusal
        return None

    def in_bounds(text: str) -> bool:
        significant = text.lstrip("0") or "0"
        if len(significant) > _SHORT:
            return spec.maximum is None
        number = int(significant)
        return (spec.minimum is None or number >= spec.minimum) and (
            spec.maximum is None or number <= spec.maximum
        )

    return check


def _pattern_test(spec: Matches) -> Test:
    from privmigrate.argv.matcher import compile_pattern  # costs 10 ms that few types need

    matcher = compile_pattern(spec.pattern)
    refusal = f"does not match {spec.pattern}"
    if matcher.why_never is not None:
        refusal = f"is never accepted: of the pattern {spec.pattern}, {matcher.why_never}"
    matches = matcher.matches

    def check(text: str) -> str | None:
        if not matches(text):
            return refusal
        if spec.no_dotdot and (text.startswith("..") or "/.." in text):
            return "has a component that begins with .."
        return text_problem(text)

    return check


def _absolute_test(spec: AbsolutePath) -> Test:
    start = spec.below + spec.stem

    def check(text: str) -> str | None:
        if not text.startswith(start):
            return f"does not begin with {start}"
        rest = text[len(spec.below) :]
        if not spec.bare and len(text) == len(start):
            return f"is nothing but {start}"
        if spec.components and rest.count("/") >= spec.components:
            return f"has more than {spec.components} components"
        if spec.no_dotdot and (rest.startswith("..") or "/.." in rest):
            return "has a component that begins with .."
        if not spec.empty_components and ("//" in text or rest.endswith("/")):
            return "has an empty component"
        if not spec.newline and "\n" in text:
            return "contains a newline"
        return text_problem(text)

    return check


def _any_test(spec: Any) -> Test:
    def check(text: str) -> str | None:
        if spec.operand and text[:1] == "-":
            return "begins with -, as an option does"
        if not spec.empty and not text:
            return "is empty"
        if not spec.newline and "\n" in text:
            return "contains a newline"
        return text_problem(text)

    return check


def _within_test(base: str) -> Test:
    def check(text: str) -> str | None:
        try:
            resolve_within(base, text)
        except Refused as refused:
            return str(refused)
        return None

    return check


def resolve_within(base: str, path: str) -> str:
    """Return the real path if it is `base` or below it; raise `Refused` otherwise.

    `base` is compared as it is written, as oslo.rootwrap does: one that is itself a symlink, or
    not normal, accepts nothing. With a ``/`` at its end it is itself not accepted.
    """
    problem = text_problem(path)
    if problem is not None:
        raise Refused(problem)
    if not path.startswith("/"):
        raise Refused("is not an absolute path")
    real = _real_path(path)
    if real == base or real.startswith(base if base.endswith("/") else f"{base}/"):
        return real
    raise Refused(f"leads out of {base}")


def _real_path(path: str) -> str:
    """Resolve every symlink; what does not exist counts as a plain name, as in `realpath -m`.

    Unlike `os.path.realpath` it refuses where it cannot look: a folder that may not be searched,
    a loop, too many links. There a name could be a link that was not followed.
    """
    pending = path.split("/")[::-1]
    real: list[str] = []
    links = 0
    while pending:
        name = pending.pop()
        if name in ("", "."):
            continue
        if name == "..":
            del real[-1:]
            continue
        here = "/".join(("", *real, name))
        try:
            if not stat.S_ISLNK(os.lstat(here).st_mode):
                real.append(name)
                continue
            target = os.readlink(here)  # noqa: PTH115 - pathlib costs 5 ms of start-up
        except (FileNotFoundError, NotADirectoryError):
            real.append(name)
            continue
        except OSError as error:
            raise Refused(f"cannot be resolved: {error.strerror}") from None
        links += 1
        if links > MAX_SYMLINKS:
            raise Refused("cannot be resolved: too many symbolic links")
        if target.startswith("/"):
            real.clear()
        pending.extend(target.split("/")[::-1])
    return "/" + "/".join(real)
