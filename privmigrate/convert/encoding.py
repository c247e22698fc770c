"""Frozen dataclasses as JSON and back, by their annotations: nothing else is ever made of it."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Final, Union, get_args, get_origin, get_type_hints

from privmigrate.diagnostics import Span

_IS: Final = "is"


def encode(value: object) -> object:
    """Plain values; what is as it is by default is left out, and places are nowhere."""
    match value:
        case Enum():
            return value.value
        case tuple():
            return [encode(each) for each in value]
        case None | bool() | int() | str():
            return value
        case _ if is_dataclass(value) and not isinstance(value, type):
            found: dict[str, object] = {_IS: type(value).__name__}
            for field in fields(value):
                each = getattr(value, field.name)
                default = field.default
                if field.default_factory is not MISSING:
                    default = field.default_factory()
                if each != default and each != Span(""):
                    found[field.name] = encode(each)
            return found
        case _:
            raise TypeError(f"{value!r} cannot be written down")


def decode(kind: object, data: object) -> object:
    """The value of this type; raise ValueError, TypeError or KeyError for anything else."""
    if get_origin(kind) in {Union, UnionType}:
        return decode(_member(get_args(kind), data), data)
    if get_origin(kind) is tuple:
        return _row(get_args(kind), data)
    if kind is type(None) or kind in {bool, int, str}:
        if type(data) is not (None.__class__ if kind is type(None) else kind):
            raise TypeError(f"{data!r} is no {kind}")
        return data
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if not (isinstance(kind, type) and is_dataclass(kind) and isinstance(data, Mapping)):
        raise TypeError(f"{data!r} is no {kind}")
    return _made(kind, data)


def _made(kind: type, data: Mapping[str, object]) -> object:
    if data.get(_IS) != kind.__name__:
        raise ValueError(f"{data.get(_IS)!r} is no {kind.__name__}")
    hints = _hints(kind)
    given = {name: decode(hints[name], each) for name, each in data.items() if name != _IS}
    for name, hint in hints.items():
        if hint is Span:
            given.setdefault(name, Span(""))
    return kind(**given)


def _member(kinds: tuple[object, ...], data: object) -> object:
    """The member of a union that something is of."""
    name = data.get(_IS) if isinstance(data, Mapping) else None
    for kind in kinds:
        if name is None and type(data) is kind:
            return kind
        if name is not None and getattr(kind, "__name__", "") == name:
            return kind
    raise TypeError(f"{data!r} is none of {kinds}")


def _row(kinds: tuple[object, ...], data: object) -> tuple[object, ...]:
    if not isinstance(data, list):
        raise TypeError(f"{data!r} is no list")
    if kinds[-1] is Ellipsis:
        return tuple(decode(kinds[0], each) for each in data)
    if len(data) != len(kinds):
        raise ValueError(f"{data!r} has not {len(kinds)} items")
    return tuple(decode(kind, each) for kind, each in zip(kinds, data, strict=True))


@cache
def _hints(kind: type) -> Mapping[str, object]:
    return get_type_hints(kind)
