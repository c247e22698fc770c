"""Check what a client sent against the annotation of a parameter, and convert it.

Digits are text afterwards, a `PathWithin` is the real path, a tuple that came over the wire is the
`NamedTuple` that the annotation names. What may stand in an annotation is what the wire carries
and what can be checked completely: text, bytes, numbers, truth values, None, `Literal`, unions,
tuples, lists, dictionaries with text keys, `NamedTuple` classes, and `Annotated` text with a
specification. Anything else raises TypeError when a function is decorated: no parameter goes
unchecked.
"""

import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Final, Literal, Union, cast, get_args, get_origin, get_type_hints

from privmigrate.argv.spec import (
    AbsolutePath,
    Any,
    ArgSpec,
    Choice,
    Const,
    Data,
    Int,
    Key,
    Matches,
    Never,
    PathWithin,
    Whole,
)
from privmigrate.argv.word import accepts, conversion, describe, text_problem, why_not
from privmigrate.errors import Refused

__all__ = ["Checker", "accepts", "compile_annotation", "describe", "why_not"]

Checker = Callable[[object], object]

_SPECS: Final = (Const, Choice, Int, Matches, PathWithin, AbsolutePath, Key, Any, Never)
_TYPE_ALIAS: Final = getattr(typing, "TypeAliasType", ())
_LOWEST: Final = -(2**63)
_HIGHEST: Final = 2**64 - 1  # what msgpack carries


def compile_annotation(annotation: object) -> Checker:
    """Compile the check of one parameter.

    The checker returns the converted value, or raises `Refused` with what is wrong, worded as the
    continuation of the parameter's name.
    """
    while isinstance(annotation, _TYPE_ALIAS):
        annotation = annotation.__value__
    if annotation is None:
        return _check_none
    if isinstance(annotation, type) and annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if isinstance(annotation, type) and hasattr(annotation, "_fields"):
        return _named_tuple(annotation)
    checker = _parameterised(get_origin(annotation), get_args(annotation))
    if checker is None:
        raise TypeError(f"{annotation!r} cannot be checked completely")
    return checker


def _parameterised(origin: object, arguments: tuple[object, ...]) -> Checker | None:
    if origin is Annotated:
        return _annotated(arguments[0], arguments[1:])
    if origin is Literal:
        return _literal(arguments)
    if origin in (Union, UnionType):
        return _union(arguments)
    if origin is tuple and arguments[-1:] != (...,):
        return _row(arguments)
    if origin in (tuple, list, Sequence, Iterable):
        return _items(arguments[0], list if origin is list else tuple)
    if origin in (dict, Mapping) and arguments[0] is str:
        return _dictionary(arguments[1])
    return None


def _check_text(value: object) -> str:
    if not isinstance(value, str):
        raise Refused("is not text")
    text = str.__str__(value)  # without what a subclass may have put in its place
    problem = text_problem(text)
    if problem is not None:
        raise Refused(problem)
    return text


def _check_integer(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused("is not an integer")
    number = int.__int__(value)
    if not _LOWEST <= number <= _HIGHEST:
        raise Refused("is an integer of more than 64 bits")
    return number


def _check_bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise Refused("is not true or false")
    return value


def _check_float(value: object) -> float:
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return float(_check_integer(value))
    raise Refused("is not a number")


def _check_bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise Refused("is not bytes")
    return bytes.__getitem__(value, slice(None))


def _check_none(value: object) -> None:
    if value is not None:
        raise Refused("is not None")


def _annotated(base: object, metadata: Sequence[object]) -> Checker:
    """`Annotated[str, Spec, ...]`: each specification in turn; other metadata is not ours."""
    specs = [each for each in metadata if isinstance(each, _SPECS)]
    if any(isinstance(each, Data) for each in metadata):
        return _data(base)
    wholes = [each for each in metadata if isinstance(each, Whole)]
    if wholes:
        return _whole(base, wholes)
    if not specs:
        return compile_annotation(base)
    members = set(_members(base))
    if not members <= {str, int, type(None)} or not members & {str, int}:
        raise TypeError(f"{specs[0]!r} is about text, not about {base!r}")
    check = _specified(specs, text=str in members, integer=int in members)
    if type(None) not in members:
        return check
    return lambda value: None if value is None else check(value)


def _whole(base: object, wholes: Sequence[Whole]) -> Checker:
    """A list of words that is checked as one command line."""
    if get_origin(base) is not Sequence or set(_members(get_args(base)[0])) != {str, int}:
        raise TypeError(f"a command line is a sequence of text and integers, not {base!r}")
    check = compile_annotation(base)
    if len(wholes) > 1:
        raise TypeError("a command line is described once")

    def check_words(value: object) -> tuple[str, ...]:
        return wholes[0].convert(tuple(map(str, cast("tuple[str | int, ...]", check(value)))))

    return check_words


def _members(annotation: object) -> tuple[object, ...]:
    if get_origin(annotation) in (Union, UnionType):
        return get_args(annotation)
    return (annotation,)


def _specified(specs: list[ArgSpec], *, text: bool, integer: bool) -> Checker:
    first, *others = map(conversion, specs)

    def check(value: object) -> str:
        if type(value) is str and text:
            word = value
        elif isinstance(value, str) and text:
            word = str.__str__(value)
        elif integer and isinstance(value, int) and not isinstance(value, bool):
            word = str(_check_integer(value))
        else:
            raise Refused(f"is not {_kinds(text=text, integer=integer)}")
        word = first(word)
        for convert in others:
            word = convert(word)
        return word

    return check


def _kinds(*, text: bool, integer: bool) -> str:
    if text and integer:
        return "text or an integer"
    return "text" if text else "an integer"


def _data(base: object) -> Checker:
    members = set(_members(base))
    if not members <= {str, bytes, type(None)}:
        raise TypeError(f"data is bytes or text, not {base!r}")

    def check(value: object) -> object:
        if value is None and type(None) in members:
            return None
        if isinstance(value, bytes) and bytes in members:
            return _check_bytes(value)
        if isinstance(value, str) and str in members:
            return _encodable(str.__str__(value))
        raise Refused("is not bytes or text")

    return check


def _encodable(text: str) -> str:
    """A text that bytes can be made of: half of a surrogate pair has none."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise Refused("has characters that are none of UTF-8") from None
    return text


def _literal(values: Sequence[object]) -> Checker:
    # True == 1 == 1.0, so the type belongs to the key
    known = {(type(value), value): value for value in values}
    refusal = f"is not one of {', '.join(map(repr, values))}"
    if not all(kind in _SIMPLE for kind, _ in known):
        raise TypeError("a literal is text, bytes, a number, a truth value or None")

    def check(value: object) -> object:
        exact = str.__str__(value) if isinstance(value, str) else value
        try:
            return known[type(exact), exact]
        except (KeyError, TypeError):
            raise Refused(refusal) from None

    return check


def _union(members: Sequence[object]) -> Checker:
    """The first member that accepts; where there is one besides None, its reason is given."""
    checks = [compile_annotation(member) for member in members if member not in (None, type(None))]
    optional = len(checks) < len(members)
    if len(checks) == 1:
        only = checks[0]
        return lambda value: None if value is None else only(value)

    def check(value: object) -> object:
        if value is None and optional:
            return None
        reasons: dict[str, None] = {}
        for each in checks:
            try:
                return each(value)
            except Refused as refused:
                reasons[str(refused)] = None
        raise Refused("; or ".join(reasons))

    return check


def _sequence(value: object) -> Sequence[object]:
    if not isinstance(value, tuple | list):
        raise Refused("is not a sequence")
    return value


def _checked(check: Checker, value: object, name: object) -> object:
    try:
        return check(value)
    except Refused as refused:
        raise Refused(f"has an item that is refused: {name} {refused}") from None


def _items(member: object, kind: Callable[[list[object]], object]) -> Checker:
    check = compile_annotation(member)
    return lambda value: kind(
        [_checked(check, item, f"number {n}") for n, item in enumerate(_sequence(value), 1)]
    )


def _row(members: Sequence[object]) -> Checker:
    checks = [compile_annotation(member) for member in members if member != ()]

    def check(value: object) -> tuple[object, ...]:
        items = _sequence(value)
        if len(items) != len(checks):
            raise Refused(f"has {len(items)} items instead of {len(checks)}")
        return tuple(
            _checked(each, item, f"number {n}")
            for n, (each, item) in enumerate(zip(checks, items, strict=True), 1)
        )

    return check


def _dictionary(member: object) -> Checker:
    check = compile_annotation(member)

    def check_items(value: object) -> dict[str, object]:
        if not isinstance(value, dict):
            raise Refused("is not a dictionary")
        return {_check_text(key): _checked(check, item, "a value") for key, item in value.items()}

    return check_items


def _named_tuple(kind: type) -> Checker:
    """A `NamedTuple`, also where it arrives as the plain sequence that the wire makes of it."""
    names: tuple[str, ...] = getattr(kind, "_fields", ())
    hints = get_type_hints(kind, include_extras=True)
    if not issubclass(kind, tuple) or not set(names) <= set(hints):
        raise TypeError(f"{kind!r} has fields without annotation")
    checks = [(name, compile_annotation(hints[name])) for name in names]
    construct = cast("Callable[..., object]", kind)

    def check(value: object) -> object:
        items = _sequence(value)
        if len(items) != len(checks):
            raise Refused(f"is not {kind.__name__}")
        return construct(
            *(_checked(each, item, name) for (name, each), item in zip(checks, items, strict=True))
        )

    return check


_SIMPLE: Final[Mapping[object, Checker]] = {
    str: _check_text,
    int: _check_integer,
    bool: _check_bool,
    float: _check_float,
    bytes: _check_bytes,
    type(None): _check_none,
}
